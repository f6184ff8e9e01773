// Other engines on tables of ours: what they may do leaves us committing, what they may not parks
// the table; and what they write is read.

import { afterEach, expect, test } from 'vitest'
import { runReaderScript } from '../readers/python.ts'
import { readIcebergWithJava } from '../readers/java.ts'
import { checkInvariants } from './invariants.ts'
import { javaCommit } from './java-engine.ts'
import { Lake, ORDERS } from './lake.ts'

const { table } = ORDERS
const open: Lake[] = []
afterEach(async () => {
  for (const lake of open.splice(0)) await lake.close()
})

async function filledLake(): Promise<Lake> {
  const lake = await Lake.open()
  open.push(lake)
  const rows = Array.from({ length: 10 }, (_, id) => ({ id, name: `row ${id}` }))
  const committer = lake.committer()
  const files = [await lake.file(ORDERS, rows)]
  await lake.commit(committer, { table, schemas: [ORDERS], files })
  for (let row = 0; row < 3; row++) {
    const more = [await lake.file(ORDERS, [{ id: 100 + row, name: null }])]
    await lake.commit(committer, { table, files: more, deletes: [new Map([[1, [row]]])] })
  }
  return lake
}

test('we go on after Java appended, rewrote manifests and expired snapshots', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  const readable = async (): Promise<string[]> => {
    const [dump] = await readIcebergWithJava({ catalog: lake.catalogPath, tables: [{ table }] })
    return dump!.rows
  }
  const before = await readable()
  expect(before).toHaveLength(10)
  await javaCommit(lake, table, 'rewrite-manifests')
  await javaCommit(lake, table, 'expire')
  expect(await readable()).toEqual(before)
  let [commit] = await lake.commit(committer, { table, deletes: [new Map([[1, [3]]])] })
  expect(commit!.outcome).toBe('committed')
  await checkInvariants(lake, table)
  const rows = await readable()
  expect(rows).toEqual(before.filter((row) => row !== '["3","row 3"]'))
  await javaCommit(lake, table, 'append')
  ;[commit] = await lake.commit(committer, {
    table,
    deletes: [
      new Map([
        [1, [4]],
        [2, [0]],
      ]),
    ],
  })
  expect(commit!.outcome).toBe('committed')
  const { metadata } = await lake.scan(table)
  expect(metadata.snapshots.map(({ summary }) => summary['operation'])).toEqual([
    // The head that our tag held when Java expired everything else.
    'overwrite',
    'replace',
    'delete',
    'append',
    'delete',
  ])
  expect(await lake.liveRows(table)).toHaveLength(rows.length + 2 - 2)
})

test('a rollback, a new column and a removed file of Java park the table', async () => {
  const lake = await filledLake()
  const committer = lake.committer()
  const outcome = async (): Promise<unknown> => {
    const [commit] = await lake.commit(committer, { table, deletes: [new Map([[1, [7]]])] })
    return commit!.reason?.error ?? commit!.outcome
  }
  const adopt = async (): Promise<void> => {
    lake.timeline++
    const claim = { timeline: lake.timeline, epoch: lake.epoch, fence: '1' }
    lake.learn([(await committer.adopt(table, claim))!.commit])
  }
  const { metadata } = await lake.scan(table)
  await javaCommit(lake, table, 'rollback', String(metadata.snapshots[1]!.snapshotId))
  expect(await outcome()).toBe('TARGET_DIVERGED')
  await adopt()
  await javaCommit(lake, table, 'add-column')
  expect(await outcome()).toBe('SCHEMA_DIVERGED')
  await adopt()
  await javaCommit(lake, table, 'remove-file', '00000001-')
  expect(await outcome()).toBe('TARGET_DIVERGED')
  const rows = await lake.liveRows(table)
  expect(rows).toEqual(['2:0'])
})

test('a table of format version 2 by pyiceberg is read, and never written to', async () => {
  const lake = await Lake.open()
  open.push(lake)
  const args = [lake.catalogPath, 'lake', `${lake.folder}/warehouse`, table]
  await runReaderScript('../iceberg/pyiceberg_engine.py', args)
  const { metadata, fields, files } = await lake.scan(table)
  expect(metadata.formatVersion).toBe(2)
  expect(fields.map(({ name, type }) => [name, type])).toEqual([
    ['id', { kind: 'long' }],
    ['name', { kind: 'string' }],
  ])
  expect(files.map(({ rows }) => rows).toSorted((left, right) => left - right)).toEqual([4, 9])
  expect(files.every(({ fileId }) => fileId === null)).toBe(true)
  const [commit] = await lake.commit(lake.committer(), { table, schemas: [ORDERS] })
  expect(commit).toMatchObject({ outcome: 'diverged', reason: { error: 'TARGET_DIVERGED' } })
})
