// Functions that are written in terms of what there is already: a cast, an operator, another
// function. They have no kernel; the manual lists them beside those that have.

import { JSON_TEXT, STRING } from '../expression-type.ts'
import type { FunctionGroup } from '../functions/function.ts'
import type { Ir } from '../ir.ts'
import { parseExpression } from '../parse/parser.ts'
import type { ColumnType } from '../../type.ts'
import type { Span } from '../place.ts'
import { before, isChanged } from './before.ts'
import { conversion, isTyped, refuse, widened, type Resolved, type Resolving } from './context.ts'
import { arithmetic } from './operators.ts'
import { commitTime, eventTime } from './times.ts'

/** Resolves the call of another function. */
type Call = (context: Resolving, name: string, args: readonly Resolved[], span: Span) => Ir
type Resolve = (context: Resolving, args: readonly Resolved[], span: Span, call: Call) => Ir

export interface Rewritten {
  readonly group: FunctionGroup
  readonly usage: string
  readonly summary: string
  readonly resolve: Resolve
  readonly arguments: number
}

function toJson(tried: boolean): Resolve {
  return (context, [operand], span) => {
    const text = widened(context, operand ?? { kind: 'null', ...span }, STRING)
    return conversion(context, text, JSON_TEXT, tried, span)
  }
}

/** @throws PipelineError EXPRESSION_INVALID */
function typeIn(context: Resolving, arg: Resolved | undefined, span: Span): ColumnType {
  const hint = "Write it as a text: json_extract(j, '$.a', 'long')."
  if (
    arg === undefined ||
    !isTyped(arg) ||
    arg.kind !== 'constant' ||
    typeof arg.value !== 'string'
  ) {
    throw refuse(context, arg ?? span, 'a type is expected', hint)
  }
  const ast = parseExpression({ text: `CAST(x AS ${arg.value})`, what: 'type of json_extract' })
  if (ast.kind !== 'cast') throw refuse(context, arg, `"${arg.value}" is no type`, hint)
  return ast.type
}

const extract: Resolve = (context, [document, path, typed], span, call) => {
  const type = typeIn(context, typed, span)
  const args = [document, path].flatMap((arg) => arg ?? [])
  if (type.kind === 'list') throw refuse(context, typed ?? span, 'lists are not read from JSON')
  if (type.kind === 'string' && type.json === true) {
    return call(context, 'json_query', args, span)
  }
  const text = call(context, 'json_value', args, span)
  return type.kind === 'string' ? text : conversion(context, text, type, false, span)
}

const modulo: Resolve = (context, [left, right], span) => {
  if (left === undefined || right === undefined) throw refuse(context, span, 'mod takes two')
  return arithmetic(context, '%', left, right, span)
}

export const REWRITTEN: ReadonlyMap<string, Rewritten> = new Map<string, Rewritten>([
  [
    'mod',
    {
      group: 'numeric',
      usage: 'mod(x, y)',
      summary: 'What is left of the division, as `x % y`; it has the sign of `x`.',
      resolve: modulo,
      arguments: 2,
    },
  ],
  [
    'before',
    {
      group: 'change',
      usage: 'before(col)',
      summary: 'What the column was before the update; null for every row that is no update.',
      resolve: before,
      arguments: 1,
    },
  ],
  [
    'is_changed',
    {
      group: 'change',
      usage: 'is_changed(col)',
      summary: 'Whether the update changed the column; null for every row that is no update.',
      resolve: isChanged,
      arguments: 1,
    },
  ],
  [
    'commit_time',
    {
      group: 'time',
      usage: 'commit_time()',
      summary: 'The column __commit_time__: the latest commit of the log of a database so far.',
      resolve: commitTime,
      arguments: 0,
    },
  ],
  [
    'event_time',
    {
      group: 'time',
      usage: 'event_time()',
      summary:
        'When the row happened: by `source.event_time`, of a database else `commit_time()`. It has ' +
        'the type of the column that tells it.',
      resolve: eventTime,
      arguments: 0,
    },
  ],
  [
    'json_parse',
    {
      group: 'json',
      usage: 'json_parse(s)',
      summary: 'The text as json; an error where it is none.',
      resolve: toJson(false),
      arguments: 1,
    },
  ],
  [
    'try_json_parse',
    {
      group: 'json',
      usage: 'try_json_parse(s)',
      summary: 'The text as json; null where it is none.',
      resolve: toJson(true),
      arguments: 1,
    },
  ],
  [
    'json_extract',
    {
      group: 'json',
      usage: 'json_extract(j, path, type)',
      summary: "The value at a path as `type`, a text as 'long'; one that is none is an error.",
      resolve: extract,
      arguments: 3,
    },
  ],
])
