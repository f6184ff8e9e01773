// Instants as the local times of a zone: a day of an instant begins where the zone's day begins.

import type { Column } from '../../../runtime/data/column/column.ts'
import { zoneNamed, type Zone } from '../../../runtime/data/expression/zone.ts'

export type LocalZone = Zone

const SECOND_US = 1_000_000n

/** @param name  IANA name, which has been looked at before */
export function localZone(name: string): LocalZone {
  const zone = zoneNamed(name)
  if (zone === null) throw new RangeError(`there is no time zone "${name}"`)
  return zone
}

/**
 * @param column  of timestamptz
 * @returns the same instants as local times; the column itself in UTC
 */
export function localTimes(column: Column, rows: number, zone: LocalZone): Column {
  if (zone.isUtc || column.layout !== 'int64') return column
  const values = new BigInt64Array(rows)
  let last = 0
  let lastUs = 0n
  for (let row = 0; row < rows; row++) {
    const us = column.values[row] ?? 0n
    // Rounds toward 1970: an offset does not change within a second.
    const offset = zone.offsetAt(Number(us / SECOND_US))
    if (offset !== last) {
      last = offset
      lastUs = BigInt(offset) * SECOND_US
    }
    values[row] = us + lastUs
  }
  const { validity, unchanged } = column
  return { type: { kind: 'timestamp' }, layout: 'int64', length: rows, validity, unchanged, values }
}
