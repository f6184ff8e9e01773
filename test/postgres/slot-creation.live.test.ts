// A slot that cannot be created yet: whoever looks on is told whose transaction it waits for.

import { expect } from 'vitest'
import { freshDatabase, optionsFor, run, startAll, testOn, withPostgres } from './harness.ts'

const servers = await startAll()

testOn(servers, 'a start that waits for open transactions names them', async (server) => {
  const { uri, changed } = await freshDatabase(server)
  const said: string[] = []
  const say = (message: string, facts: object): void => {
    said.push(`${message} ${JSON.stringify(facts)}`)
  }
  const options = optionsFor(server, { ...changed, log: { info: say, warn: say } })
  await withPostgres(uri, async (client) => {
    await client.query('BEGIN; CREATE TABLE open (id int)')
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const starting = run(options)
    try {
      const named = new RegExp(`waits for transactions .*process ${rows[0]?.pid} of `)
      await expect.poll(() => said.join(), { timeout: 15_000 }).toMatch(named)
    } finally {
      await client.query('ROLLBACK')
    }
    const running = await starting
    const count = said.length
    await running.caughtUp()
    expect(said).toHaveLength(count)
    await running.stop()
  })
})
