// A value as JSON that people read: keys in the output of `verify`. Two values have one text only
// when they are the same.

import { isNull, type Column } from '../../data/column/column.ts'
import type { ColumnType } from '../../data/type.ts'

const DAY_MS = 86_400_000
const DAY_US = 86_400_000_000n

/** @returns JSON: numbers exactly, times in ISO form, uuid dashed, bytes in hex */
export function valueText(column: Column, row: number): string {
  if (isNull(column, row)) return 'null'
  switch (column.layout) {
    case 'bool8':
      return column.values[row] === 1 ? 'true' : 'false'
    case 'int32': {
      const value = column.values[row] ?? 0
      return column.type.kind === 'date' ? `"${dateText(value)}"` : String(value)
    }
    case 'float32':
    case 'float64':
      return floatText(column.values[row] ?? 0)
    case 'int64':
      return wideText(column.values[row] ?? 0n, column.type)
    case 'int128': {
      const low = BigInt.asUintN(64, column.values[2 * row] ?? 0n)
      return wideText(((column.values[2 * row + 1] ?? 0n) << 64n) | low, column.type)
    }
    case 'uuid16': {
      const hex = hexOf(column.values, row * 16, row * 16 + 16)
      return `"${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}"`
    }
    case 'bytes': {
      const [start, end] = [column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0]
      if (column.type.kind === 'binary') return `"${hexOf(column.bytes, start, end)}"`
      return JSON.stringify(Buffer.from(column.bytes.subarray(start, end)).toString())
    }
    case 'list': {
      const [start, end] = [column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0]
      const elements: string[] = []
      for (let at = start; at < end; at++) elements.push(valueText(column.child, at))
      return `[${elements.join(',')}]`
    }
  }
}

function hexOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('hex')
}

function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0'
  return Number.isFinite(value) ? String(value) : `"${value}"`
}

function wideText(value: bigint, type: ColumnType): string {
  switch (type.kind) {
    case 'decimal':
      return scaledText(value, type.scale)
    case 'time':
      return `"${clockText(value)}"`
    case 'timestamp':
      return `"${momentText(value)}"`
    case 'timestamptz':
      return `"${momentText(value)}Z"`
    default:
      return value.toString()
  }
}

function scaledText(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const point = digits.length - scale
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return negative ? `-${text}` : text
}

/** Beyond what a JavaScript date can hold the count of days says which day it is. */
function dateText(days: number): string {
  const date = new Date(days * DAY_MS)
  return Number.isNaN(date.getTime()) ? `day ${days}` : date.toISOString().slice(0, -14)
}

function momentText(us: bigint): string {
  const inDay = ((us % DAY_US) + DAY_US) % DAY_US
  return `${dateText(Number((us - inDay) / DAY_US))}T${clockText(inDay)}`
}

function clockText(us: bigint): string {
  const seconds = us / 1_000_000n
  const parts = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n]
  const whole = parts.map((part) => String(part).padStart(2, '0')).join(':')
  const rest = us % 1_000_000n
  return rest === 0n ? whole : `${whole}.${String(rest).padStart(6, '0')}`
}
