// Limits of a source's rates: what the pipeline file says, and what `millrace throttle` has put in
// its place. The latter lies in the state store, so that it outlives a restart; the running source
// looks there every second.

import { PipelineError } from '../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'

const PATH = 'limits.json'

/** `null`: as fast as it goes. */
export interface RateLimit {
  readonly rowsPerSecond: number | null
  /** Of memory that the rows take, which is near to what they take uncompressed. */
  readonly bytesPerSecond: number | null
}

export interface TableLimit extends RateLimit {
  /** For `tableSelector`. Each table that it selects has the whole rate. */
  readonly pattern: string
}

export interface Limits extends RateLimit {
  /** The first that selects a table is its own. */
  readonly tables: readonly TableLimit[]
}

export const NO_LIMITS: Limits = { rowsPerSecond: null, bytesPerSecond: null, tables: [] }

/** @returns `null`: the file's own count @throws PipelineError STORAGE_FAILED, CONFIG_VALUE */
export async function readLimits(state: ObjectStore): Promise<Limits | null> {
  if (!(await state.exists(PATH))) return null
  const limits = parseLimits(Buffer.from(await state.get(PATH)).toString())
  if (limits !== null) return limits
  throw new PipelineError('CONFIG_VALUE', `${state.uri(PATH)} does not say what the limits are`, {
    hint: 'Say it anew: `millrace throttle FILE --rows-per-second N`, or `--reset`.',
  })
}

/** @param limits  `null`: the file's own shall count again */
export async function leaveLimits(state: ObjectStore, limits: Limits | null): Promise<void> {
  if (limits === null) await state.delete(PATH)
  else await state.put(PATH, Buffer.from(JSON.stringify(limits)))
}

function parseLimits(text: string): Limits | null {
  try {
    const { tables, ...rest } = JSON.parse(text) as Partial<Limits>
    const own = parseRate(rest)
    if (own === null || !Array.isArray(tables)) return null
    const parsed = (tables as Partial<TableLimit>[]).map((one) => {
      const rate = parseRate(one)
      return rate === null || typeof one.pattern !== 'string'
        ? null
        : { pattern: one.pattern, ...rate }
    })
    const known = parsed.filter((one) => one !== null)
    return known.length < parsed.length ? null : { ...own, tables: known }
  } catch {
    return null
  }
}

function parseRate({ rowsPerSecond, bytesPerSecond }: Partial<RateLimit>): RateLimit | null {
  if (!isRate(rowsPerSecond) || !isRate(bytesPerSecond)) return null
  return { rowsPerSecond, bytesPerSecond }
}

function isRate(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && value >= 1)
}
