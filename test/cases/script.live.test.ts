// A script of the user's in a running pipeline: from the first copy on, through changes, kill -9,
// resync and verify; what the lake has is what the server shows of the same rule in SQL.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { readLake, readSource } from '../acceptance/lake.ts'
import { edit, expectRefusal } from '../acceptance/refusal.ts'
import { differenceOf, project } from '../readers/canonical.ts'
import { Random } from '../workload/random.ts'
import { onEach, type Scene } from './each-server.ts'

/** TypeScript, since Node runs it as it is; without an import, since the file stands anywhere. */
const SCRIPT = `
interface Order { id: bigint; amount: string; at: string; note: string | null }
export const score = {
  output: { add: { score: 'double', day: 'date' }, drop: ['note'] },
  onRow(row: Order) {
    if (row.amount.startsWith('-')) return null
    const score = Number(row.amount) * 2
    return { ...row, amount: row.amount, score, day: row.at.slice(0, 10) }
  },
}
`

async function expectScored(at: Scene, factor: number): Promise<void> {
  const { run, server, pipeline, name } = at
  await run('DROP TABLE IF EXISTS shown')
  await run(`CREATE TABLE shown AS SELECT id, amount, at, CAST(amount AS double precision) * ${factor}
    AS score, CAST(at AS date) AS day FROM orders WHERE amount >= 0`)
  const [shown] = await readSource(server, [name('shown')])
  const [lake] = await readLake(pipeline, [name('orders')], 'duckdb')
  if (shown === undefined || lake === undefined) throw new Error('a table was not read')
  expect([...lake.columns].sort()).toEqual([...shown.columns].sort())
  expect(differenceOf(shown, project(lake, shown.columns))).toEqual({ missing: [], extra: [] })
}

onEach(
  'a script scores rows and drops some, through changes, kills and a new text',
  async (at) => {
    const { pipeline, name, run, server } = at
    const file = join(pipeline.folder, 'risk.ts')
    await writeFile(file, SCRIPT)
    await edit(pipeline, (document) => {
      const entry = { from: name('orders'), file: './risk.ts', export: 'score' }
      Object.assign(document, { script: [entry] })
      Object.assign(document['source'] ?? {}, { tables: [name('orders')] })
    })
    await run(`CREATE TABLE orders (id bigint PRIMARY KEY, amount decimal(12,2) NOT NULL,
      at timestamp NOT NULL, note varchar(20))`)
    await run(`INSERT INTO orders VALUES (1, 12.50, '2026-01-31 23:59:59.5', 'a'),
      (2, -1.00, '2026-02-01 00:00:00', NULL), (3, 0.01, '2026-02-01 00:00:01', 'c')`)
    await pipeline.once()
    await expectScored(at, 2)
    await run(`UPDATE orders SET amount = -5 WHERE id = 1; UPDATE orders SET amount = 7 WHERE id = 2;
      DELETE FROM orders WHERE id = 3; INSERT INTO orders VALUES (4, 1.25, '2026-03-01 12:00:00', 'd')`)
    await pipeline.killAtRandom(pipeline.start(), new Random(server.port), 1500)
    await run('UPDATE orders SET id = 9 WHERE id = 4; UPDATE orders SET amount = 8.75 WHERE id = 2')
    await pipeline.once()
    await expectScored(at, 2)
    expect((await pipeline.command(['verify', pipeline.file])).code).toBe(0)
    // Other text: what the lake has of the former one cannot stand beside it.
    await writeFile(file, SCRIPT.replace('* 2', '* 3'))
    const changed = await pipeline.command(['run', pipeline.file, '--once'])
    expect([changed.code, changed.stderr]).toEqual([4, expect.stringContaining('`script`')])
    await pipeline.command(['resync', pipeline.file, '--table', name('orders')])
    await pipeline.once()
    await expectScored(at, 3)
    // A row that the script cannot take parks its table.
    const eleven = "if (row.id === 11n) throw new Error('eleven')\n    const score = Number"
    const third = SCRIPT.replace('* 2', '* 3').replace('const score = Number', eleven)
    await writeFile(file, third)
    await pipeline.command(['resync', pipeline.file, '--table', name('orders')])
    await pipeline.once()
    await run("INSERT INTO orders VALUES (11, 1, '2026-03-01 12:00:00', NULL)")
    const failed = await pipeline.command(['run', pipeline.file, '--once'])
    expectRefusal(failed, 'SCRIPT_FAILED', ['eleven'])
    // A file that is wrong starts nothing, and parks nothing.
    await writeFile(file, 'export const other = 1')
    const broken = await pipeline.command(['run', pipeline.file, '--once'])
    expectRefusal(broken, 'SCRIPT_INVALID', ['exports no "score", but other'])
  },
  { servers: ['postgres18'] },
)
