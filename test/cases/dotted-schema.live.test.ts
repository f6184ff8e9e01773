// Dots in names: what is written the same when schema and table are joined is not the same table.
import { expect } from 'vitest'
import { edit } from '../acceptance/refusal.ts'
import { onEach } from './each-server.ts'

onEach('tables whose names join to the same text stay two tables', async (scene) => {
  const { pipeline, run, postgres } = scene
  const quoted = (...parts: string[]): string =>
    parts.map((part) => (postgres ? `"${part}"` : `\`${part}\``)).join('.')
  const [left, right] = [quoted('a.b', 'c'), quoted('a', 'b.c')]
  for (const schema of ['a', 'a.b']) await run(`CREATE SCHEMA ${quoted(schema)}`)
  for (const table of [left, right]) {
    await run(`CREATE TABLE ${table} (id int PRIMARY KEY, note text)`)
  }
  await run(`INSERT INTO ${left} VALUES (1, 'left'), (2, 'left')`)
  await run(`INSERT INTO ${right} VALUES (2, 'right'), (3, 'right'), (4, 'right')`)
  await edit(pipeline, ({ source }) => {
    if (source) source['tables'] = ['a.*', 'a\\.b.*']
  })
  await pipeline.once()
  await run(`UPDATE ${left} SET note = 'changed' WHERE id = 2`)
  await run(`DELETE FROM ${right} WHERE id = 2`)
  await pipeline.once()
  const { code, stdout } = await pipeline.command(['verify', pipeline.file])
  expect(stdout).toMatch(/✔ a\.b\.c {2}2 rows/)
  expect(stdout).toMatch(/✔ a\\\.b\.c {2}2 rows/)
  expect(code).toBe(0)
})
