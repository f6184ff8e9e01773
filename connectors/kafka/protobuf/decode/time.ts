// Timestamps and durations: seconds and nanoseconds in two fields, microseconds in the lake. The
// seconds times a million do not fit a double, so they are multiplied in two parts.

import { fail, Fault, pair, skip, tag, varint, Wire } from './wire.ts'

/** Seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z. */
export const TIMESTAMP_SECONDS_MIN = -62_135_596_800
export const TIMESTAMP_SECONDS_MAX = 253_402_300_799
export const DURATION_SECONDS_MAX = 315_576_000_000
export const NANOS_MAX = 999_999_999

const WORD = 4_294_967_296

/** @returns seconds of the two halves of an int64; inexact beyond 2^53, where none is legal */
export function secondsOf(low: number, high: number): number {
  return high * WORD + (low >>> 0)
}

/** Writes microseconds since 1970 as the words of `row`. @param at  for the error */
export function putTimestamp(
  words: Int32Array,
  row: number,
  low: number,
  high: number,
  nanos: number,
  at: number,
): void {
  const seconds = secondsOf(low, high)
  checkTimestamp(seconds, nanos, at)
  putMicros(words, row, seconds, Math.floor(nanos / 1000))
}

export function checkTimestamp(seconds: number, nanos: number, at: number): void {
  if (seconds < TIMESTAMP_SECONDS_MIN || seconds > TIMESTAMP_SECONDS_MAX) fail(Fault.timestamp, at)
  if (nanos < 0 || nanos > NANOS_MAX) fail(Fault.timestamp, at)
}

/** Writes microseconds as the words of `row`, cut towards zero. */
export function putDuration(
  words: Int32Array,
  row: number,
  low: number,
  high: number,
  nanos: number,
  at: number,
): void {
  const seconds = secondsOf(low, high)
  checkDuration(seconds, nanos, at)
  putMicros(words, row, seconds, Math.trunc(nanos / 1000))
}

export function checkDuration(seconds: number, nanos: number, at: number): void {
  if (Math.abs(seconds) > DURATION_SECONDS_MAX) fail(Fault.duration, at)
  if (Math.abs(nanos) > NANOS_MAX) fail(Fault.duration, at)
  if ((seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0)) fail(Fault.duration, at)
}

function putMicros(words: Int32Array, row: number, seconds: number, micros: number): void {
  const upper = Math.floor(seconds / 65_536)
  const lower = seconds - upper * 65_536
  const high = upper * 1_000_000
  // seconds * 1e6 + micros = high * 2^16 + rest
  const rest = lower * 1_000_000 + micros
  const carried = Math.floor(rest / 65_536)
  const sum = high + carried
  words[row * 2] = ((sum % 65_536) * 65_536 + (rest - carried * 65_536)) | 0
  words[row * 2 + 1] = Math.floor(sum / 65_536)
}

/** Seconds and nanoseconds as a message that may come in pieces has them so far. */
export class TimeParts {
  low = 0
  high = 0
  nanos = 0
  /** Where the last piece begins, for errors. */
  at = 0

  clear(): void {
    this.low = 0
    this.high = 0
    this.nanos = 0
  }

  /** Reads the fields of bytes[at, end). @returns `end` */
  read(bytes: Uint8Array, at: number, end: number, depth: number): number {
    this.at = at
    for (let place = at; place < end;) {
      place = tag(bytes, place, end)
      const found = pair[0]!
      if (found === SECONDS) {
        place = varint(bytes, place, end)
        this.low = pair[0]!
        this.high = pair[1]!
      } else if (found === NANOS) {
        place = varint(bytes, place, end)
        this.nanos = pair[0]!
      } else if (found >>> 3 === 1 || found >>> 3 === 2) fail(Fault.mismatch, place)
      else place = skip(bytes, place, end, found, depth)
    }
    return end
  }
}

const SECONDS = (1 << 3) | Wire.varint
const NANOS = (2 << 3) | Wire.varint
