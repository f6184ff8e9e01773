// Names that are given again: a column of the name of a dropped one.

import { expect } from 'vitest'
import { freshDatabase, optionsFor, queryPostgres, run, startAll, testOn } from './harness.ts'

const servers = await startAll()

interface Again {
  readonly name: string
  /** Statements of one transaction on a table (id, a text) that the session may have announced. */
  readonly change: string
  readonly isAnnounced: boolean
  /** What became of column `a` in the rows; `null`: the table is parked. */
  readonly rows: readonly unknown[] | null
}

const ANEW = 'ALTER TABLE t DROP a; ALTER TABLE t ADD a text'
const OTHER = 'ALTER TABLE t DROP a; SAVEPOINT s2; ALTER TABLE t ADD a int'

const AGAIN: readonly Again[] = [
  {
    name: 'rows behind a drop of their own transaction are of the new column',
    change: `${ANEW}; INSERT INTO t VALUES (2, 'new')`,
    isAnnounced: true,
    rows: ['new'],
  },
  {
    name: 'rows before and behind it cannot be told apart',
    change: `INSERT INTO t VALUES (2, 'old'); ${ANEW}; INSERT INTO t VALUES (3, 'new')`,
    isAnnounced: false,
    rows: null,
  },
  {
    name: 'they cannot either once something else has had the table announced',
    change: `INSERT INTO t VALUES (2, 'old'); ${ANEW}; INSERT INTO t VALUES (3, 'new')`,
    isAnnounced: true,
    rows: null,
  },
  {
    name: 'a drop in a subtransaction has a later id than the rows behind it',
    change: `SAVEPOINT s; ${ANEW}; RELEASE s; INSERT INTO t VALUES (2, 'new')`,
    isAnnounced: true,
    rows: null,
  },
  {
    name: 'a drop in a subtransaction is not that of a later transaction',
    change: `SAVEPOINT s; ${ANEW}; RELEASE s; INSERT INTO t VALUES (2, 'new')`,
    isAnnounced: false,
    rows: null,
  },
  {
    name: 'another type tells the columns apart',
    change: `SAVEPOINT s; ${OTHER}; INSERT INTO t VALUES (2, 7)`,
    isAnnounced: false,
    rows: [7],
  },
  {
    name: 'another type tells the columns apart on either side of the drop',
    change: `INSERT INTO t VALUES (2, 'old'); SAVEPOINT s; ${OTHER}; INSERT INTO t VALUES (3, 7)`,
    isAnnounced: true,
    rows: ['old', 7],
  },
]

for (const { name, change, isAnnounced, rows } of AGAIN) {
  testOn(servers, `a column of one name again: ${name}`, async (server) => {
    const { uri, changed } = await freshDatabase(server)
    await queryPostgres(uri, 'CREATE TABLE t (id int PRIMARY KEY, a text)')
    const running = await run(optionsFor(server, changed))
    if (isAnnounced) await queryPostgres(uri, `INSERT INTO t VALUES (1, 'first')`)
    await running.caughtUp()
    // The server announces the table anew after this.
    await queryPostgres(uri, 'ANALYZE t')
    const seen = running.changes.length
    await queryPostgres(uri, `BEGIN; ${change}; COMMIT`)
    await running.caughtUp()
    const { parked, schemas } = running.runtime
    expect([...parked.keys()]).toEqual(rows === null ? ['public.t'] : [])
    if (rows !== null) {
      expect(running.changes.slice(seen).map(({ row }) => row['a'])).toEqual(rows)
      expect(schemas.get('public.t')?.fields.map(({ identity }) => identity)).toEqual(['1', '3'])
    }
    await running.stop()
  })
}
