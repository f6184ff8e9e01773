// Calls of functions: which overload the arguments fit, and the kernel that it has for them.

import { nearestName } from '../../../base/nearest.ts'
import type { ColumnType } from '../../type.ts'
import { isNumeric, JSON_TEXT, sameExpressionType, STRING, typeName } from '../expression-type.ts'
import { asDecimal, widens, type ExpressionType } from '../expression-type.ts'
import { Refusal } from '../functions/function.ts'
import type { Binding, ConstantArgument, FunctionSpec } from '../functions/function.ts'
import type { Overload, Parameter } from '../functions/function.ts'
import { functions, REFUSED } from '../functions/registry.ts'
import type { Ir } from '../ir.ts'
import type { CallAst } from '../parse/ast.ts'
import type { Span } from '../place.ts'
import { CONDITIONAL } from './conditional.ts'
import { anyFails, anyNullable, isTyped, refuse, typeOf, widened } from './context.ts'
import type { Resolved, Resolving } from './context.ts'
import { unified } from './operators.ts'
import { REWRITTEN } from './rewritten.ts'

/** They need rows of a group, which no expression of a row has. */
const AGGREGATES: ReadonlySet<string> = new Set(
  (
    'count sum avg min max first_value last_value bool_and bool_or stddev_pop var_pop ' +
    'approx_count_distinct approx_percentile list_agg'
  ).split(' '),
)

/** A call as the grammar has it. */
export function resolveCall(context: Resolving, ast: CallAst, args: readonly Resolved[]): Ir {
  const name = ast.name.toLowerCase()
  const nameSpan = { start: ast.start, end: ast.nameEnd }
  const form = CONDITIONAL.get(name)
  const plain = form === undefined && !functions.has(name) && !REWRITTEN.has(name)
  if (ast.star || ast.distinct || ast.filter !== null || (plain && AGGREGATES.has(name))) {
    const hint = 'Write it in an `aggregate` entry of the pipeline file.'
    throw refuse(context, nameSpan, `${name} with rows of a group has no place here`, hint)
  }
  const rewritten = REWRITTEN.get(name)
  if (rewritten !== undefined) {
    const { arguments: wanted, resolve } = rewritten
    if (args.length === wanted) return resolve(context, args, ast, callFunction)
    const hint = `It is ${rewritten.usage}.`
    throw refuse(context, nameSpan, `${name} takes ${count(wanted, wanted)}`, hint)
  }
  if (form === undefined) return callFunction(context, name, args, ast, nameSpan)
  const [resolve, least, most] = form
  if (args.length < least || args.length > most) {
    throw refuse(context, nameSpan, `${name} takes ${count(least, most)}, not ${args.length}`)
  }
  return resolve(context, args, ast)
}

function count(least: number, most: number): string {
  const noun = most === 1 ? 'argument' : 'arguments'
  if (least === most) return `${least} ${noun}`
  return most >= 1000 ? `${least} arguments or more` : `${least} to ${most} ${noun}`
}

/** @throws PipelineError EXPRESSION_INVALID */
export function callFunction(
  context: Resolving,
  name: string,
  args: readonly Resolved[],
  span: Span,
  nameSpan: Span = span,
): Ir {
  const spec = functions.get(name)
  if (spec === undefined) throw unknownFunction(context, name, nameSpan)
  const overload = chosen(spec, args)
  if (overload === null) throw noOverload(context, spec, args, nameSpan)
  const targets = targetTypes(context, overload, args, span)
  const values = args.flatMap((arg, index) => {
    const target = targets[index]
    return target === undefined || target === null ? [] : [widened(context, arg, target)]
  })
  const types = values.map(({ type }) => type)
  const constants = constantsOf(args, values)
  const { zone, maskKey } = context.factory
  const result =
    typeof overload.result === 'function' ? overload.result(types, constants) : overload.result
  const kernel = prepared(context, overload, { types, constants, result, zone, maskKey }, args)
  const strict = overload.nulls !== 'kernel'
  const nullable =
    overload.nullable === true || (strict ? anyNullable(values) : overload.neverNull !== true)
  const intervals = JSON.stringify(constants, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
  const key = `${name}#${spec.overloads.indexOf(overload)} ${typeName(result)} ${intervals}`
  const call = context.factory.call(key, {
    name,
    args: values,
    type: result,
    nullable,
    fails: overload.fails === true || anyFails(values),
    nulls: overload.nulls ?? 'strict',
    costly: overload.costly === true && strict,
    kernel,
    start: span.start,
    end: span.end,
  })
  return context.fold(call)
}

function unknownFunction(context: Resolving, name: string, span: Span): Error {
  const instead = REFUSED.get(name)
  if (instead !== undefined) {
    const message = `${name} gives another value at every replay, so it is refused`
    return refuse(context, span, message, instead)
  }
  const near = nearestName(name, [...functions.keys(), ...CONDITIONAL.keys(), ...REWRITTEN.keys()])
  const hint = near === null ? undefined : `Is ${near} meant?`
  return refuse(context, span, `there is no function "${name}"`, hint)
}

function noOverload(
  context: Resolving,
  spec: FunctionSpec,
  args: readonly Resolved[],
  span: Span,
): Error {
  const types = args.map((arg) => typeName(typeOf(arg))).join(', ')
  const message = `${spec.name} does not take (${types})`
  return refuse(context, span, message, `It is ${spec.usage}.`)
}

/** The first without widening, else the one with the least. */
function chosen(spec: FunctionSpec, args: readonly Resolved[]): Overload | null {
  let best: Overload | null = null
  let bestCost = Infinity
  for (const overload of spec.overloads) {
    const cost = costOf(overload, args)
    if (cost < bestCost) {
      best = overload
      bestCost = cost
    }
  }
  return best
}

function parameterAt(overload: Overload, index: number): Parameter | null {
  const { parameters } = overload
  const last = parameters.length - 1
  if (index <= last) return parameters[index] ?? null
  return overload.variadic === true ? (parameters[last] ?? null) : null
}

function costOf(overload: Overload, args: readonly Resolved[]): number {
  if (args.length < overload.parameters.length - (overload.optional ?? 0)) return Infinity
  let cost = 0
  for (const [index, arg] of args.entries()) {
    const parameter = parameterAt(overload, index)
    cost += parameter === null ? Infinity : costOfArgument(parameter, arg)
  }
  return cost
}

/** Steps of widening; more for double, so that exact numbers stay exact where they can. */
const NUMBER_STEPS: Readonly<Record<string, number>> = {
  int: 0,
  long: 1,
  decimal: 2,
  float: 3,
  double: 4,
}
const GENERIC: ReadonlySet<string> = new Set(['any', 'same', 'element'])

function costOfArgument(parameter: Parameter, arg: Resolved): number {
  const type = typeOf(arg)
  if (parameter === 'interval') return type.kind === 'interval' ? 0 : Infinity
  if (type.kind === 'interval') return Infinity
  if (parameter.startsWith('constant ')) {
    if (!isTyped(arg) || arg.kind !== 'constant' || arg.value === null) return Infinity
    return costOfArgument(parameter.slice('constant '.length) as Parameter, arg)
  }
  if (type.kind === 'null') return 1
  if (GENERIC.has(parameter)) return 0
  if (parameter === 'number') return isNumeric(type) ? 0 : Infinity
  if (parameter === 'list') return type.kind === 'list' ? 0 : Infinity
  const target = targetOf(parameter, type)
  if (target === null) return Infinity
  const steps = (NUMBER_STEPS[target.kind] ?? 0) - (NUMBER_STEPS[type.kind] ?? 0)
  return sameExpressionType(target, type) ? 0 : Math.max(1, steps)
}

/** @returns what an argument of `type` becomes for a parameter; `null` when it does not fit */
function targetOf(parameter: Parameter, type: ExpressionType): ColumnType | null {
  const target = plainTarget(parameter, type)
  if (target === null) return null
  return type.kind === 'null' || widens(type, target) ? target : null
}

function plainTarget(parameter: Parameter, type: ExpressionType): ColumnType | null {
  switch (parameter) {
    case 'json':
      return JSON_TEXT
    case 'string':
      return STRING
    case 'decimal':
      return isNumeric(type) || type.kind === 'null' ? asDecimal(type) : null
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'uuid':
    case 'binary':
      return { kind: parameter }
    default:
      return null
  }
}

/** @returns by argument the type it is given; `null` for intervals, which stay constants */
function targetTypes(
  context: Resolving,
  overload: Overload,
  args: readonly Resolved[],
  span: Span,
): (ColumnType | null)[] {
  const same = args.filter((_, index) => parameterAt(overload, index) === 'same')
  const common = same.length === 0 ? null : unified(context, same, span)
  const [first] = args
  const list = first === undefined ? null : typeOf(first)
  return args.map((arg, index) => {
    const parameter = parameterAt(overload, index) ?? 'any'
    const type = typeOf(arg)
    if (parameter === 'interval') return null
    if (parameter === 'same') return common
    if (parameter === 'element' && list?.kind === 'list') return list.element
    if (parameter === 'any' || parameter === 'number' || parameter === 'list') {
      return type.kind === 'null' || type.kind === 'interval' ? STRING : type
    }
    return targetOf(parameter.replace('constant ', '') as Parameter, type) ?? STRING
  })
}

function constantsOf(args: readonly Resolved[], values: readonly Ir[]): ConstantArgument[] {
  let next = 0
  return args.map((arg) => {
    if (arg.kind === 'interval') return arg.interval
    const value = values[next++]
    if (value?.kind !== 'constant' || Array.isArray(value.value)) return undefined
    return value.value as ConstantArgument
  })
}

function prepared(
  context: Resolving,
  overload: Overload,
  binding: Binding,
  args: readonly Resolved[],
): ReturnType<Overload['prepare']> {
  try {
    return overload.prepare(binding)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const place = args[error.argument] ?? args[0] ?? { start: 0, end: 1 }
    throw refuse(context, place, error.message, error.hint)
  }
}
