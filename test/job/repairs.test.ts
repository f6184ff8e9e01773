// When a request of `resync` counts as served, and when it is gone.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { CommitQueue } from '../../runtime/checkpoint/commit.ts'
import { CHECKPOINT_FORMAT, type Checkpoint } from '../../runtime/checkpoint/manifest.ts'
import type { TableRecord } from '../../runtime/flow/tables.ts'
import { RepairRequests } from '../../runtime/job/repairs.ts'
import { leaveRequest } from '../../runtime/job/requests.ts'

const CLAIM = { timeline: 1, epoch: 1, fence: '1' }

/** A checkpoint in which these tables are parked, since the lake is not as we left it. */
function diverged(...tables: string[]): Checkpoint {
  const records = tables.map((table): TableRecord => {
    const schema = { table, version: 0, fields: [], key: [], comment: null, lastFieldId: 0 }
    const reason = { error: 'TARGET_DIVERGED', message: 'm', detail: null, hint: 'h' } as const
    const none = {
      backfill: null,
      floor: null,
      shape: null,
      lake: null,
      semantics: null,
      waitsFor: null,
    }
    return { schema, incarnation: '1', phase: 'parked', reason, ...none }
  })
  return {
    format: CHECKPOINT_FORMAT,
    pipeline: 'shop',
    timeline: 1,
    epoch: 1,
    fence: '1',
    source: {
      position: { split: 'log', order: 1n, token: '' },
      sourceTimeUs: 0n,
      state: '',
      tables: records,
    },
    writers: [],
    nextFileId: 1,
    intents: [],
    waiting: {},
    cancelled: {},
    lake: [],
    held: {},
    parked: [],
    savedAtMs: 0,
  }
}

/** A catalog that can be switched off. */
class Catalog {
  down: boolean | string = false
  readonly adopted: string[] = []

  commits(): CommitQueue {
    const adopt = async (table: string): Promise<object> => {
      if (this.down === true || this.down === table) {
        throw new PipelineError('CATALOG_UNAVAILABLE', 'the catalog is down')
      }
      this.adopted.push(table)
      return { lastSchemaId: 0, lastColumnId: 0, renumber: false }
    }
    return { adopt } as unknown as CommitQueue
  }
}

test('a request whose table cannot be adopted now is served when it can', async () => {
  const state = localStore(mkdtempSync(join(tmpdir(), 'millrace-repairs-')))
  const requests = new RepairRequests(state)
  const catalog = new Catalog()
  const last = diverged('shop.a')
  await leaveRequest(state, { tables: ['shop.a'] })
  catalog.down = true
  for (let poll = 0; poll < 3; poll++) {
    await expect(requests.poll(last, catalog.commits(), CLAIM)).rejects.toThrow('is down')
    await requests.afterCheckpoint()
  }
  catalog.down = false
  const { tables } = await requests.poll(last, catalog.commits(), CLAIM)
  expect(tables.map(({ table }) => table)).toEqual(['shop.a'])
  await requests.afterCheckpoint()
  expect(await state.list('requests')).toHaveLength(1)
  await requests.afterCheckpoint()
  expect(await state.list('requests')).toEqual([])
})

test('a request behind one that fails waits, and the one before it is served once', async () => {
  const state = localStore(mkdtempSync(join(tmpdir(), 'millrace-repairs-')))
  const requests = new RepairRequests(state)
  const catalog = new Catalog()
  const last = diverged('shop.a', 'shop.b')
  await leaveRequest(state, { tables: ['shop.a'] })
  await leaveRequest(state, { tables: ['shop.b'] })
  const names = async (): Promise<string[]> =>
    (await requests.poll(last, catalog.commits(), CLAIM)).tables.map(({ table }) => table)
  catalog.down = true
  await expect(requests.poll(last, catalog.commits(), CLAIM)).rejects.toThrow('is down')
  catalog.down = false
  const served = [...(await names()), ...(await names())]
  expect(served.toSorted()).toEqual(['shop.a', 'shop.b'])
  expect(catalog.adopted.toSorted()).toEqual(['shop.a', 'shop.b'])
})
