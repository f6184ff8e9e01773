// The file selects other tables and columns than at the run before. Nothing is read of what is left
// out meanwhile, and the log does not say so: a table that is selected again is read anew, an
// excluded column is copied no more, and one that comes back parks its table.
import { expect } from 'vitest'
import { readLake } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import { expectEqual, onEach, type Scene } from './each-server.ts'

async function select(
  { pipeline, name }: Scene,
  tables: readonly string[],
  excluded: readonly string[] = [],
): Promise<void> {
  await edit(pipeline, ({ source }) => {
    if (source === undefined) return
    source['tables'] = tables.map(name)
    source['columns_exclude'] = excluded.map(name)
  })
}

onEach(
  'tables and columns that are left out for a while are told from those that were read',
  async (at) => {
    const { pipeline, name, run } = at
    await run(`CREATE TABLE kept (id int PRIMARY KEY, v varchar(20), secret varchar(20));
      CREATE TABLE away (id int PRIMARY KEY, v varchar(20));
      INSERT INTO kept VALUES (1, 'a', 's'), (2, 'b', 's');
      INSERT INTO away VALUES (1, 'a'), (2, 'b'), (3, 'c')`)
    await select(at, ['kept', 'away'])
    await pipeline.once()
    await run(`UPDATE away SET v = 'unread' WHERE id = 1; DELETE FROM away WHERE id = 2;
      INSERT INTO away VALUES (4, 'd'); UPDATE kept SET v = 'read' WHERE id = 1`)
    await select(at, ['kept'])
    await pipeline.once()
    await select(at, ['kept', 'away'], ['kept.secret'])
    await run(`UPDATE kept SET secret = 'never copied' WHERE id = 1;
      INSERT INTO kept VALUES (3, 'c', 'never copied')`)
    await pipeline.once()
    await expectEqual(at, 'away')
    const [lake] = await readLake(pipeline, [name('kept')], 'duckdb')
    expect([lake?.columns, lake?.rows.length]).toEqual([['id', 'v'], 3])
    await select(at, ['kept', 'away'])
    const parked = await pipeline.command(['run', pipeline.file, '--once'])
    expect(parked.code).toBe(4)
    expect(parked.stderr).toContain('unknown values in the new column "secret"')
    await pipeline.command(['resync', pipeline.file, '--table', name('kept')])
    await pipeline.once()
    await expectEqual(at, 'kept', 'away')
  },
)
