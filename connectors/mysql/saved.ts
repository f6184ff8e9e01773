// What must survive a restart besides the position: the structures as of the position, the running
// maximum of commit times, and the XA transactions that are prepared.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { SavedPrepared } from './log/prepared.ts'
import type { EarlyXa } from './xa.ts'
import type { SavedTables } from './tables.ts'

const FORMAT = 1

export interface SavedState {
  readonly timeUs: bigint
  readonly tables: SavedTables
  readonly prepared: SavedPrepared
  readonly xa: EarlyXa
}

export const NOTHING_SAVED: SavedState = {
  timeUs: 0n,
  tables: { tables: [], shadows: [], charsets: [] },
  prepared: [],
  xa: { preparedBefore: [], decidedBefore: 0n },
}

/** Writes the state. Tables are written once and kept as text until they change: there are many. */
export class StateWriter {
  private tables: SavedTables | null = null
  private tablesText = ''

  write({ timeUs, tables, prepared, xa }: SavedState): Uint8Array {
    if (tables !== this.tables) {
      this.tables = tables
      this.tablesText = JSON.stringify(tables, bigintAsText)
    }
    const small = { format: FORMAT, timeUs: timeUs.toString(), prepared, xa }
    const rest = JSON.stringify(small, bigintAsText)
    return Buffer.from(`${rest.slice(0, -1)},"tables":${this.tablesText}}`)
  }
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function readState(bytes: Uint8Array): SavedState {
  let state: Record<string, unknown>
  try {
    state = JSON.parse(Buffer.from(bytes).toString(), textAsBigint) as Record<string, unknown>
  } catch (cause) {
    throw new PipelineError('CHECKPOINT_CORRUPT', 'the state of the source is unreadable', {
      cause,
    })
  }
  const { format, timeUs, tables, prepared, xa } = state
  const whole =
    format === FORMAT &&
    typeof timeUs === 'string' &&
    typeof tables === 'object' &&
    tables !== null &&
    Array.isArray(prepared) &&
    typeof xa === 'object' &&
    xa !== null
  if (!whole) {
    throw new PipelineError('CHECKPOINT_CORRUPT', 'the state of the source is of another version')
  }
  return {
    timeUs: BigInt(timeUs),
    tables: tables as SavedTables,
    prepared: prepared as SavedPrepared,
    xa: xa as EarlyXa,
  }
}

/** Values of columns that were added (`existing`) may be bigints and bytes. */
function bigintAsText(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: value.toString() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  return value
}

function textAsBigint(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('$bigint' in value) return BigInt(String(value.$bigint))
  if ('$bytes' in value) return new Uint8Array(Buffer.from(String(value.$bytes), 'base64'))
  return value
}
