// What a record must give, computed the slow and obvious way: JSON.parse with the source of every
// number, bigints, and regular expressions.

import type { ColumnType, PrimitiveType } from '../../../runtime/data/type.ts'
import type { JsonColumn } from '../../../connectors/kafka/json/columns.ts'
import type { Row } from './records.ts'

class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export class Misfit extends Error {}

function parse(bytes: Uint8Array): unknown {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  const revive = (_: string, value: unknown, { source }: { source?: string }): unknown =>
    typeof value === 'number' ? new NumberText(source!) : value
  return JSON.parse(text, revive as Parameters<typeof JSON.parse>[1])
}

/** @returns the row; `null`: the record is dirty */
export function expectedRow(bytes: Uint8Array, columns: readonly JsonColumn[]): Row | null {
  try {
    const document = parse(bytes)
    if (!isObject(document)) return null
    return Object.fromEntries(
      columns.map((column) => [column.name, valueOf(at(document, column.path), column)]),
    )
  } catch (error) {
    if (error instanceof Misfit || error instanceof SyntaxError || error instanceof TypeError) {
      return null
    }
    throw error
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain && !(value instanceof NumberText)
}

function at(document: unknown, path: readonly string[]): unknown {
  let value = document
  for (const name of path) {
    if (value === null || value === undefined) return null
    if (!isObject(value)) throw new Misfit()
    value = Object.hasOwn(value, name) ? value[name] : null
  }
  return value
}

function valueOf(value: unknown, { type, nullable, encoding }: JsonColumn): unknown {
  if (value === null || value === undefined) {
    if (!nullable) throw new Misfit()
    return null
  }
  if (type.kind !== 'list') return scalar(value, type, encoding)
  if (!Array.isArray(value)) throw new Misfit()
  const { element } = type
  return value.map((one) => (one === null ? null : scalar(one, element, encoding)))
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

function numberText(value: unknown): string {
  if (value instanceof NumberText) return value.text
  if (typeof value === 'string' && NUMBER.test(value)) return value
  throw new Misfit()
}

/** The number times 10^scale, exactly. */
function scaled(text: string, scale: number): bigint {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!
  let digits = BigInt(`${whole}${fraction}`)
  const places = Number(exponent) - fraction.length + scale
  if (digits === 0n) return 0n
  if (places > 100 || places < -1000) throw new Misfit()
  if (places >= 0) digits *= 10n ** BigInt(places)
  else {
    const divisor = 10n ** BigInt(-places)
    if (digits % divisor !== 0n) throw new Misfit()
    digits /= divisor
  }
  return sign === '-' ? -digits : digits
}

function within(value: bigint, bits: bigint): bigint {
  if (BigInt.asIntN(Number(bits), value) !== value) throw new Misfit()
  return value
}

function double(value: unknown): number {
  if (typeof value === 'string' && /^(?:NaN|-?Infinity)$/.test(value)) return Number(value)
  const number = Number(numberText(value))
  if (!Number.isFinite(number)) throw new Misfit()
  return number
}

const UNITS = { d: 0, s: 6, ms: 3, us: 0, ns: -3 } as const

function scalar(value: unknown, type: PrimitiveType, encoding: JsonColumn['encoding']): unknown {
  if (encoding.kind === 'number') {
    const ticks = scaled(numberText(value), UNITS[encoding.unit])
    if (type.kind === 'date') return Number(within(ticks, 32n))
    return within(ticks, 64n)
  }
  switch (type.kind) {
    case 'boolean':
      if (typeof value !== 'boolean') throw new Misfit()
      return value
    case 'int':
      return Number(within(scaled(numberText(value), 0), 32n))
    case 'long':
      return within(scaled(numberText(value), 0), 64n)
    case 'decimal': {
      const unscaled = scaled(numberText(value), type.scale)
      const limit = 10n ** BigInt(type.precision)
      if (unscaled >= limit || unscaled <= -limit) throw new Misfit()
      return unscaled
    }
    case 'double':
      return double(value)
    case 'float': {
      const exact = double(value)
      if (Number.isFinite(exact) && !Number.isFinite(Math.fround(exact))) throw new Misfit()
      return Math.fround(exact)
    }
    case 'string':
      return type.json === true ? json(value) : string(value)
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return instant(value, type.kind)
    case 'uuid':
      return match(value, /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i)[0]
        .replaceAll('-', '')
        .toLowerCase()
    case 'binary':
      return base64(value)
  }
}

function string(value: unknown): string {
  if (value instanceof NumberText) return value.text
  if (typeof value === 'boolean') return String(value)
  if (typeof value !== 'string' || !value.isWellFormed()) throw new Misfit()
  return value
}

/** Compared as documents: the text itself keeps escapes and numbers as they were written. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner instanceof NumberText ? `number ${inner.text}` : inner,
  )
}

/** The same of a json column's text. */
export function jsonOf(text: string): string {
  return json(parse(Buffer.from(text)))
}

function match(value: unknown, pattern: RegExp): RegExpExecArray {
  const found = typeof value === 'string' ? pattern.exec(value) : null
  if (found === null) throw new Misfit()
  return found
}

function base64(value: unknown): string {
  const [text = ''] = match(value, /^[\w+/-]*={0,2}$/)
  const bytes = Buffer.from(text, 'base64')
  const plain = text.replaceAll('=', '').replaceAll('-', '+').replaceAll('_', '/')
  if (bytes.toString('base64').replaceAll('=', '') !== plain) throw new Misfit()
  return bytes.toString('hex')
}

const DATE = String.raw`(\d{4})-(\d\d)-(\d\d)`
const CLOCK = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})0*)?)?`
const ZONE = String.raw` ?(?:[zZ]|([+-]\d\d)(?::?(\d\d))?)`
const PATTERNS = {
  date: new RegExp(`^${DATE}$`),
  time: new RegExp(`^()()()${CLOCK}$`),
  timestamp: new RegExp(`^${DATE}[tT ]${CLOCK}$`),
  timestamptz: new RegExp(`^${DATE}[tT ]${CLOCK}${ZONE}$`),
}

function instant(value: unknown, kind: keyof typeof PATTERNS): number | bigint {
  const found = match(value, PATTERNS[kind])
  const [year, month, day, hour, minute, second] = found
    .slice(1, 7)
    .map((text) => Number(text ?? 0))
  const date = new Date(0)
  if (kind !== 'time') {
    date.setUTCFullYear(year!, month! - 1, day)
    const isSame = date.getUTCFullYear() === year && date.getUTCMonth() === month! - 1
    if (!isSame || date.getUTCDate() !== day || year === 0) throw new Misfit()
  }
  const days = date.getTime() / 86_400_000
  if (kind === 'date') return days
  if (hour! > 23 || minute! > 59 || second! > 59) throw new Misfit()
  const micros = BigInt((found[7] ?? '').padEnd(6, '0'))
  const seconds = BigInt(days * 86_400 + hour! * 3600 + minute! * 60 + second!)
  const zone = zoneSeconds(found[8], found[9])
  return (seconds - zone) * 1_000_000n + micros
}

function zoneSeconds(hours: string | undefined, minutes: string | undefined): bigint {
  if (hours === undefined) return 0n
  const [h, m] = [Number(hours.slice(1)), Number(minutes ?? 0)]
  if (h > 23 || m > 59) throw new Misfit()
  return BigInt((h * 3600 + m * 60) * (hours[0] === '-' ? -1 : 1))
}

export function isJson(type: ColumnType): boolean {
  return type.kind === 'string' && type.json === true
}
