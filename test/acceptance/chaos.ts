// The same hard life for every server: writers on all tables, DDL, transactions in two phases, new
// tables, and SIGKILL at times drawn by the seed, during the backfill and after it. Then the
// writers stop, and what three independent readers see of the lake must be what the source has.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { MysqlServer } from '../servers/mysql-family.ts'
import type { PostgresServer } from '../servers/postgres.ts'
import { Random } from '../workload/random.ts'
import type { Writers } from '../workload/writer.ts'
import { expectLakeEqualsSource } from './lake.ts'
import { describe, Pipeline } from './pipeline.ts'

export interface ChaosOptions {
  seed: number
  kills: number
  seconds: number
  connections: number
  parallelism: number
  /** Tables whose DDL may rewrite rows without a word in the log; they come back by `resync`. */
  mayPark: readonly string[]
}

export interface ChaosWorkload {
  writers: Writers
  tables: () => Promise<string[]>
  stop: () => Promise<void>
}

/** Length of the short form and of the long one, by the environment. */
export function chaosOptions(seed: number, mayPark: readonly string[]): ChaosOptions {
  const seconds = process.env['SOAK_SECONDS']
  const kills = Number(process.env['SOAK_KILLS'] ?? 20)
  const base = { seed, connections: 8, parallelism: 2, mayPark }
  return seconds === undefined
    ? { ...base, kills: 6, seconds: 24 }
    : { ...base, kills, seconds: Number(seconds) }
}

export async function chaos(
  server: PostgresServer | MysqlServer,
  tables: readonly string[],
  start: () => ChaosWorkload,
  options: ChaosOptions,
): Promise<void> {
  const { parallelism } = options
  const pipeline = await Pipeline.create({ server, parallelism, interval: '400ms', chunkRows: 7 })
  try {
    const workload = start()
    try {
      await killAtRandom(pipeline, options)
    } finally {
      await workload.stop()
    }
    console.log(JSON.stringify(workload.writers.counts))
    // 4 says that a table is parked; then the next lines find out whether it may be.
    const first = await pipeline.command(['run', pipeline.file, '--once'])
    if (first.code !== 0 && first.code !== 4) throw new Error(`it ended with ${describe(first)}`)
    await resyncParked(pipeline, options.mayPark)
    await pipeline.once()
    const phases = (await pipeline.checkpoint())?.source.tables.map(({ phase }) => phase) ?? []
    expect(phases.length).toBeGreaterThanOrEqual(tables.length)
    expect(new Set(phases)).not.toContain('parked')
    await expectLakeEqualsSource(pipeline, server, await workload.tables())
  } finally {
    await pipeline.remove()
  }
}

/** A change of structure that cannot be carried over parks its table, and says how to repair it. */
async function resyncParked(pipeline: Pipeline, mayPark: readonly string[]): Promise<void> {
  const records = (await pipeline.checkpoint())?.source.tables ?? []
  for (const { schema, phase, reason } of records) {
    if (phase !== 'parked') continue
    const { table } = schema
    expect({ table, error: reason?.error }).toEqual({ table, error: 'DDL_UNMAPPABLE' })
    expect(mayPark).toContain(table)
    expect(reason?.hint).toContain('millrace resync')
    console.log(`resync of ${table}: ${reason?.message}`)
    const exit = await pipeline.command(['resync', pipeline.file, '--table', table])
    expect({ code: exit.code, stderr: exit.stderr }).toEqual({ code: 0, stderr: '' })
  }
}

/** Nothing but the signal may end a process. The last one ends by SIGTERM, under the writers. */
async function killAtRandom(
  pipeline: Pipeline,
  { seed, kills, seconds }: Pick<ChaosOptions, 'seed' | 'kills' | 'seconds'>,
): Promise<void> {
  const random = Random.of(seed, 3000)
  const share = (seconds * 1000) / (kills + 1)
  for (let kill = 0; kill < kills; kill++) {
    await pipeline.killAtRandom(pipeline.start(), random, share)
  }
  const child = pipeline.start()
  await pipeline.untilUp(child)
  await sleep(share)
  await child.stop()
}
