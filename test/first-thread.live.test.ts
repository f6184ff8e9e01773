// The first thread through all rooms: PostgreSQL to a changelog table that two readers agree on,
// under writers and SIGKILL. Each row carries its version, which every update raises by one under
// the row's lock, so the source alone tells which changes there have been and what each of them
// wrote.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ALL_READERS, readLake, type Reader } from './acceptance/lake.ts'
import { Pipeline } from './acceptance/pipeline.ts'
import { type Cell, project, type TableDump, tableDump } from './readers/canonical.ts'
import { readPostgresSource } from './readers/source.ts'
import { available } from './servers/available.ts'
import { queryPostgres, withPostgres } from './servers/clients.ts'
import { startPostgres } from './servers/postgres.ts'
import { drawSeed, Random } from './workload/random.ts'

const WRITERS = 4
const KILLS = 5
const SECONDS = 20
const KEYS_AT_START = 300
const COLUMNS = ['id', 'customer', 'note', 'at', 'paid', 'version']

const CREATE = `
  CREATE TABLE orders (id int PRIMARY KEY, customer bigint, note text, at timestamptz, paid bool,
                       version int NOT NULL);
  INSERT INTO orders SELECT n, n * 1000000007::bigint, 'order ' || n || ' é', now(), n % 2 = 0, 1
  FROM generate_series(1, ${KEYS_AT_START}) AS n`

const missing = (await Promise.all([available('postgres18'), available('duckdb')])).includes(false)

test.skipIf(missing || !(await available('python')))(
  'a changelog has every change once and folds to the source, through five kills',
  { timeout: 240_000 },
  async () => {
    const seed = drawSeed('first thread')
    const server = await startPostgres({ major: 18 })
    const pipeline = await Pipeline.create({ server, mode: 'changelog', interval: '500ms' })
    try {
      await queryPostgres(server.uri(), CREATE)
      await killBesideWriters(pipeline, server.uri(), seed)
      await pipeline.once()
      const source = await readPostgresSource(server.uri(), 'public.orders')
      expect(source.rows.length).toBeGreaterThan(KEYS_AT_START)
      const readers: Reader[] = ALL_READERS.filter((name) => name !== 'java')
      for (const reader of readers) {
        const [log] = await readLake(pipeline, ['public.orders'], reader)
        if (log === undefined) throw new Error('the lake has no table')
        expect({ reader, ...judge(log, source) }).toEqual({
          reader,
          twice: [],
          lost: [],
          wrong: [],
        })
        expect({ reader, rows: fold(log).rows }).toEqual({ reader, rows: source.rows })
      }
    } finally {
      await pipeline.remove()
      await server.stop()
    }
  },
)

async function killBesideWriters(pipeline: Pipeline, uri: string, seed: number): Promise<void> {
  const stopping = new AbortController()
  const writers = Promise.all(
    Array.from({ length: WRITERS }, (_, index) =>
      write(uri, Random.of(seed, index), index, stopping.signal),
    ),
  )
  writers.catch(() => {})
  try {
    const random = Random.of(seed, 99)
    const share = (SECONDS * 1000) / (KILLS + 1)
    for (let kill = 0; kill < KILLS; kill++) {
      await pipeline.killAtRandom(pipeline.start(), random, share)
    }
    const child = pipeline.start()
    await pipeline.untilUp(child)
    await sleep(share)
    await child.stop()
  } finally {
    stopping.abort()
    await writers
  }
}

async function write(
  uri: string,
  random: Random,
  writer: number,
  signal: AbortSignal,
): Promise<void> {
  await withPostgres(uri, async (client) => {
    for (let number = 0; !signal.aborted; number++) {
      const note = `${writer}/${number} ${'x'.repeat(random.int(0, 40))}`
      const values = [random.int(-1e9, 1e9) * 4_000_000, note, random.chance(0.5)]
      if (random.chance(0.3)) {
        const id = 1000 + number * WRITERS + writer
        await client.query('INSERT INTO orders VALUES ($1, $2, $3, now(), $4, 1)', [id, ...values])
      } else {
        const set = 'customer = $2, note = $3, at = clock_timestamp(), paid = $4'
        const id = random.int(1, KEYS_AT_START)
        const sql = `UPDATE orders SET ${set}, version = version + 1 WHERE id = $1`
        await client.query(sql, [id, ...values])
      }
      await sleep(random.int(0, 6))
    }
  })
}

interface Entry {
  op: string
  position: string
  version: number
}

interface Verdict {
  /** `id/version` of changes that the log has more than once. */
  twice: string[]
  /** Of changes that are between two that the log has, or after the last. */
  lost: string[]
  /** Ids whose entries do not stand in the order of the changes, or have a strange operation. */
  wrong: string[]
}

/** Versions of a row are 1 to its last: what is missing or repeated is known exactly. */
function judge(log: TableDump, source: TableDump): Verdict {
  const entries = entriesById(log)
  const verdict: Verdict = { twice: [], lost: [], wrong: [] }
  for (const text of project(source, ['id', 'version']).rows) {
    const [id = '', last = ''] = JSON.parse(text) as string[]
    const all = entries.get(id) ?? []
    entries.delete(id)
    const changes = all.filter(({ op }) => op === 'c' || op === 'u')
    const read = all.find(({ op }) => op === 'r')
    const seen = new Set<number>()
    for (const { version } of changes) {
      if (seen.has(version)) verdict.twice.push(`${id}/${version}`)
      seen.add(version)
    }
    if (all.filter(({ op }) => op === 'r').length > 1) verdict.twice.push(`${id}/r`)
    // What a chunk has read stands for all changes before. A chunk row that the log overtook is
    // not there, and the log's first change of the row stands for those before it.
    const first = read ? read.version + 1 : Math.min(...seen, Number(last))
    for (let version = first; version <= Number(last); version++) {
      if (!seen.has(version)) verdict.lost.push(`${id}/${version}`)
    }
    if (!isInOrder(changes) || all.at(-1)?.version !== Number(last)) verdict.wrong.push(id)
    if (changes.some(({ op, version }) => (op === 'c') !== (version === 1))) verdict.wrong.push(id)
  }
  verdict.wrong.push(...entries.keys())
  return verdict
}

function entriesById(log: TableDump): Map<string, Entry[]> {
  const entries = new Map<string, Entry[]>()
  for (const text of project(log, ['id', '_op', '_pos', 'version']).rows) {
    const [id = '', op = '', position = '', version] = JSON.parse(text) as string[]
    const list = entries.get(id) ?? []
    list.push({ op, position, version: Number(version) })
    entries.set(id, list)
  }
  for (const list of entries.values()) list.sort((left, right) => compare(left, right))
  return entries
}

function compare(left: Entry, right: Entry): number {
  if (left.position === right.position) return left.version - right.version
  return left.position < right.position ? -1 : 1
}

function isInOrder(changes: readonly Entry[]): boolean {
  return changes.every(({ version }, index) => {
    const before = changes[index - 1]
    return before === undefined || before.version < version
  })
}

/** The last entry of each key by `_pos`, which a reader would take as the table. */
function fold(log: TableDump): TableDump {
  const last = new Map<string, Cell[]>()
  const rows = project(log, ['_pos', '_op', ...COLUMNS]).rows.map(
    (text) => JSON.parse(text) as string[],
  )
  rows.sort(([left = ''], [right = '']) => (left < right ? -1 : left > right ? 1 : 0))
  for (const [, op, id = '', ...rest] of rows) {
    if (op === 'd') last.delete(id)
    else last.set(id, [id, ...rest])
  }
  return tableDump(log.table, COLUMNS, [...last.values()])
}
