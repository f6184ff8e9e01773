// Rows of a prepared statement, decoded in place into columns by a function that is generated for
// the shape of one table. A value has the form that the log's decoder gives it: a row that is read
// by a chunk and by the log is the same row.
// Source: MySQL 9.7 internals, "Binary Protocol Resultset Row".

import { PipelineError } from '../../../runtime/base/errors.ts'
import { layoutOf } from '../../../runtime/data/type.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import type { ChangeBuilder } from '../decode/change-builder.ts'
import type { MysqlType } from '../types.ts'
import type { ResultColumn } from '../wire/client.ts'
import { rowKernels } from './row-kernels.ts'

/** Decodes the row at bytes[start, ...) as row `row` of the builder. @returns its end */
export type DecodeRow = (bytes: Uint8Array, start: number, row: number) => number

export interface RowDecoder {
  /** Looks at the builder's arrays anew; after every `reserveRows` and `reset`. */
  refresh(): void
  readonly decode: DecodeRow
}

type Bind = (builder: ChangeBuilder, kernels: typeof rowKernels, refuse: Refuse) => RowDecoder
type Refuse = (column: number, reason: string) => never

/** Protocol types, as far as columns of tables have them. */
const Wire = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  bit: 16,
  decimal: 246,
} as const

const wireOfBase: Readonly<Record<string, number>> = {
  tinyint: Wire.tiny,
  smallint: Wire.short,
  mediumint: Wire.int24,
  int: Wire.long,
  bigint: Wire.longlong,
  year: Wire.year,
  float: Wire.float,
  double: Wire.double,
  decimal: Wire.decimal,
  bit: Wire.bit,
  date: Wire.date,
  time: Wire.time,
  datetime: Wire.datetime,
  timestamp: Wire.timestamp,
}

const UNSIGNED_FLAG = 0x20

/**
 * @param types    of the source columns, one a field of the schema
 * @param columns  of the result, as the server describes them
 * @throws PipelineError SCHEMA_MOVED when the result does not have these types
 */
export function checkResult(
  schema: TableSchema,
  types: readonly MysqlType[],
  columns: readonly ResultColumn[],
): void {
  const moved = schema.fields.find((_, at) => {
    const type = types[at]
    const column = columns[at]
    return type === undefined || column === undefined || !isOfType(type, column)
  })
  if (moved !== undefined || columns.length !== schema.fields.length) {
    const what = moved === undefined ? 'its columns' : `column ${moved.name}`
    throw new PipelineError('SCHEMA_MOVED', `table ${schema.table} changed ${what}`)
  }
}

function isOfType(type: MysqlType, column: ResultColumn): boolean {
  const expected = wireOfBase[type.base]
  // Everything that is sent as bytes is copied as bytes: there is nothing to decode wrongly.
  if (expected === undefined) return !Object.values<number>(Wire).includes(column.type)
  if (column.type !== expected) return false
  if (type.base === 'decimal') return column.decimals === type.scale
  const unsigned = (column.flags & UNSIGNED_FLAG) !== 0
  return !type.base.endsWith('int') || unsigned === type.unsigned
}

/** Source text of the decoder: also what MILLRACE_DUMP_DECODERS shows. */
export function rowDecoderSource(schema: TableSchema, types: readonly MysqlType[]): string {
  const fields = schema.fields
  const refresh = fields.map((field, at) => arraysOf(field, at)).join('')
  const declared = fields.map((_, at) => `let c${at} = builder.columns[${at}], v${at}, p${at}`)
  const nullBytes = (fields.length + 9) >> 3
  const body = fields.map((field, at) => columnSource(field, at, typeAt(types, at))).join('')
  return `'use strict'
// Rows of table ${JSON.stringify(schema.table)}, version ${schema.version}, in binary form.
${declared.join('\n')}
function refresh() {
${refresh}}
function decode(b, start, row) {
  let p = start + ${1 + nullBytes}, n = 0
${body}  return p
}
refresh()
return { refresh, decode }
`
}

function typeAt(types: readonly MysqlType[], at: number): MysqlType {
  const type = types[at]
  if (type === undefined) throw new PipelineError('SCHEMA_MOVED', 'a column has gone')
  return type
}

function arraysOf(field: Field, at: number): string {
  if (layoutOf(field.type) === 'bytes') return ''
  return `  v${at} = c${at}.values; p${at} = c${at}.pairs\n`
}

function columnSource(field: Field, at: number, type: MysqlType): string {
  const bit = at + 2
  return `  // ${JSON.stringify(field.name)} ${type.base}
  if ((b[start + ${1 + (bit >> 3)}] & ${1 << (bit & 7)}) !== 0) c${at}.setNull(row)
  else {
${valueSource(field, at, type)
  .split('\n')
  .map((line) => `    ${line}\n`)
  .join('')}  }
`
}

const INT32 = '(b[p] | (b[p + 1] << 8) | (b[p + 2] << 16) | (b[p + 3] << 24))'
const INT32_HIGH = '(b[p + 4] | (b[p + 5] << 8) | (b[p + 6] << 16) | (b[p + 7] << 24))'

/** JavaScript that reads one value at `p` into row `row`, and moves `p` behind it. */
function valueSource(field: Field, at: number, type: MysqlType): string {
  switch (type.base) {
    case 'tinyint':
      return field.type.kind === 'boolean'
        ? `if (b[p] > 1) refuse(${at}, 'a tinyint(1) that is neither 0 nor 1')\nv${at}[row] = b[p++]`
        : `v${at}[row] = ${type.unsigned ? 'b[p]' : '(b[p] << 24) >> 24'}\np += 1`
    case 'smallint':
      return `n = b[p] | (b[p + 1] << 8)\nv${at}[row] = ${type.unsigned ? 'n' : '(n << 16) >> 16'}\np += 2`
    case 'year':
      return `v${at}[row] = b[p] | (b[p + 1] << 8)\np += 2`
    case 'mediumint':
      return `v${at}[row] = ${INT32}\np += 4`
    case 'int':
      return type.unsigned
        ? `p${at}[2 * row] = ${INT32}\np${at}[2 * row + 1] = 0\np += 4`
        : `v${at}[row] = ${INT32}\np += 4`
    case 'bigint':
      return bigintSource(at, type.unsigned)
    case 'float':
      return `p${at}[row] = ${INT32}\np += 4`
    case 'double':
      return `p${at}[2 * row] = ${INT32}\np${at}[2 * row + 1] = ${INT32_HIGH}\np += 8`
    case 'date':
      return `n = b[p++]\nv${at}[row] = k.days(b, p, n, ${at}, refuse)\np += n`
    case 'datetime':
    case 'timestamp':
      return `n = b[p++]\nk.instant(b, p, n, p${at}, row, ${at}, refuse)\np += n`
    case 'time':
      return `n = b[p++]\nk.duration(b, p, n, p${at}, row)\np += n`
    default:
      return `${LENGTH}\n${lengthSource(field, at, type)}\np += n`
  }
}

function bigintSource(at: number, unsigned: boolean): string {
  if (!unsigned) return `p${at}[2 * row] = ${INT32}\np${at}[2 * row + 1] = ${INT32_HIGH}\np += 8`
  return `n = 4 * row
p${at}[n] = ${INT32}
p${at}[n + 1] = ${INT32_HIGH}
p${at}[n + 2] = 0
p${at}[n + 3] = 0
p += 8`
}

const LENGTH = `n = b[p++]
if (n > 250) { n = k.length(b, p - 1); p += k.lengthBytes(b[p - 1]) }`

function lengthSource(field: Field, at: number, type: MysqlType): string {
  if (type.base === 'bit') return `k.bits(b, p, n, p${at}, row, ${at}, refuse)`
  if (type.base === 'uuid') return `k.uuid(b, p, v${at}, row)`
  if (field.type.kind === 'decimal') {
    const { scale } = field.type
    const kernel = layoutOf(field.type) === 'int64' ? 'decimal64' : 'decimal128'
    return `k.${kernel}(b, p, p + n, ${scale}, p${at}, row)`
  }
  return `c${at}.setBytes(row, b, p, p + n)`
}

/** Compiles what `rowDecoderSource` gave. */
export function compileRowDecoder(source: string): Bind {
  // eslint-disable-next-line typescript/no-implied-eval -- the product decodes by generated code
  return new Function('builder', 'k', 'refuse', source) as Bind
}

/** @returns the decoder of one builder; `refuse` throws for a value that the lake cannot hold */
export function bindRowDecoder(bind: Bind, builder: ChangeBuilder): RowDecoder {
  const { schema } = builder
  return bind(builder, rowKernels, (column, reason) => {
    const name = schema.fields[column]?.name ?? String(column)
    throw new PipelineError(
      'VALUE_UNREPRESENTABLE',
      `column ${name} of table ${schema.table} has ${reason}`,
    )
  })
}
