// Compiles the loops of rows-code.ts. A decoder is bound to no builders, so that all chunks of a
// table share the code that the first of them has warmed up.

import type { ColumnBuilder, ListBuilder } from '../../../runtime/data/column/builder.ts'
import { dump, harmless, kernels, type DecoderPlan } from './generate.ts'
import { EXACT_POWERS } from './float.ts'
import { hexByte, writeUuid } from './hex.ts'
import { copyRowsSource, logRowsSource, type RowsShape } from './rows-code.ts'
import { UnrepresentableValue } from './unrepresentable.ts'
import { elementName, valueTarget, type ValueTarget } from './value-code.ts'

/** What a call has decoded. */
export interface RowsDecoded {
  /** The row behind the last one. */
  row: number
  /** Bytes of the rows on the wire. */
  bytes: number
}

/**
 * Decodes frames from bytes[at] on into rows `row`, ... of `columns`, until `limit` or `bytesMax`
 * is reached, or a frame is not wholly before `end`, or is not one that it reads.
 *
 * @param oid    of the table whose rows a log has
 * @param views  by column, of the bytes that it is collected in; kept between calls
 * @returns where it stopped; never within a frame
 */
export type DecodeRows = (
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  oid: number,
  columns: readonly ColumnBuilder[],
  views: DataView[],
  ops: Uint8Array,
  row: number,
  limit: number,
  bytesMax: number,
  out: RowsDecoded,
) => number

export interface RowsPlan extends DecoderPlan {
  /** Frames with rows of COPY in binary form, or of pgoutput in text form. */
  readonly form: 'copy' | 'log'
  /** Columns of a tuple. */
  readonly columns: number
  /** Columns of a tuple that hold the key. */
  readonly key: Iterable<number>
}

/**
 * V8 optimises no function of more than 60 KB of its bytecode, and these have about one byte for
 * each of their characters: fifty columns. Left to the interpreter, a loop is slower than calls of
 * kernels, which are optimised each on its own.
 */
const SOURCE_MAX = 52_000

/** By source; a table has one for each of its structures and forms. */
const compiled = new Map<string, DecodeRows>()
const COMPILED_MAX = 256

/** @returns `null`: rows of this shape go to the kernels, one by one */
export function compileRows(plan: RowsPlan): DecodeRows | null {
  const source = rowsSource(plan)
  if (source === null || source.length > SOURCE_MAX) return null
  const known = compiled.get(source)
  if (known !== undefined) return known
  dump(`${plan.title} rows`, source)
  // The text comes from templates and numbers only.
  // oxlint-disable-next-line typescript/no-implied-eval
  const create = new Function(...Object.keys(runtime), source) as (
    ...names: readonly unknown[]
  ) => DecodeRows
  const decode = create(...Object.values(runtime))
  if (compiled.size === COMPILED_MAX) compiled.clear()
  compiled.set(source, decode)
  return decode
}

/** @returns the body of the function that makes the decoder */
export function rowsSource(plan: RowsPlan): string | null {
  const shape = shapeOf(plan)
  if (shape === null) return null
  const elements = shape.columns.flatMap((target) => {
    if (target === null || target.call.element === null) return []
    const { kernel, extra } = target.call.element
    return `const ${elementName(target.field)} = (b, r, x, s, e) => ${kernel}(b, r, x, s, e${extra})`
  })
  const rows = plan.form === 'copy' ? copyRowsSource(shape) : logRowsSource(shape)
  return [`'use strict' // ${harmless(plan.title)}`, ...elements, rows, ''].join('\n')
}

function shapeOf({ fields, columns, key, unrepresentableAsNull }: RowsPlan): RowsShape | null {
  const targets: (ValueTarget | null)[] = Array.from({ length: columns }, () => null)
  const absent = []
  for (const [field, decoded] of fields.entries()) {
    if (decoded.column < 0) {
      absent.push({ field, decoded })
      continue
    }
    const target = valueTarget(field, decoded, unrepresentableAsNull)
    if (target === null || targets[decoded.column] !== null) return null
    targets[decoded.column] = target
  }
  return { columns: targets, absent, key: new Set(key) }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Ends a list behind its last whole row. */
function endList(builder: ListBuilder, row: number): void {
  const { child } = builder
  builder.childLength = builder.offsets[row]!
  if (child.layout === 'bytes') child.bytesLength = child.offsets[builder.childLength]!
}

/** What generated code calls, by name. */
const runtime = {
  ...kernels,
  UnrepresentableValue,
  viewOf,
  endList,
  hexByte,
  writeUuid,
  powers: EXACT_POWERS,
}
