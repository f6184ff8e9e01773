// A value of a column as JSON, exact: integers with all their digits, decimals as strings, times in
// ISO 8601 with the microseconds that there are, binary in base64. What JSON has no number for (NaN
// and infinities) is a string.

import {
  isNull,
  type BytesColumn,
  type Column,
  type Int64Column,
} from '../../../runtime/data/column/column.ts'
import { setCivil, US_PER_DAY, type CivilDate } from '../../../runtime/data/expression/calendar.ts'
import { formatDecimal } from '../../../runtime/data/expression/kernels/number-text.ts'
import { uuidText } from '../../../runtime/data/expression/kernels/uuid-text.ts'
import type { JsonOutput } from '../protobuf/decode/json-output.ts'

const ZERO = 0x30
const QUOTE = 0x22
const MINUS = 0x2d
const COLON = 0x3a
const POINT = 0x2e
const COMMA = 0x2c
const LETTER_T = 0x54
const LETTER_Z = 0x5a
const DAY = BigInt(US_PER_DAY)

/** Writes the value at `row`, or `null`. One that is unchanged is not to be asked for. */
export function writeJson(out: JsonOutput, column: Column, row: number): void {
  if (isNull(column, row)) return out.ascii('null')
  switch (column.layout) {
    case 'bool8':
      return out.ascii(column.values[row] === 1 ? 'true' : 'false')
    case 'int32':
      if (column.type.kind === 'date') return writeDate(out, column.values[row]!)
      return out.integer(column.values[row]!)
    case 'float32':
      return out.float(column.values[row]!)
    case 'float64':
      return out.double(column.values[row]!)
    case 'int64':
      return writeInt64(out, column, row)
    case 'int128': {
      const high = column.values[2 * row + 1]!
      const value = (high << 64n) | BigInt.asUintN(64, column.values[2 * row]!)
      const scale = column.type.kind === 'decimal' ? column.type.scale : 0
      return out.ascii(`"${formatDecimal(value, scale)}"`)
    }
    case 'uuid16':
      return out.ascii(`"${uuidText(column.values, row * 16)}"`)
    case 'bytes':
      return writeBytes(out, column, row)
    case 'list':
      out.byte(0x5b)
      for (let at = column.offsets[row]!; at < column.offsets[row + 1]!; at++) {
        if (at > column.offsets[row]!) out.byte(COMMA)
        writeJson(out, column.child, at)
      }
      return out.byte(0x5d)
  }
}

function writeBytes(out: JsonOutput, { type, offsets, bytes }: BytesColumn, row: number): void {
  if (type.kind === 'binary') out.base64(bytes, offsets[row]!, offsets[row + 1]!)
  else out.string(bytes, offsets[row]!, offsets[row + 1]!)
}

function writeInt64(out: JsonOutput, { type, values }: Int64Column, row: number): void {
  const value = values[row]!
  switch (type.kind) {
    case 'decimal':
      return out.ascii(`"${formatDecimal(value, type.scale)}"`)
    case 'time':
      out.byte(QUOTE)
      writeClock(out, Number(value))
      return out.byte(QUOTE)
    case 'timestamp':
      return writeMoment(out, value, false)
    case 'timestamptz':
      return writeMoment(out, value, true)
    default:
      return writeLong(out, value)
  }
}

export function writeLong(out: JsonOutput, value: bigint): void {
  const narrow = Number(value)
  if (Number.isSafeInteger(narrow)) out.integer(narrow)
  else out.ascii(String(value))
}

const civil: CivilDate = { year: 0, month: 0, day: 0 }

function writeDate(out: JsonOutput, days: number): void {
  out.byte(QUOTE)
  writeDay(out, days)
  out.byte(QUOTE)
}

function writeMoment(out: JsonOutput, us: bigint, inUtc: boolean): void {
  let days = Math.floor(Number(us) / US_PER_DAY)
  let rest = Number(us) - days * US_PER_DAY
  if (!Number.isSafeInteger(Number(us))) {
    const whole = us / DAY - (us % DAY < 0n ? 1n : 0n)
    days = Number(whole)
    rest = Number(us - whole * DAY)
  }
  out.byte(QUOTE)
  writeDay(out, days)
  out.byte(LETTER_T)
  writeClock(out, rest)
  if (inUtc) out.byte(LETTER_Z)
  out.byte(QUOTE)
}

function writeDay(out: JsonOutput, days: number): void {
  setCivil(civil, days)
  const year = Math.abs(civil.year)
  if (civil.year < 0) out.byte(MINUS)
  for (let power = 1000; power > 1 && year < power; power /= 10) out.byte(ZERO)
  out.integer(year)
  out.byte(MINUS)
  two(out, civil.month)
  out.byte(MINUS)
  two(out, civil.day)
}

/** @param us  of the day */
function writeClock(out: JsonOutput, us: number): void {
  const seconds = Math.floor(us / 1_000_000)
  const minutes = Math.floor(seconds / 60)
  two(out, Math.floor(minutes / 60))
  out.byte(COLON)
  two(out, minutes % 60)
  out.byte(COLON)
  two(out, seconds % 60)
  let rest = us - seconds * 1_000_000
  if (rest === 0) return
  out.byte(POINT)
  for (let power = 100_000; rest > 0; power /= 10) {
    const digit = Math.floor(rest / power)
    out.byte(ZERO + digit)
    rest -= digit * power
  }
}

function two(out: JsonOutput, value: number): void {
  out.byte(ZERO + Math.floor(value / 10))
  out.byte(ZERO + (value % 10))
}
