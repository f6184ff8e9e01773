// Iceberg's serialisation of a single value: binary, as bounds and partition summaries have it, and
// JSON, as defaults have it. Both are exact; JSON is text, since a long does not survive a number.
// Source: Apache Iceberg specification, Appendix D, "Single-value serialization".

import type { PrimitiveType } from '../../../runtime/data/type.ts'

/**
 * boolean: boolean. int, date: number. long, time, timestamp, timestamptz: bigint. float, double:
 * number. decimal: bigint, unscaled. string: string. uuid: 16 bytes. binary: bytes.
 */
export type SingleValue = boolean | number | bigint | string | Uint8Array

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const MICROS_PER_SECOND = 1_000_000n
const SECONDS_PER_DAY = 86_400n

/** @returns the binary form, in memory of its own */
export function encodeSingleValue(type: PrimitiveType, value: SingleValue): Uint8Array {
  switch (type.kind) {
    case 'boolean':
      return Uint8Array.of(value === true ? 1 : 0)
    case 'int':
    case 'date':
      return stored(4, (view) => view.setInt32(0, value as number, true))
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return stored(8, (view) => view.setBigInt64(0, value as bigint, true))
    case 'float':
      return stored(4, (view) => view.setFloat32(0, value as number, true))
    case 'double':
      return stored(8, (view) => view.setFloat64(0, value as number, true))
    case 'decimal':
      return encodeBigEndian(value as bigint)
    case 'string':
      return utf8Encoder.encode(value as string)
    case 'uuid':
    case 'binary':
      return new Uint8Array(value as Uint8Array)
  }
}

/** @returns the value of its binary form */
export function decodeSingleValue(type: PrimitiveType, bytes: Uint8Array): SingleValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (type.kind) {
    case 'boolean':
      return bytes[0] !== 0
    case 'int':
    case 'date':
      return view.getInt32(0, true)
    case 'long':
      // An int column that became long keeps the four bytes of its old bounds.
      return bytes.length === 4 ? BigInt(view.getInt32(0, true)) : view.getBigInt64(0, true)
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return view.getBigInt64(0, true)
    case 'float':
      return view.getFloat32(0, true)
    case 'double':
      // The same for float that became double.
      return bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true)
    case 'decimal':
      return decodeBigEndian(bytes)
    case 'string':
      return utf8Decoder.decode(bytes)
    case 'uuid':
    case 'binary':
      return new Uint8Array(bytes)
  }
}

/** @returns the JSON form as text: `34`, `"14.20"`, `"2017-11-16T22:31:08+00:00"` */
export function formatSingleValue(type: PrimitiveType, value: SingleValue): string {
  switch (type.kind) {
    case 'boolean':
    case 'int':
    case 'long':
      return String(value)
    case 'float':
      return formatFloat(value as number, true)
    case 'double':
      return formatFloat(value as number, false)
    case 'decimal':
      return quoted(formatDecimal(value as bigint, type.scale))
    case 'date':
      return quoted(formatDate(BigInt(value as number)))
    case 'time':
      return quoted(formatTime(value as bigint))
    case 'timestamp':
      return quoted(formatTimestamp(value as bigint))
    case 'timestamptz':
      return quoted(`${formatTimestamp(value as bigint)}+00:00`)
    case 'string':
      return JSON.stringify(value)
    case 'uuid':
      return quoted(hexOf(value as Uint8Array).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'))
    case 'binary':
      return quoted(hexOf(value as Uint8Array).toUpperCase())
  }
}

/** @returns the shortest big-endian two's complement of `value` */
export function encodeBigEndian(value: bigint): Uint8Array {
  let length = 1
  while (BigInt.asIntN(8 * length, value) !== value) length++
  const bytes = new Uint8Array(length)
  let rest = value
  for (let at = length - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}

/** @returns the number that big-endian two's complement `bytes` of any length stand for */
export function decodeBigEndian(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return BigInt.asIntN(8 * bytes.length, value)
}

function stored(length: number, store: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length)
  store(new DataView(bytes.buffer))
  return bytes
}

/** JSON has no NaN and no infinities: Iceberg's writer puts them into quotes. */
function formatFloat(value: number, single: boolean): string {
  if (!Number.isFinite(value)) return quoted(String(value))
  if (Object.is(value, -0)) return '-0.0'
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return `${value}.0`
  return single ? shortestFloat(value) : String(value)
}

/** The fewest digits that read back as the same float: a double's 17 say more than it knows. */
function shortestFloat(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(value)
}

function formatDecimal(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : ''
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  if (scale === 0) return sign + digits
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

function formatDate(days: bigint): string {
  const { year, month, day } = civilDate(Number(days))
  const digits = String(Math.abs(year)).padStart(4, '0')
  const sign = year < 0 ? '-' : year > 9999 ? '+' : ''
  return `${sign}${digits}-${twoDigits(month)}-${twoDigits(day)}`
}

/** Proleptic Gregorian calendar, counted in eras of 400 years that begin on a 1st of March. */
function civilDate(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}

function formatTime(micros: bigint): string {
  const seconds = Number(micros / MICROS_PER_SECOND)
  const fraction = String(micros % MICROS_PER_SECOND).padStart(6, '0')
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const text = clock.map(twoDigits).join(':')
  return fraction === '000000' ? text : `${text}.${fraction}`
}

function formatTimestamp(micros: bigint): string {
  const microsPerDay = SECONDS_PER_DAY * MICROS_PER_SECOND
  let days = micros / microsPerDay
  if (micros % microsPerDay < 0n) days -= 1n
  return `${formatDate(days)}T${formatTime(micros - days * microsPerDay)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function quoted(text: string): string {
  return `"${text}"`
}
