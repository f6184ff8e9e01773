// Writes the loops that decode whole frames of rows, as they lie on the wire, into the columns of
// one schema: finding a value and writing it are one step, and what a row costs beside its values
// is paid once a call. A loop stops before the first frame that is not wholly there or not as
// usual: another table or message, a null where none may be, a value that has no place in the lake.
// That one goes the long way, message by message and value by value, which has a name for
// everything that can be wrong.

import { Op } from '../../../runtime/data/batch.ts'
import { binaryCode } from './binary-code.ts'
import { textCode } from './text-code.ts'
import { absentCode, closeCode, openCode, type ValueTarget } from './value-code.ts'

export interface RowsShape {
  /** By column of the tuple: the field that it fills; `null`: nobody takes it. */
  readonly columns: readonly (ValueTarget | null)[]
  /** Fields that no column fills. */
  readonly absent: readonly Pick<ValueTarget, 'field' | 'decoded'>[]
  /** Columns of the key, which an update never leaves out. */
  readonly key: ReadonlySet<number>
}

/** Parameters of every generated function; see `DecodeRows` in rows-decoder.ts. */
const PARAMETERS = 'bytes, view, at, end, oid, columns, views, ops, row, limit, bytesMax, out'

/** @returns source of a function over frames of COPY with rows in binary form */
export function copyRowsSource(shape: RowsShape): string {
  const count = shape.columns.length
  // Type, length, count of columns, and the length of each.
  const head = 7
  return functionSource(
    shape,
    head + 4 * count,
    `if (bytes[at] !== 100 || view.getUint16(at + 5) !== ${count}) break
let p = at + ${head}
${shape.columns.map((target, column) => copyColumn(target, 4 * (count - 1 - column))).join('\n')}
ops[row] = ${Op.read}; size += stop - at - 1`,
  )
}

/** @returns source of a function over frames of the log with inserts, updates and deletes */
export function logRowsSource(shape: RowsShape): string {
  const count = shape.columns.length
  // Type and length; letter, two places and a time; letter, oid and kind of tuple; columns.
  const head = 38
  return functionSource(
    shape,
    head + count,
    `if (bytes[at] !== 100 || bytes[at + 5] !== 119 || view.getUint32(at + 31) !== oid) break
const kind = bytes[at + 30], tuple = bytes[at + 35]
let op = ${Op.insert}
if (tuple === 78) { if (kind === 85) op = ${Op.update}; else if (kind !== 73) break }
else if (kind === 68 && (tuple === 75 || tuple === 79)) op = ${Op.delete}; else break
if (view.getUint16(at + 36) !== ${count}) break
let p = at + ${head}
${shape.columns.map((target, column) => logColumn(shape, target, column)).join('\n')}
ops[row] = op; size += stop - at - 30`,
  )
}

/** @param shortest  bytes of a frame whose columns are all null */
function functionSource({ columns, absent }: RowsShape, shortest: number, body: string): string {
  const taken = [...columns.filter((target) => target !== null), ...absent]
  const open = taken.map(({ field, decoded }) => openCode(field, decoded.type))
  const close = taken.map(({ field, decoded }) => closeCode(field, decoded.type))
  const nulls = absent.map(({ field, decoded }) => absentCode(field, decoded.type, 'markNull'))
  return `return function rows(${PARAMETERS}) {
${open.join('\n')}
const tail = view.byteLength - 4
let size = 0
try {
rows: while (row < limit && size < bytesMax && end - at >= ${shortest}) {
const stop = at + 1 + view.getInt32(at + 1)
if (stop > end || stop - at < ${shortest}) break
${body}
${nulls.join('\n')}
if (p !== stop) break
row++; at = stop
}
} catch { /* The row is read again by the kernels, which throw again where it matters. */ }
${close.filter((code) => code !== '').join('\n')}
out.row = row
out.bytes = size
return at
}`
}

/** @param behind  bytes that the columns behind this one have at least */
function copyColumn(target: ValueTarget | null, behind: number): string {
  const code = target === null ? null : binaryCode(target)
  const width = code?.width ?? null
  const test = width === null ? `l >= ${code?.shortest ?? 0}` : `l === ${width}`
  return `{ const l = view.getInt32(p); p += 4
const e = p + l
if (${test} && e <= stop - ${behind}) {
${code?.code ?? ''}
p ${width === null ? '= e' : `+= ${width}`}
} else if (l === -1) { ${nullCode(target, 'break rows')} } else break rows }`
}

function logColumn(shape: RowsShape, target: ValueTarget | null, column: number): string {
  const behind = shape.columns.length - 1 - column
  // The old row of a delete has its key alone.
  const required = `if (op !== ${Op.delete}) break rows`
  // Without its key the row is read again by the parser, which knows what to make of it.
  const none = shape.key.has(column) ? 'break rows' : nullCode(target, required)
  const unchanged =
    target === null ? '' : absentCode(target.field, target.decoded.type, 'markUnchanged')
  return `{ const k = bytes[p]
if (k === 116) { p += 5
if (p > stop) break rows
const l = view.getInt32(p - 4), e = p + l
if (l < 0 || e > stop - ${behind}) break rows
${target === null ? '' : textCode(target)}
p = e
} else if (k === 110) { ${none}; p += 1
} else if (k === 117) { ${shape.key.has(column) ? 'break rows' : `${unchanged}; p += 1`}
} else break rows }`
}

function nullCode(target: ValueTarget | null, required: string): string {
  if (target === null) return ''
  const { field, decoded } = target
  const code = absentCode(field, decoded.type, 'markNull')
  if (decoded.nullable) return code
  return required === 'break rows' ? required : `${required}; ${code}`
}
