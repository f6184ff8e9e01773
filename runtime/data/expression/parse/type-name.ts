// Names of types as users write them: Iceberg's, and what PostgreSQL, MySQL and DuckDB call the
// same. A type that would have to be narrowed to fit (varchar(10)) is refused, not rounded.

import { nearestName } from '../../../base/nearest.ts'
import type { ColumnType, PrimitiveType } from '../../type.ts'
import type { Token } from './lexer.ts'
import type { TokenStream } from './token-stream.ts'

const JSON_TYPE: PrimitiveType = { kind: 'string', json: true }

const NAMES: ReadonlyMap<string, PrimitiveType> = new Map(
  Object.entries({
    boolean: { kind: 'boolean' },
    bool: { kind: 'boolean' },
    int: { kind: 'int' },
    integer: { kind: 'int' },
    int4: { kind: 'int' },
    long: { kind: 'long' },
    bigint: { kind: 'long' },
    int8: { kind: 'long' },
    float: { kind: 'float' },
    real: { kind: 'float' },
    float4: { kind: 'float' },
    double: { kind: 'double' },
    float8: { kind: 'double' },
    date: { kind: 'date' },
    time: { kind: 'time' },
    timestamp: { kind: 'timestamp' },
    datetime: { kind: 'timestamp' },
    timestamptz: { kind: 'timestamptz' },
    string: { kind: 'string' },
    text: { kind: 'string' },
    varchar: { kind: 'string' },
    json: JSON_TYPE,
    jsonb: JSON_TYPE,
    uuid: { kind: 'uuid' },
    binary: { kind: 'binary' },
    bytea: { kind: 'binary' },
    blob: { kind: 'binary' },
  } satisfies Record<string, PrimitiveType>),
)

const DECIMALS: ReadonlySet<string> = new Set(['decimal', 'numeric'])
export const DECIMAL_DIGITS_MAX = 38

/** @returns the type whose name comes next; `int[]` and `list<int>` are the same */
export function parseType(stream: TokenStream): ColumnType {
  const token = stream.expectName('a type')
  if (token.text.toLowerCase() === 'list' && stream.accept('<')) {
    const element = elementOf(stream, token, parseType(stream))
    stream.expect('>')
    return element
  }
  const type = parsePrimitive(stream, token)
  if (!stream.accept('[')) return type
  stream.expect(']')
  return elementOf(stream, token, type)
}

function elementOf(stream: TokenStream, token: Token, element: ColumnType): ColumnType {
  if (element.kind === 'list') throw stream.error(token, 'a list of lists is not supported')
  return { kind: 'list', element }
}

function parsePrimitive(stream: TokenStream, token: Token): PrimitiveType {
  const name = token.text.toLowerCase()
  if (DECIMALS.has(name)) return parseDecimal(stream, token)
  const type = NAMES.get(name)
  if (type === undefined) {
    const near = nearestName(name, [...NAMES.keys(), ...DECIMALS, 'list'])
    const hint = near === null ? undefined : `Is ${near} meant?`
    throw stream.error(token, `there is no type "${token.text}"`, hint)
  }
  if (name === 'double') stream.accept('PRECISION')
  if (name === 'timestamp' && stream.accept('WITH', 'TIME', 'ZONE')) return { kind: 'timestamptz' }
  if (name === 'timestamp' || name === 'time') stream.accept('WITHOUT', 'TIME', 'ZONE')
  if (stream.sees('(')) {
    const hint = 'Write the type without parentheses; `left(text, n)` cuts a text.'
    throw stream.error(stream.peek(), `type ${name} has no length or precision`, hint)
  }
  return type
}

function parseDecimal(stream: TokenStream, token: Token): PrimitiveType {
  if (!stream.accept('(')) {
    const hint = 'Write decimal(precision, scale), as decimal(18, 2).'
    throw stream.error(token, 'a decimal needs its precision', hint)
  }
  const precision = parseCount(stream)
  const scale = stream.accept(',') ? parseCount(stream) : 0
  stream.expect(')')
  if (precision < 1 || precision > DECIMAL_DIGITS_MAX || scale > precision) {
    const range = `decimal(${precision}, ${scale}) is out of range`
    throw stream.error(token, range, 'Precision is 1 to 38, scale 0 to precision.')
  }
  return { kind: 'decimal', precision, scale }
}

function parseCount(stream: TokenStream): number {
  const token = stream.peek()
  if (token.kind !== 'number' || !/^\d{1,3}$/.test(token.text)) throw stream.unexpected('a count')
  stream.next()
  return Number(token.text)
}
