// Money that moves between three tables in transactions, so that their total never changes: a
// published state that is no consistent cut of the source shows at once as money lost or made.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import type { TableRequest } from '../readers/dump-file.ts'
import type { Random } from '../workload/random.ts'
import type { Session } from '../workload/writer.ts'
import { metadataLocations, readMetadata } from './lake.ts'
import type { Pipeline } from './pipeline.ts'

const TABLES = ['checking', 'savings', 'cash']
const ACCOUNTS = 40
const START = 1000
/** More would only take longer. */
const CUTS_MAX = 150

export const TOTAL = BigInt(TABLES.length * ACCOUNTS * START)

export async function createBank(session: Session): Promise<void> {
  for (const table of TABLES) {
    await session.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, amount bigint NOT NULL)`)
    const rows = Array.from({ length: ACCOUNTS }, (_, id) => `(${id}, ${START})`)
    await session.execute(`INSERT INTO ${table} VALUES ${rows.join(', ')}`)
  }
}

/** Transfers until the signal aborts. An account that is emptied is closed and opened anew. */
export async function transfer(
  open: () => Promise<Session>,
  random: Random,
  isConflict: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const session = await open()
  while (!signal.aborted) {
    try {
      await session.execute('BEGIN')
      for (const statement of transferStatements(random)) await session.execute(statement)
      await session.execute('COMMIT')
    } catch (error) {
      if (!isConflict(error)) throw error
      await session.execute('ROLLBACK')
    }
    await sleep(random.int(0, 8))
  }
  await session.close()
}

function transferStatements(random: Random): string[] {
  const [from, to] = [random.pick(TABLES), random.pick(TABLES)]
  const [payer, payee, amount] = [
    random.int(0, ACCOUNTS - 1),
    random.int(0, ACCOUNTS - 1),
    random.int(1, 90),
  ]
  const moves = [
    `UPDATE ${from} SET amount = amount - ${amount} WHERE id = ${payer}`,
    `UPDATE ${to} SET amount = amount + ${amount} WHERE id = ${payee}`,
  ]
  if (!random.chance(0.1)) return moves
  // The same balance under another key, and back: a delete and an insert each.
  const other = 1000 + random.int(0, 1_000_000)
  const move = (a: number, b: number): string => `UPDATE ${from} SET id = ${b} WHERE id = ${a}`
  return [...moves, move(payer, other), move(other, payer)]
}

/** Epochs of the newest main snapshots of one table, ascending. */
interface History {
  table: string
  snapshots: { epoch: number; id: string }[]
}

/**
 * Sums every cut that the lake has published at or after `handedOver`: per table the newest
 * snapshot of main with an epoch that is not later.
 */
export async function expectConstantTotal(
  pipeline: Pipeline,
  namespace: string,
  handedOver: number,
): Promise<number> {
  const histories = await Promise.all(TABLES.map((table) => historyOf(pipeline, namespace, table)))
  // History is kept for minutes only: a cut needs a snapshot of each table.
  const oldest = Math.max(...histories.map(({ snapshots }) => snapshots[0]?.epoch ?? 0))
  const epochs = new Set(histories.flatMap(({ snapshots }) => snapshots.map(({ epoch }) => epoch)))
  const all = [...epochs].filter((epoch) => epoch >= Math.max(handedOver, oldest))
  const step = Math.ceil(all.length / CUTS_MAX)
  const cuts = all.sort((a, b) => a - b).filter((_, index) => index % step === 0)
  const chosen = cuts.map((epoch) =>
    histories.map((history) => ({ epoch, ...newestOf(history, epoch) })),
  )
  const requests = new Map<string, TableRequest>()
  for (const { table, snapshot } of chosen.flat())
    requests.set(`${table}@${snapshot}`, { table, snapshot })
  const dumps = await readIcebergWithPyiceberg({
    catalog: pipeline.catalog,
    tables: [...requests.values()],
  })
  const sums = new Map(
    [...requests.keys()].map((key, index) => [key, sumOf(dumps[index]?.rows ?? [])]),
  )
  const totals = chosen.map((cut) => ({
    epoch: cut[0]?.epoch,
    total: cut.reduce(
      (total, { table, snapshot }) => total + (sums.get(`${table}@${snapshot}`) ?? 0n),
      0n,
    ),
  }))
  expect(totals.filter(({ total }) => total !== TOTAL)).toEqual([])
  return cuts.length
}

async function historyOf(pipeline: Pipeline, namespace: string, name: string): Promise<History> {
  const table = `${namespace}.${name}`
  const location = metadataLocations(pipeline)[table]
  if (location === undefined) throw new Error(`the lake has no table ${table}`)
  const { main } = await readMetadata(location)
  const snapshots = main.map(({ id, summary }) => ({
    epoch: Number(summary['millrace.epoch']),
    id,
  }))
  return { table, snapshots }
}

function newestOf(
  { table, snapshots }: History,
  epoch: number,
): { table: string; snapshot: string } {
  const newest = snapshots.findLast((snapshot) => snapshot.epoch <= epoch)
  if (newest === undefined) throw new Error(`${table} has no snapshot for the cut at ${epoch}`)
  return { table, snapshot: newest.id }
}

function sumOf(rows: readonly string[]): bigint {
  return rows.reduce((sum, row) => sum + BigInt((JSON.parse(row) as string[])[1] ?? '0'), 0n)
}
