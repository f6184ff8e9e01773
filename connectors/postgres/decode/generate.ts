// Writes the source of a decoder for one shape on the wire and one structure of the table, and
// compiles it. A generated decoder names its kernels and builders directly, so that every call in
// it has one target; a loop over columns with a table of functions costs two to three times as
// much. `MILLRACE_DUMP_DECODERS=dir` writes each one to a file.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import { layoutOf, type ColumnType, type PrimitiveType } from '../../../runtime/data/type.ts'
import type { WireType } from '../types.ts'
import * as floats from './float.ts'
import * as lists from './list.ts'
import * as numbers from './number.ts'
import * as numerics from './numeric.ts'
import * as plain from './plain.ts'
import * as times from './time.ts'
import { UnrepresentableValue } from './unrepresentable.ts'

/** One field of the table's structure, and the place on the wire that fills it. */
export interface DecodedField {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** Column of the tuple; -1: the wire does not have it, so the field is null. */
  readonly column: number
  readonly wire: WireType
  /** The value's form in the bytes. */
  readonly format: 'text' | 'binary'
}

export interface DecoderPlan {
  /** For the dumped file and its heading: `public.orders v3 log`. */
  readonly title: string
  readonly fields: readonly DecodedField[]
  /** Values without a place in the lake become null where the field is nullable. */
  readonly unrepresentableAsNull: boolean
}

/**
 * Writes one row into the builders.
 *
 * @param starts  by column of the tuple: offset of the value in `bytes`
 * @param lengths  by column: bytes of the value; -1 null, -2 unchanged
 * @throws UnrepresentableValue; the row's builders are then half written, and only `view` of the
 *         rows before it may be used
 */
export type RowDecoder = (
  bytes: Uint8Array,
  starts: Int32Array,
  lengths: Int32Array,
  row: number,
) => void

export const NULL_LENGTH = -1
export const UNCHANGED_LENGTH = -2

export const kernels = { ...floats, ...lists, ...numbers, ...numerics, ...plain, ...times }
export type KernelName = keyof typeof kernels

export interface Call {
  readonly kernel: KernelName
  /** Further arguments, as source text. */
  readonly extra: string
  /** Of a list: the call for one element. */
  readonly element: Call | null
}

/** @returns what binds decoders; `null` when a field cannot take what the wire has */
export function compileDecoder(plan: DecoderPlan): DecoderFactory | null {
  const source = decoderSource(plan)
  if (source === null) return null
  dump(plan.title, source)
  // The text comes from templates and numbers only; names of columns are comments, made harmless.
  // oxlint-disable-next-line typescript/no-implied-eval
  const create = new Function('kernels', 'UnrepresentableValue', 'builders', source) as (
    names: typeof kernels,
    error: typeof UnrepresentableValue,
    builders: readonly ColumnBuilder[],
  ) => RowDecoder
  return (builders) => create(kernels, UnrepresentableValue, builders)
}

/** Binds a decoder to builders, one a field in the plan's order. */
export type DecoderFactory = (builders: readonly ColumnBuilder[]) => RowDecoder

/**
 * @returns the body of the function that makes the decoder; `null`: a field cannot take its wire
 */
export function decoderSource(plan: DecoderPlan): string | null {
  const head: string[] = [`'use strict' // ${harmless(plan.title)}`]
  const body: string[] = []
  const used = new Set<KernelName>()
  for (const [index, field] of plan.fields.entries()) {
    const builder = `c${index}`
    head.push(`const ${builder} = builders[${index}]`)
    body.push(`  // ${harmless(field.name)}`)
    if (field.column < 0) {
      body.push(`  ${builder}.setNull(row)`)
      continue
    }
    const call = kernelCall(field)
    if (call === null) return null
    used.add(call.kernel)
    let extra = call.extra
    if (call.element !== null) {
      const { kernel, extra: more } = call.element
      used.add(kernel)
      head.push(`const e${index} = (b, r, x, s, e) => ${kernel}(b, r, x, s, e${more})`)
      extra = `, e${index}`
    }
    body.push(
      ...fieldSource(
        builder,
        field,
        `${call.kernel}(${builder}, row, bytes, at, at + length${extra})`,
        plan,
      ),
    )
  }
  const names = [...used].sort()
  if (names.length > 0) head.splice(1, 0, `const { ${names.join(', ')} } = kernels`)
  const decoder = ['return function decode(bytes, starts, lengths, row) {', '  let at = 0']
  return [...head, ...decoder, '  let length = 0', ...body, '}', ''].join('\n')
}

function fieldSource(
  builder: string,
  field: DecodedField,
  put: string,
  { unrepresentableAsNull }: DecoderPlan,
): string[] {
  const { column } = field
  const forgiving =
    unrepresentableAsNull && field.nullable && field.type.kind !== 'list' && canFail(field)
  const value = forgiving
    ? [
        `    try { ${put} }`,
        `    catch (error) {`,
        `      if (!(error instanceof UnrepresentableValue)) throw error`,
        `      ${builder}.setNull(row)`,
        `    }`,
      ]
    : [`    ${put}`]
  return [
    `  length = lengths[${column}]`,
    `  if (length >= 0) {`,
    `    at = starts[${column}]`,
    ...value,
    `  } else if (length === ${NULL_LENGTH}) ${builder}.setNull(row)`,
    `  else ${builder}.setUnchanged(row)`,
  ]
}

export function canFail({ type }: DecodedField): boolean {
  return ['decimal', 'date', 'time', 'timestamp', 'timestamptz'].includes(type.kind)
}

/** Keeps a name from ending the comment that it stands in. */
export function harmless(name: string): string {
  return name.replaceAll(/[^\w .,$-]/g, '?')
}

export function kernelCall({ type, wire, format }: DecodedField): Call | null {
  if (!wire.list) return scalarCall(type, wire, format)
  if (type.kind !== 'list') return null
  const element = scalarCall(type.element, { ...wire, list: false }, 'text')
  return element === null ? null : { kernel: 'putListText', extra: '', element }
}

function scalarCall(type: ColumnType, wire: WireType, format: 'text' | 'binary'): Call | null {
  if (type.kind === 'list') return null
  if (wire.kind === 'numeric') return decimalCall(type, format)
  const suffix = format === 'text' || wire.asText ? 'text' : 'binary'
  const kernel = kernelTable[`${wire.kind} ${type.kind} ${suffix}`]
  return kernel === undefined ? null : { kernel, extra: '', element: null }
}

function decimalCall(type: PrimitiveType, format: 'text' | 'binary'): Call | null {
  if (type.kind !== 'decimal') return null
  const bits = layoutOf(type) === 'int64' ? '64' : '128'
  const suffix = format === 'text' ? 'Text' : 'Binary'
  return { kernel: `putDecimal${bits}${suffix}`, extra: `, ${type.scale}`, element: null }
}

/** By kind on the wire, kind of the field, and format. What is missing here cannot be converted. */
const kernelTable: Readonly<Record<string, KernelName>> = {
  'bool boolean text': 'putBooleanText',
  'bool boolean binary': 'putBooleanBinary',
  'int2 int text': 'putInt32Text',
  'int2 int binary': 'putInt16Binary',
  'int2 long text': 'putInt64Text',
  'int2 long binary': 'putInt16BinaryAsLong',
  'int4 int text': 'putInt32Text',
  'int4 int binary': 'putInt32Binary',
  'int4 long text': 'putInt64Text',
  'int4 long binary': 'putInt32BinaryAsLong',
  'int8 long text': 'putInt64Text',
  'int8 long binary': 'putInt64Binary',
  'oid long text': 'putInt64Text',
  'oid long binary': 'putOidBinary',
  'float4 float text': 'putFloat32Text',
  'float4 float binary': 'putFloat32Binary',
  'float4 double text': 'putFloat32TextAsDouble',
  'float4 double binary': 'putFloat32BinaryAsDouble',
  'float8 double text': 'putFloat64Text',
  'float8 double binary': 'putFloat64Binary',
  'text string text': 'putBytes',
  'text string binary': 'putBytes',
  'jsonb string text': 'putBytes',
  'jsonb string binary': 'putJsonbBinary',
  'bytea binary text': 'putHexText',
  'bytea binary binary': 'putBytes',
  'uuid uuid text': 'putUuidText',
  'uuid uuid binary': 'putUuidBinary',
  'date date text': 'putDateText',
  'date date binary': 'putDateBinary',
  'time time text': 'putTimeText',
  'time time binary': 'putTimeBinary',
  'timestamp timestamp text': 'putTimestampText',
  'timestamp timestamp binary': 'putTimestampBinary',
  'timestamptz timestamptz text': 'putTimestamptzText',
  'timestamptz timestamptz binary': 'putTimestampBinary',
}

export function dump(title: string, source: string): void {
  const folder = process.env['MILLRACE_DUMP_DECODERS']
  if (folder === undefined || folder === '') return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${title.replaceAll(/[^\w.-]/g, '_')}.js`), source)
}
