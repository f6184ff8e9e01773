// Requests in the state store: those that can be read are served, the others end no start.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { leaveRequest, moveDamagedAside, readRequests } from '../../runtime/job/requests.ts'

test('a request that cannot be read is moved aside, and the others are served', async () => {
  const state = localStore(mkdtempSync(join(tmpdir(), 'millrace-requests-')))
  await leaveRequest(state, { tables: ['public.orders'] })
  await leaveRequest(state, { tables: null })
  const damaged = ['', '{', 'null', '[]', '{"tables":5}', '{"tables":["no dot"]}', '{"tables":[1]}']
  for (const [index, text] of damaged.entries()) {
    await state.put(`requests/damaged-${index}.json`, Buffer.from(text))
  }
  const served = async (): Promise<string[]> =>
    (await readRequests(state)).map(({ tables }) => String(tables)).toSorted()
  expect(await served()).toEqual(['null', 'public.orders'])
  const moved = await moveDamagedAside(state)
  expect(moved).toHaveLength(damaged.length)
  for (const path of moved) expect(await state.exists(path)).toBe(true)
  expect(await state.list('requests')).toHaveLength(2)
  expect(await served()).toEqual(['null', 'public.orders'])
  expect(await moveDamagedAside(state)).toEqual([])
})
