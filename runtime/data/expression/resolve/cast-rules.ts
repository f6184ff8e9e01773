// Which types CAST converts into which, and whether a value can fail to be converted. What has two
// meanings (a number as a time, say) is refused, with the function that says which.

import { sameType, type ColumnType } from '../../type.ts'
import { asDecimal, isExact, isFloating, isInteger, isNumeric } from '../expression-type.ts'

/** A timestamp and what it can become. */
const TEMPORAL: Readonly<Record<string, readonly string[]>> = {
  date: ['date', 'timestamp', 'timestamptz'],
  time: ['time'],
  timestamp: ['timestamp', 'timestamptz', 'date', 'time'],
  timestamptz: ['timestamptz', 'timestamp', 'date', 'time'],
}

/** @returns null when the cast exists, else what to write instead (or an empty text) */
export function castRefusal(from: ColumnType, to: ColumnType): string | null {
  if (from.kind === 'list' || to.kind === 'list') return refuseLists(from, to)
  if (from.kind === to.kind) return null
  if (to.kind === 'string') return null
  if (from.kind === 'string') return null
  if (isNumeric(from) && isNumeric(to)) return null
  if (from.kind === 'boolean' && isInteger(to)) return null
  if (isInteger(from) && to.kind === 'boolean') return null
  if (TEMPORAL[from.kind]?.includes(to.kind) === true) return null
  if (from.kind === 'uuid' && to.kind === 'binary') return null
  if (from.kind === 'binary' && to.kind === 'uuid') return null
  return otherWay(from, to)
}

/** Lists are what they are: their elements are not converted. */
function refuseLists(from: ColumnType, to: ColumnType): string | null {
  if (from.kind !== 'list' || to.kind !== 'list') return 'Lists convert to nothing else.'
  return sameType(from, to) ? null : 'Elements of lists are not converted; l[n] takes one out.'
}

function otherWay(from: ColumnType, to: ColumnType): string {
  if (isNumeric(from) && to.kind in TEMPORAL) return "Write from_unix(n, 'ms') with its unit."
  if (from.kind in TEMPORAL && isNumeric(to)) return "Write to_unix(t, 'ms') with its unit."
  if (isNumeric(from) && to.kind === 'boolean') return 'Compare it: x <> 0.'
  return ''
}

/** @returns true when a value of `from` may have no value in `to` */
export function castFails(from: ColumnType, to: ColumnType): boolean {
  if (to.kind === 'string') {
    return from.kind === 'binary' || (from.kind === 'string' && to.json === true && !from.json)
  }
  if (from.kind === to.kind && from.kind !== 'decimal') return false
  if (from.kind === 'string') return to.kind !== 'binary'
  if (to.kind === 'float' && from.kind === 'double') return true
  if (isFloating(to) || to.kind === 'boolean') return false
  if (isFloating(from)) return true
  if (isExact(from) && isExact(to)) return exactFails(from, to)
  // Days of 32 bits and microseconds of 64 do not cover each other; zones shift.
  if (from.kind === 'date' || to.kind === 'date') return true
  if (from.kind === 'binary') return true
  return from.kind.startsWith('timestamp') && to.kind.startsWith('timestamp')
}

function exactFails(from: ColumnType, to: ColumnType): boolean {
  if (isInteger(to) && from.kind !== 'decimal') return from.kind === 'long' && to.kind === 'int'
  const source = asDecimal(from)
  if (isInteger(to)) return source.precision - source.scale > (to.kind === 'int' ? 9 : 18) - 1
  const target = asDecimal(to)
  const whole = target.precision - target.scale
  // Rounding can carry into one more digit.
  const carry = source.scale > target.scale ? 1 : 0
  return source.precision - source.scale + carry > whole
}
