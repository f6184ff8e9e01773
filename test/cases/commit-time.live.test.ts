// `__commit_time__` never goes back in the order of the log, over all tables and over a restart, and
// is what the transactions stamped or later; where the server's stamps go back it does not.
import { expect } from 'vitest'
import { readLake } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { type Cell } from '../readers/canonical.ts'
import { onEach, type Scene } from './each-server.ts'

const PROJECTION = `id, __source_commit_time__ AS stamped, __commit_time__ AS latest,
  commit_time() AS called, event_time() AS happened`

/** Times as microseconds since 1970, of as many digits today. */
interface Row {
  readonly position: string
  readonly stamped: string
  readonly latest: string
}

/** Rows of both tables that came by the log, in its order. */
async function logged({ pipeline, name }: Scene): Promise<Row[]> {
  const tables = await readLake(pipeline, [name('a'), name('b')], 'duckdb')
  const rows = tables.flatMap(({ columns, rows: texts }) =>
    texts.flatMap((text): Row[] => {
      const cells = JSON.parse(text) as Cell[]
      const of = (column: string): string => String(cells[columns.indexOf(column)])
      expect([of('called'), of('happened')]).toEqual([of('latest'), of('latest')])
      if (of('_op') === 'r') return []
      return [{ position: of('_pos'), stamped: of('stamped'), latest: of('latest') }]
    }),
  )
  return rows.sort((left, right) => (left.position < right.position ? -1 : 1))
}

onEach(
  'the commit time of a row never goes back in the order of the log',
  async (scene) => {
    const { pipeline, run, name, open, postgres } = scene
    await run(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
      INSERT INTO a VALUES (-1)`)
    await edit(pipeline, (file) => {
      const entries = ['a', 'b'].map((table) => ({ from: name(table), projection: PROJECTION }))
      Object.assign(file, { transform: entries })
    })
    await pipeline.once()
    const sessions = await Promise.all(Array.from({ length: 6 }, async () => open()))
    /** MariaDB stamps a transaction by the session's clock, which may be told. */
    const told = async (at: number): Promise<unknown> =>
      postgres ? null : sessions[at % 6]?.execute(`SET timestamp = ${1_700_000_000 + at}`)
    const write = async (from: number, count: number, back: boolean): Promise<void> => {
      for (let id = from; id < from + count; id += 6) {
        if (back) await told(id)
        await Promise.all(
          sessions.map(async (session, at) =>
            session.execute(`INSERT INTO ${at % 2 === 0 ? 'a' : 'b'} VALUES (${id + at})`),
          ),
        )
      }
    }
    await write(0, 120, false)
    await write(120, 120, true)
    await pipeline.once()
    await write(240, 120, true)
    await pipeline.once()
    for (const session of sessions) await session.close()
    const rows = await logged(scene)
    expect(rows).toHaveLength(360)
    let [before, stamped] = ['', '']
    for (const row of rows) {
      if (row.stamped > stamped) stamped = row.stamped
      expect(row.latest >= before, `${row.latest} behind ${before}`).toBe(true)
      expect(row.latest >= stamped, `${row.latest} and ${stamped}`).toBe(true)
      before = row.latest
    }
    // What the heartbeats say is no later than now.
    expect(Number(before) / 1000).toBeLessThan(Date.now() + 5000)
    const goneBack = rows.filter(({ stamped: own, latest }) => own < latest)
    if ('kind' in scene.server && scene.server.kind === 'mariadb') {
      expect(goneBack.length).toBeGreaterThan(20)
    }
  },
  { servers: ['postgres18', 'mysql', 'mariadb'], pipeline: { mode: 'changelog' } },
)
