// Dead letters of rows: one for each row that the server itself cannot compute, over chunks that
// begin at one place of the log, kill -9, and everything being read again.
import { expect } from 'vitest'
import { readLake } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { project, type Cell } from '../readers/canonical.ts'
import { Random } from '../workload/random.ts'
import { onEach, type Scene } from './each-server.ts'

const LETTERS = 'millrace.shop_dlq'

async function rowsOf({ pipeline }: Scene, table: string, columns: string[]): Promise<Cell[][]> {
  const [lake] = await readLake(pipeline, [table], 'duckdb')
  if (lake === undefined) throw new Error(`${table} was not read`)
  const rows = project(lake, columns).rows.map((row) => JSON.parse(row) as Cell[])
  return rows.sort((a, b) => String(a).localeCompare(String(b)))
}

/** Every row is in the lake or is a letter: none is both, none is neither. */
async function expectParted(
  at: Scene,
  ids: Iterable<number>,
  dead: ReadonlySet<number>,
  when: string,
): Promise<void> {
  const shares = [...ids].flatMap((id) => (dead.has(id) ? [] : [[String(id), String(id % 4)]]))
  const letters = [...dead].map((id) => [
    'MR-4201',
    at.name('readings'),
    'share',
    '12 / n',
    'r',
    JSON.stringify({ id, n: 0 }),
  ])
  const sorted = (rows: Cell[][]): Cell[][] =>
    rows.sort((a, b) => String(a).localeCompare(String(b)))
  const columns = ['code', 'source_table', 'column_name', 'expression', 'op', 'row']
  expect(await rowsOf(at, LETTERS, columns), when).toEqual(sorted(letters))
  const lake = await rowsOf(at, at.name('readings'), ['id', 'n'])
  expect(lake).toEqual(sorted(shares))
}

/** What `dlq` says is what another reader finds in the table. */
async function expectPrinted(at: Scene, ids: readonly Cell[][]): Promise<void> {
  const { pipeline, name } = at
  const dlq = async (verb: string, ...more: string[]) => {
    const { code, stdout, stderr } = await pipeline.command(['dlq', verb, pipeline.file, ...more])
    expect(code, stderr).toBe(0)
    return stdout
  }
  const listed = JSON.parse(await dlq('ls', '--json')) as { groups: Record<string, unknown>[] }
  const group = { table: name('readings'), code: 'MR-4201', letters: ids.length }
  expect(listed.groups).toMatchObject([{ ...group, message: 'division by zero' }])
  const epochs = [listed.groups[0]?.['first_epoch'], listed.groups[0]?.['last_epoch']]
  expect(epochs.every((epoch) => Number(epoch) > 0)).toBe(true)
  const all = JSON.parse(await dlq('show', '--json')) as { letters: Record<string, string>[] }
  const columns = Object.keys(all.letters[0] ?? {}).filter((column) => column !== 'epoch')
  const shown = all.letters.map((letter) => columns.map((column) => letter[column] ?? null))
  const sorted = shown.sort((a, b) => String(a).localeCompare(String(b)))
  expect(sorted).toEqual(await rowsOf(at, LETTERS, columns))
  expect(await dlq('show', '--limit', '3')).toContain(`${ids.length - 3} more:`)
}

onEach(
  'a row is in the lake or a letter, once, however often its table is read',
  async (at) => {
    const { pipeline, name, run } = at
    const ids = Array.from({ length: 40 }, (_, index) => index + 1)
    const values = ids.map((id) => `(${id}, ${id % 4})`).join(', ')
    await run(`CREATE TABLE readings (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO readings VALUES ${values}`)
    await edit(pipeline, (file) => {
      const entry = { from: name('readings'), projection: 'id, n, 12 / n AS share' }
      Object.assign(file, { transform: [{ ...entry, on_error: 'dlq' }] })
      Object.assign(file['source'] ?? {}, { tables: [name('readings')] })
    })
    // Chunks of two rows, of a server on which nothing happens: all begin at one place of its log.
    await pipeline.killAtRandom(pipeline.start(), new Random(at.server.port), 1500)
    await pipeline.once()
    const dead = new Set(ids.filter((id) => id % 4 === 0))
    await expectParted(at, ids, dead, 'first copy')
    const before = await rowsOf(at, LETTERS, ['dlq_id'])
    for (const which of [['--table', name('readings')], ['--all']]) {
      const resync = await pipeline.command(['resync', pipeline.file, ...which])
      expect(resync.code, resync.stderr).toBe(0)
      await pipeline.once()
      await expectParted(at, ids, dead, which.join(' '))
      expect(await rowsOf(at, LETTERS, ['dlq_id'])).toEqual(before)
    }
    const parked = (await pipeline.checkpoint())?.source.tables.filter(
      ({ phase }) => phase !== 'streaming',
    )
    expect(parked).toEqual([])
    // What is corrected is read; its letter says what was.
    await run('UPDATE readings SET n = 3 WHERE id = 4')
    await pipeline.once()
    expect(await rowsOf(at, name('readings'), ['id', 'n', 'share'])).toContainEqual(['4', '3', '4'])
    expect(await rowsOf(at, LETTERS, ['dlq_id'])).toEqual(before)
    await expectPrinted(at, before)
    const emptied = await pipeline.command(['resync', pipeline.file, '--table', LETTERS])
    expect(emptied.code, emptied.stderr).toBe(0)
    await pipeline.once()
    expect(await rowsOf(at, LETTERS, ['dlq_id'])).toEqual([])
    await run('UPDATE readings SET n = 0 WHERE id = 5')
    await pipeline.once()
    expect(await rowsOf(at, LETTERS, ['op', 'row'])).toEqual([['u', '{"id":5,"n":0}']])
  },
  { servers: ['postgres18', 'mysql', 'mariadb'], pipeline: { chunkRows: 2 } },
)
