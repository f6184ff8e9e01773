// Connections that change rows at random until they are told to stop: single statements, batches,
// key changes and swaps, transactions over several tables that commit or roll back, TRUNCATE.
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from './random.ts'
import { type Dialect, setKey, whereKey, type WorkloadTable } from './table.ts'

/** One connection of any server. */
export interface Session {
  execute: (sql: string) => Promise<void>
  close: () => Promise<void>
}

/** Says which statement failed; the driver's own error may carry megabytes of it. */
export class StatementError extends Error {
  /** SQLSTATE or the server's number, as the driver gives it. */
  readonly code: string

  constructor(sql: string, cause: unknown) {
    const { message, code, errno } = cause as Error & { code?: string; errno?: number }
    super(`${message} in ${sql.slice(0, 300)}`)
    this.code = String(errno ?? code)
  }
}

export interface WriterOptions {
  dialect: Dialect
  open: () => Promise<Session>
  tables: readonly WorkloadTable[]
  connections: number
  seed: number
  /** Longest pause between two transactions of one connection. */
  pauseMs?: number
}

export interface WriterCounts {
  commits: number
  rollbacks: number
  conflicts: number
  statements: number
}

export interface Writers {
  counts: WriterCounts
  /** Ends all after their transaction under way; throws what one of them met unexpectedly. */
  stop: () => Promise<WriterCounts>
}

interface Shared extends WriterOptions {
  counts: WriterCounts
  stopping: boolean
}

export function startWriters(options: WriterOptions): Writers {
  const counts = { commits: 0, rollbacks: 0, conflicts: 0, statements: 0 }
  const shared: Shared = { ...options, counts, stopping: false }
  const loops = Array.from({ length: options.connections }, (_, index) =>
    write(shared, Random.of(options.seed, index)),
  )
  const all = Promise.allSettled(loops)
  return {
    counts,
    stop: async () => {
      shared.stopping = true
      const failed = (await all).find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
      return counts
    },
  }
}

async function write(shared: Shared, random: Random): Promise<void> {
  const session = await shared.open()
  try {
    while (!shared.stopping) {
      await transact(shared, session, random)
      await sleep(random.int(0, shared.pauseMs ?? 12))
    }
  } finally {
    await session.close()
  }
}

async function transact(shared: Shared, session: Session, random: Random): Promise<void> {
  const { counts, dialect } = shared
  const single = random.chance(0.5)
  const statements = single
    ? drawAction(shared, random, true)
    : Array.from({ length: random.int(2, 5) }, () => drawAction(shared, random, false)).flat()
  // Statements of one action belong together: half a swap leaves a key outside the key space.
  const open = statements.length > 1
  const rollsBack = open && random.chance(0.1)
  try {
    if (open) await session.execute('BEGIN')
    for (const statement of statements) {
      await session.execute(statement)
      counts.statements++
      if (open && random.chance(0.1)) await sleep(random.int(1, 30))
    }
    if (open) await session.execute(rollsBack ? 'ROLLBACK' : 'COMMIT')
    if (rollsBack) counts.rollbacks++
    else counts.commits++
  } catch (error) {
    if (!dialect.isConflict(error)) throw error
    counts.conflicts++
    if (open) await session.execute('ROLLBACK')
  }
}

/** @param alone  nothing else is in its transaction */
function drawAction(shared: Shared, random: Random, alone: boolean): string[] {
  const { dialect } = shared
  const table = random.pick(shared.tables)
  const name = dialect.quoteName(table.name)
  const number = random.int(0, table.keys - 1)
  const where = whereKey(dialect, table, number)
  const action = random.int(0, 99)
  if (action < 25) return [dialect.insertNew(table, rowsOf(table, random, random.int(1, 6)))]
  if (action < 40) return [dialect.upsert(table, rowOf(table, random, number))]
  if (action < 68)
    return [`UPDATE ${name} SET ${assignments(dialect, table, random)} WHERE ${where}`]
  if (action < 83) return [`DELETE FROM ${name} WHERE ${where}`]
  if (action < 90) return savepoint(dialect, table, random)
  if (action < 99) return table.changesKeys ? changeKeys(dialect, table, random) : []
  if (!table.truncates || (dialect.truncateCommits && !alone) || random.chance(0.7)) return []
  return [dialect.truncate(table)]
}

function savepoint(dialect: Dialect, table: WorkloadTable, random: Random): string[] {
  const name = dialect.quoteName(table.name)
  const doomed = whereKey(dialect, table, random.int(0, table.keys - 1))
  const kept = whereKey(dialect, table, random.int(0, table.keys - 1))
  const end = random.chance(0.6) ? 'ROLLBACK TO SAVEPOINT s' : 'RELEASE SAVEPOINT s'
  return [
    'SAVEPOINT s',
    `DELETE FROM ${name} WHERE ${doomed}`,
    dialect.upsert(table, rowOf(table, random, random.int(0, table.keys - 1))),
    end,
    `UPDATE ${name} SET ${assignments(dialect, table, random)} WHERE ${kept}`,
  ]
}

/** A new key for a row, or two rows that change places by way of a key outside the key space. */
function changeKeys(dialect: Dialect, table: WorkloadTable, random: Random): string[] {
  const name = dialect.quoteName(table.name)
  const [left, right] = [random.int(0, table.keys - 1), random.int(0, table.keys - 1)]
  const move = (from: number, to: number): string =>
    `UPDATE ${name} SET ${setKey(dialect, table, to)} WHERE ${whereKey(dialect, table, from)}`
  if (left === right || random.chance(0.5)) return [move(left, table.keys + random.int(0, 50))]
  const spare = table.keys + 100 + random.int(0, 1_000_000)
  return [move(left, spare), move(right, left), move(spare, right)]
}

function assignments(dialect: Dialect, table: WorkloadTable, random: Random): string {
  return random
    .some(table.columns)
    .map(({ name, draw }) => `${dialect.quoteName(name)} = ${draw(random)}`)
    .join(', ')
}

export function rowOf(table: WorkloadTable, random: Random, number: number): string[] {
  return [...table.key(number), ...table.columns.map(({ draw }) => draw(random))]
}

function rowsOf(table: WorkloadTable, random: Random, count: number): string[][] {
  const numbers = new Set(Array.from({ length: count }, () => random.int(0, table.keys - 1)))
  return [...numbers].map((number) => rowOf(table, random, number))
}

/** One statement that fills a share of the keys, so that there is something to backfill. */
export function fillStatement(
  dialect: Dialect,
  table: WorkloadTable,
  random: Random,
  share = 0.6,
): string {
  const rows = []
  for (let number = 0; number < table.keys; number++) {
    if (random.chance(share)) rows.push(rowOf(table, random, number))
  }
  if (rows.length === 0) rows.push(rowOf(table, random, 0))
  return dialect.insertNew(table, rows)
}
