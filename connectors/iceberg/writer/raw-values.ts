// Single values outside columns, for the few rows that are taken apart: rows read back from data
// files, and partial rows in the checkpoint. Never used on the way of whole batches.
//
// A raw value is: boolean · number for int, date, float and double · bigint for long, times and
// decimals (unscaled) · Uint8Array for string (UTF-8), uuid and binary · an array for a list ·
// null.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type {
  ColumnBuilder,
  FixedBuilder,
  ListBuilder,
} from '../../../runtime/data/column/builder.ts'
import { isNull, type Column } from '../../../runtime/data/column/column.ts'
import type { Literal } from '../../../runtime/data/literal.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'

export type RawValue = boolean | number | bigint | Uint8Array | readonly RawValue[] | null

/** @returns the value of `row`, which is not an unchanged one; bytes are copies */
export function rawOf(column: Column, row: number): RawValue {
  if (isNull(column, row)) return null
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
      return column.values[row] ?? null
    case 'int128': {
      const low = column.values[2 * row] ?? 0n
      const high = column.values[2 * row + 1] ?? 0n
      return (high << 64n) | BigInt.asUintN(64, low)
    }
    case 'uuid16':
      return column.values.slice(row * 16, row * 16 + 16)
    case 'bytes':
      return column.bytes.slice(column.offsets[row], column.offsets[row + 1])
    case 'list': {
      const elements: RawValue[] = []
      const end = column.offsets[row + 1] ?? 0
      for (let at = column.offsets[row] ?? 0; at < end; at++) elements.push(rawOf(column.child, at))
      return elements
    }
  }
}

/**
 * Puts a value into `row` of a builder; a value of a narrower type (int for long, ...) is widened.
 *
 * @throws PipelineError LAKE_FORMAT when the value is of another type
 */
export function setRaw(builder: ColumnBuilder, row: number, value: RawValue): void {
  builder.reserveRows(row + 1)
  if (value === null) {
    builder.setNull(row)
    return
  }
  switch (builder.layout) {
    case 'bytes':
      if (!(value instanceof Uint8Array)) throw unexpected(builder.type, value)
      builder.setBytes(row, value, 0, value.length)
      return
    case 'list':
      setList(builder, row, value)
      return
    default:
      setFixed(builder, row, value)
  }
}

function setList(builder: ListBuilder, row: number, value: RawValue): void {
  if (!Array.isArray(value)) throw unexpected(builder.type, value)
  for (const element of value as readonly RawValue[]) {
    setRaw(builder.child, builder.childLength, element)
    builder.childLength++
  }
  builder.endRow(row)
}

function setFixed(builder: FixedBuilder, row: number, value: RawValue): void {
  const { values, layout } = builder
  if (layout === 'uuid16') {
    if (!(value instanceof Uint8Array) || value.length !== 16) throw unexpected(builder.type, value)
    ;(values as Uint8Array).set(value, row * 16)
    return
  }
  if (layout === 'bool8') {
    if (typeof value !== 'boolean') throw unexpected(builder.type, value)
    values[row] = value ? 1 : 0
    return
  }
  if (values instanceof BigInt64Array) {
    if (typeof value !== 'number' && typeof value !== 'bigint')
      throw unexpected(builder.type, value)
    setWide(values, layout === 'int128', row, BigInt(value))
    return
  }
  if (typeof value !== 'number') throw unexpected(builder.type, value)
  values[row] = value
}

function setWide(values: BigInt64Array, is128: boolean, row: number, value: bigint): void {
  if (!is128) {
    values[row] = value
    return
  }
  values[2 * row] = BigInt.asIntN(64, value)
  values[2 * row + 1] = value >> 64n
}

function unexpected(type: ColumnType, value: RawValue): PipelineError {
  const message = `a stored value is not of type ${type.kind}`
  return new PipelineError('LAKE_FORMAT', message, { detail: `It is a ${typeof value}.` })
}

/** @returns a default as a raw value of a column of `type` */
export function rawOfLiteral(literal: Literal, type: ColumnType): RawValue {
  if (typeof literal === 'string') return new TextEncoder().encode(literal)
  if (typeof literal === 'bigint' && (type.kind === 'int' || type.kind === 'date')) {
    return Number(literal)
  }
  return literal
}

/** The JSON form of a raw value: what JSON cannot say is an object with one letter. */
export type StoredValue =
  | boolean
  | null
  | { readonly n: string }
  | { readonly i: string }
  | { readonly b: string }
  | { readonly l: readonly StoredValue[] }

export function storeValue(value: RawValue): StoredValue {
  if (value === null || typeof value === 'boolean') return value
  // As text, since JSON has neither NaN nor -0.
  if (typeof value === 'number') return { n: Object.is(value, -0) ? '-0' : String(value) }
  if (typeof value === 'bigint') return { i: value.toString() }
  if (value instanceof Uint8Array) return { b: Buffer.from(value).toString('base64') }
  return { l: value.map(storeValue) }
}

export function restoreValue(value: StoredValue): RawValue {
  if (value === null || typeof value === 'boolean') return value
  if ('n' in value) return Number(value.n)
  if ('i' in value) return BigInt(value.i)
  if ('b' in value) return new Uint8Array(Buffer.from(value.b, 'base64'))
  return value.l.map(restoreValue)
}
