// From what was written to what it means: names become columns, every node gets its type, and what
// the grammar has in several spellings becomes one operation.

import { BOOLEAN, LONG, STRING, typeName } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { Ir } from '../ir.ts'
import type { Ast } from '../parse/ast.ts'
import type { Span } from '../place.ts'
import { callFunction, resolveCall } from './call.ts'
import { castRefusal } from './cast-rules.ts'
import { caseOf, condition, logic } from './conditional.ts'
import { anyFails, anyNullable, articled, conversion, isTyped, operation } from './context.ts'
import { refuse, typeOf, widened, type Resolved, type Resolving } from './context.ts'
import { intervalConstant, numberConstant, typedConstant } from './literal.ts'
import { arithmetic, comparable, compare, comparison, negate } from './operators.ts'

/** @throws PipelineError EXPRESSION_INVALID */
export function resolveTyped(context: Resolving, ast: Ast): Ir {
  const resolved = resolve(context, ast)
  if (isTyped(resolved)) return resolved
  if (resolved.kind === 'interval') throw refuse(context, ast, 'an interval is only added')
  const hint = 'Write CAST(NULL AS string), or another type.'
  throw refuse(context, ast, 'NULL alone has no type', hint)
}

/** @throws PipelineError EXPRESSION_INVALID */
export function resolveCondition(context: Resolving, ast: Ast): Ir {
  return condition(context, resolve(context, ast))
}

// tidy: table
function resolve(context: Resolving, ast: Ast): Resolved {
  switch (ast.kind) {
    case 'number':
      return numberConstant(context, ast.text, ast)
    case 'string':
      return context.factory.constant(STRING, ast.text, ast)
    case 'boolean':
      return context.factory.constant(BOOLEAN, ast.value, ast)
    case 'null':
      return { kind: 'null', start: ast.start, end: ast.end }
    case 'typed':
      return typedConstant(context, ast)
    case 'interval':
      return intervalConstant(context, ast)
    case 'name':
      return context.scope.resolve(context.factory, context.source, ast.name, ast)
    case 'call':
      return resolveCall(
        context,
        ast,
        ast.args.map((arg) => resolve(context, arg)),
      )
    case 'negate':
      return negate(context, resolve(context, ast.operand), ast)
    case 'arithmetic':
      return arithmetic(context, ast.op, ...both(context, ast), ast)
    case 'compare':
      return compare(context, ast.op, ...both(context, ast), ast)
    case 'concat':
      return concat(context, ast)
    case 'and':
    case 'or':
      return logic(
        context,
        ast.kind,
        ast.operands.map((one) => resolve(context, one)),
        ast,
      )
    case 'not':
      return logic(context, 'not', [resolve(context, ast.operand)], ast)
    case 'is':
      return is(context, ast)
    case 'distinct': {
      const distinct = comparison(context, 'distinct', ...both(context, ast), ast)
      return ast.negated ? logic(context, 'not', [distinct], ast) : distinct
    }
    case 'between':
      return between(context, ast)
    case 'in':
      return isIn(context, ast)
    case 'like':
      return like(context, ast)
    case 'case':
      return resolveCase(context, ast)
    case 'cast':
      return cast(context, resolve(context, ast.operand), ast.type, ast.tried, ast)
    case 'extract': {
      const unit = context.factory.constant(STRING, ast.unit, ast)
      return callFunction(context, 'date_part', [unit, resolve(context, ast.operand)], ast)
    }
    case 'zone': {
      const args = [resolve(context, ast.operand), resolve(context, ast.zone)]
      return callFunction(context, 'at_zone', args, ast)
    }
    case 'element': {
      const args = [resolve(context, ast.operand), resolve(context, ast.index)]
      return callFunction(context, 'list_element', args, ast)
    }
    case 'arrow':
      return arrow(context, ast)
  }
}

type Of<K extends Ast['kind']> = Extract<Ast, { kind: K }>

function both(
  context: Resolving,
  { left, right }: { readonly left: Ast; readonly right: Ast },
): [Resolved, Resolved] {
  return [resolve(context, left), resolve(context, right)]
}

function maybeNot(context: Resolving, negated: boolean, node: Ir, span: Span): Ir {
  return negated ? logic(context, 'not', [node], span) : node
}

function concat(context: Resolving, ast: Span & { readonly operands: readonly Ast[] }): Ir {
  const operands = ast.operands.map((operand) => resolve(context, operand))
  const wrong = operands.find((operand) => !['string', 'null'].includes(typeOf(operand).kind))
  if (wrong !== undefined) {
    const name = typeName(typeOf(wrong))
    const hint = 'Write CAST(... AS string), or concat(...), which takes any values.'
    throw refuse(context, wrong, `"||" joins texts, not ${articled(name)}`, hint)
  }
  const args = operands.map((operand) => widened(context, operand, STRING))
  return operation(context, {
    op: 'concat',
    type: STRING,
    args,
    nullable: anyNullable(args),
    fails: anyFails(args),
    start: ast.start,
    end: ast.end,
  })
}

function is(context: Resolving, ast: Of<'is'>): Ir {
  const operand = resolve(context, ast.operand)
  const { test, start, end } = ast
  const flags = { type: BOOLEAN, nullable: false, start, end } as const
  if (test === 'null' || test === 'unknown') {
    const arg = test === 'null' && isTyped(operand) ? operand : condition(context, operand)
    const node = operation(context, { op: 'isNull', args: [arg], fails: arg.fails, ...flags })
    return maybeNot(context, ast.negated, node, ast)
  }
  const arg = condition(context, operand)
  const detail = test === 'true' ? '1' : '0'
  const node = operation(context, {
    op: 'isTruth',
    args: [arg],
    fails: arg.fails,
    detail,
    ...flags,
  })
  return maybeNot(context, ast.negated, node, ast)
}

function between(context: Resolving, ast: Of<'between'>): Ir {
  const operand = resolve(context, ast.operand)
  const low = compare(context, '>=', operand, resolve(context, ast.low), ast)
  const high = compare(context, '<=', operand, resolve(context, ast.high), ast)
  return maybeNot(context, ast.negated, logic(context, 'and', [low, high], ast), ast)
}

/** A short list is a chain of comparisons; a long one of constants is looked up. */
const LOOKED_UP_MIN = 8

function isIn(context: Resolving, ast: Of<'in'>): Ir {
  const operand = resolve(context, ast.operand)
  const items = ast.items.map((item) => resolve(context, item))
  const args = comparable(context, [operand, ...items], ast)
  const [first, ...rest] = args
  const constant = rest.every((item) => item.kind === 'constant' && item.value !== null)
  const sameScale = new Set(args.map(({ type }) => typeName(type))).size === 1
  if (first === undefined || !constant || !sameScale || rest.length < LOOKED_UP_MIN) {
    const tests = items.map((item) => compare(context, '=', operand, item, ast))
    const [only] = tests
    const node = tests.length === 1 && only !== undefined ? only : logic(context, 'or', tests, ast)
    return maybeNot(context, ast.negated, node, ast)
  }
  const node = operation(context, {
    op: 'in',
    type: BOOLEAN,
    args,
    nullable: first.nullable,
    fails: first.fails,
    start: ast.start,
    end: ast.end,
  })
  return maybeNot(context, ast.negated, node, ast)
}

function like(context: Resolving, ast: Of<'like'>): Ir {
  const operands = [resolve(context, ast.operand), resolve(context, ast.pattern)]
  const args = operands.map((operand) => widened(context, operand, STRING))
  const node = operation(context, {
    op: 'like',
    type: BOOLEAN,
    args,
    nullable: anyNullable(args),
    fails: true,
    detail: `${ast.ignoreCase ? 'I' : '-'}${ast.escape ?? '\\'}`,
    start: ast.start,
    end: ast.end,
  })
  return maybeNot(context, ast.negated, node, ast)
}

function resolveCase(context: Resolving, ast: Of<'case'>): Ir {
  const operand = ast.operand === null ? null : resolve(context, ast.operand)
  const branches = ast.branches.flatMap(({ when, result }) => {
    const test = resolve(context, when)
    return [
      operand === null ? test : compare(context, '=', operand, test, when),
      resolve(context, result),
    ]
  })
  const { start, end } = ast
  const otherwise: Resolved =
    ast.otherwise === null ? { kind: 'null', start, end } : resolve(context, ast.otherwise)
  return caseOf(context, [...branches, otherwise], ast)
}

function cast(
  context: Resolving,
  operand: Resolved,
  type: ColumnType,
  tried: boolean,
  span: Span,
): Ir {
  if (!isTyped(operand)) return widened(context, operand, type)
  const instead = castRefusal(operand.type, type)
  if (instead !== null) {
    const [from, to] = [typeName(operand.type), typeName(type)]
    const message = `${articled(from)} is not cast to ${articled(to)}`
    throw refuse(context, span, message, instead === '' ? undefined : instead)
  }
  if (typeName(operand.type) === typeName(type)) return operand
  return conversion(context, operand, type, tried, span)
}

function arrow(context: Resolving, ast: Of<'arrow'>): Ir {
  const operand = resolve(context, ast.operand)
  const { factory } = context
  const step =
    typeof ast.step === 'string'
      ? factory.constant(STRING, ast.step, ast)
      : factory.constant(LONG, BigInt(ast.step), ast)
  return callFunction(context, ast.text ? 'json_text' : 'json_member', [operand, step], ast)
}
