// What the source makes of topics that come, change and go, on a cluster in memory: each test says
// one promise, and that one partition delays nobody but itself is in most of them.

import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { rawFormat } from '../../connectors/kafka/decode/raw.ts'
import { readUntil } from './played-context.ts'
import { at, setUp, valuesOf } from './played-source.ts'
import { StagedFormat } from './staged-format.ts'

test('a partition without a leader delays nobody else, and is read when it has one', async () => {
  const { cluster, context, source } = setUp()
  const topic = cluster.create('t', 3)
  for (const partition of [0, 1, 2]) cluster.append('t', partition, at(`p${partition}`))
  const opening = { entries: 0 }
  const [, second] = topic.partitions
  await readUntil(source, context, () => {
    // It loses its leader once the source has asked where to begin.
    if (opening.entries++ === 0 && second !== undefined) second.leader = -1
    return opening.entries > 3
  })
  second!.leader = -1
  cluster.append('t', 1, at('late'))
  cluster.append('t', 0, at('now'))
  const waits = new Set<unknown>()
  const seen = (): boolean => {
    waits.add(source.waitsFor?.('kafka.t'))
    return valuesOf(context).includes('now')
  }
  const { position } = await readUntil(source, context, seen, { after: context.positions.at(-1)! })
  expect(valuesOf(context)).not.toContain('late')
  expect(waits).toEqual(new Set(['a leader of partition 1']))
  second!.leader = 1
  await readUntil(source, context, () => valuesOf(context).includes('late'), { after: position })
  expect(valuesOf(context).toSorted()).toEqual(['late', 'now', 'p0', 'p1', 'p2'])
})

test('new partitions begin at 0 and new topics at their start, whatever `start` says', async () => {
  const { cluster, context, source } = setUp({ start: { at: 'latest' } })
  const topic = cluster.create('t', 1)
  cluster.append('t', 0, at('before'))
  let step = 0
  await readUntil(source, context, () => {
    if (step++ === 0) {
      topic.partitions.push({ entries: [at('added')], startOffset: 0, leader: 1 })
      cluster.create('u', 1).partitions[0]!.entries.push(at('new topic'))
      cluster.create('other', 1).partitions[0]!.entries.push(at('not selected'))
      cluster.create('__internal', 1).partitions[0]!.entries.push(at('internal'))
    }
    return context.rows.length >= 2
  })
  expect(valuesOf(context)).toEqual(['added'])
  expect(valuesOf(context, 'kafka.u')).toEqual(['new topic'])
})

test.each([
  ['earliest', { at: 'earliest' }, ['a', 'b', 'c', 'd']],
  ['latest', { at: 'latest' }, ['d']],
  ['a time', { at: 'timestamp', timestampMs: 2000 }, ['b', 'c', 'd']],
  ['a time behind all', { at: 'timestamp', timestampMs: 9000 }, ['d']],
  ['a group', { at: 'group', group: 'g' }, ['c', 'd']],
  ['offsets', { at: 'offsets', offsets: { t: { 0: 1 } } }, ['b', 'c', 'd']],
] as const)('a first start may begin at %s', async (_name, start, expected) => {
  const { cluster, context, source } = setUp({ start })
  cluster.create('t', 1)
  cluster.groups.set('g', new Map([['t/0', 2]]))
  cluster.append('t', 0, at('a', null, 1000), at('b', null, 2000), at('c', null, 3000))
  let step = 0
  await readUntil(source, context, () => {
    if (step++ === 0) cluster.append('t', 0, at('d', null, 4000))
    return valuesOf(context).includes('d')
  })
  expect(valuesOf(context)).toEqual(expected)
})

test('rows that need a new structure follow it, and those before do not have it', async () => {
  const value = new StagedFormat()
  const { cluster, context, source } = setUp({ value, key: null, nullValue: 'error' })
  cluster.create('t', 2)
  cluster.append('t', 0, at('1:a'), at('1:b'), at('2:c'), at('1:d'))
  cluster.append('t', 1, at('1:e'), at('3:f'))
  await readUntil(source, context, () => context.rows.length === 6)
  const byVersion = context.rows.map(({ values, version }) => `${values['c1']}${version}`)
  // Partitions are told apart by nothing but their own order: `e` may come before or behind `c`.
  expect(byVersion.filter((row) => !row.startsWith('e')).toSorted()).toEqual([
    'a0',
    'b0',
    'c1',
    'd1',
    'f2',
  ])
  const names = context.schemas.get('kafka.t')?.fields.map(({ name }) => name)
  expect(names).toEqual(['c1', 'c2', 'c3', '__partition__', '__offset__'])
})

test('a partition whose schema must be fetched waits alone, and nothing of it is lost', async () => {
  const value = new StagedFormat()
  let come: () => void = () => undefined
  value.loads.set(2, new Promise<void>((resolve) => (come = resolve)))
  const { cluster, context, source } = setUp({ value, key: null, nullValue: 'error' })
  cluster.create('t', 2)
  cluster.append('t', 0, at('1:a'), at('2:waits'), at('2:behind'))
  cluster.append('t', 1, at('1:b'))
  let stage = 0
  await readUntil(source, context, () => {
    const seen = valuesOf(context)
    if (stage === 0 && seen.length === 2) {
      stage = 1
      cluster.append('t', 1, at('1:c'), at('1:d'), at('1:e'), at('1:f'))
    } else if (stage === 1 && seen.length === 6) {
      stage = 2
      expect(seen).not.toContain('waits')
      come()
    }
    return seen.length === 8
  })
  expect(stage).toBe(2)
  expect(valuesOf(context).toSorted()).toEqual(['a', 'b', 'behind', 'c', 'd', 'e', 'f', 'waits'])
})

test('a structure that cannot be taken parks its table where it stands; others go on', async () => {
  const value = new StagedFormat()
  value.refused.set(2, new PipelineError('FORMAT_TYPE_CHANGED', 'column "c2" changed'))
  const { cluster, context, source } = setUp({ value, key: null, nullValue: 'error' })
  cluster.create('t', 1)
  cluster.create('u', 1)
  cluster.append('t', 0, at('1:a'), at('2:b'), at('1:c'))
  cluster.append('u', 0, at('1:x'))
  const { position } = await readUntil(source, context, () => {
    if (context.parked.size > 0 && context.rows.length === 2) cluster.append('u', 0, at('1:y'))
    return valuesOf(context, 'kafka.u').length >= 2
  })
  expect(valuesOf(context)).toEqual(['a'])
  expect(context.parked.get('kafka.t')).toMatchObject({
    error: 'FORMAT_TYPE_CHANGED',
    hint: expect.stringContaining('start: { offsets: { "t": { 0: 1 } } }'),
  })
  // Whoever takes the table up again finds the place.
  expect(position.token).toContain('"name":"t","partitions":{"0":[1,')
})

test('a restart goes on with the structures that were seen', async () => {
  const value = new StagedFormat()
  const { cluster, context, source } = setUp({ value, key: null, nullValue: 'error' })
  cluster.create('t', 1)
  cluster.append('t', 0, at('2:a'))
  const { position, saved } = await readUntil(source, context, () => context.rows.length === 1)
  cluster.append('t', 0, at('1:b'))
  const versions = context.schemas.get('kafka.t')?.version
  await readUntil(source, context, () => context.rows.length === 2, { after: position, saved })
  expect(context.rows[1]?.values).toMatchObject({ c1: 'b', c2: null })
  expect(context.schemas.get('kafka.t')?.version).toBe(versions)
})

test.each([
  ['needed and available offsets', 0, 5, /no longer has offset 0/],
  ['a log that ends before it', 9, 0, /no longer has offset 9/],
])(
  'a position that is gone stops with %s, and is never passed over',
  async (_n, from, start, said) => {
    const { cluster, context, source } = setUp({
      start: { at: 'offsets', offsets: { t: { 0: from } } },
    })
    const { partitions } = cluster.create('t', 1)
    cluster.append('t', 0, ...Array.from({ length: 7 }, () => at('x')))
    partitions[0]!.startOffset = start
    const failure = await readUntil(source, context, () => false).catch((error: unknown) => error)
    expect(failure).toMatchObject({ error: 'POSITION_GONE', message: expect.stringMatching(said) })
    expect(String((failure as PipelineError).detail)).toContain(`First available: offset ${start};`)
    expect(context.rows).toEqual([])
  },
)

test('a new partition whose first records are gone already is a loss, and is said', async () => {
  const { cluster, context, source } = setUp()
  const topic = cluster.create('t', 1)
  let step = 0
  const failure = await readUntil(source, context, () => {
    if (step++ === 0) topic.partitions.push({ entries: [null, at('b')], startOffset: 1, leader: 1 })
    return false
  }).catch((error: unknown) => error)
  expect(failure).toMatchObject({ error: 'POSITION_GONE' })
})

test('a topic that is made again parks its table alone', async () => {
  const { cluster, context, source } = setUp()
  cluster.create('t', 1)
  cluster.create('u', 1)
  cluster.append('t', 0, at('a'))
  let step = 0
  const { position } = await readUntil(source, context, () => {
    if (context.rows.length === 1 && step++ === 0) {
      cluster.create('t', 1)
      cluster.append('t', 0, at('new'))
    }
    if (context.parked.size > 0) cluster.append('u', 0, at('y'))
    return valuesOf(context, 'kafka.u').length > 0
  })
  expect(valuesOf(context)).toEqual(['a'])
  expect(context.parked.get('kafka.t')).toMatchObject({ error: 'POSITION_GONE' })
  // A restart does not forget it.
  const again = setUp({}, cluster)
  again.context.schemas.set('kafka.t', context.schemas.get('kafka.t')!)
  await readUntil(again.source, again.context, () => again.context.parked.size > 0, {
    after: position,
  })
  expect(valuesOf(again.context)).toEqual([])
})

test('from_beginning: a topic that is made again is read whole, as another table', async () => {
  const { cluster, context, source } = setUp({ onRecreate: 'from_beginning' })
  cluster.create('t', 1)
  cluster.append('t', 0, at('a'), at('b'))
  let step = 0
  await readUntil(source, context, () => {
    if (context.rows.length === 2 && step++ === 0) {
      cluster.create('t', 2)
      cluster.append('t', 0, at('c'))
      cluster.append('t', 1, at('d'))
    }
    return context.rows.length === 4
  })
  expect(context.dropped).toEqual(['kafka.t'])
  expect(valuesOf(context)).toEqual(['a', 'b', 'c', 'd'])
  const orders = context.positions.map(({ order }) => order)
  expect(orders).toEqual(orders.toSorted((left, right) => (left < right ? -1 : 1)))
})

test('a topic that is deleted is a table that is dropped; the others go on', async () => {
  const { cluster, context, source } = setUp()
  cluster.create('t', 1)
  cluster.create('u', 1)
  cluster.append('t', 0, at('a'))
  await readUntil(source, context, () => {
    if (context.rows.length === 1) cluster.topics.delete('t')
    if (context.dropped.length > 0) cluster.append('u', 0, at('y'))
    return valuesOf(context, 'kafka.u').length > 0
  })
  expect(context.dropped).toEqual(['kafka.t'])
})

test('fewer partitions than before are refused', async () => {
  const { cluster, context, source } = setUp()
  const topic = cluster.create('t', 2)
  let step = 0
  const failure = await readUntil(source, context, () => {
    if (step++ === 0) topic.partitions.pop()
    return false
  }).catch((error: unknown) => error)
  expect(failure).toMatchObject({ error: 'POSITION_GONE', message: /has no partition 1 now/ })
})

test('a cluster whose topics have no ids is refused', async () => {
  const { cluster, context, source } = setUp()
  cluster.create('t', 1)
  cluster.idsGiven = false
  await expect(readUntil(source, context, () => true)).rejects.toMatchObject({
    error: 'SERVER_UNSUITABLE',
  })
})

const KEYED = { primaryKeys: ['key'], metadata: [] } as const

test('a null value deletes the row of its key', async () => {
  const { cluster, context, source } = setUp({ ...KEYED, nullValue: 'delete' })
  cluster.create('t', 1)
  cluster.append('t', 0, at('a', 'k1'), at(null, 'k1'), at(null, 'k2'), at('b', 'k2'))
  await readUntil(source, context, () => context.rows.length === 4)
  expect(context.rows.map(({ op, values }) => `${op} ${values['key']} ${values['value']}`)).toEqual(
    ['c k1 a', 'd k1 null', 'd k2 null', 'c k2 b'],
  )
})

test('a null value is passed over, or an error that names its place', async () => {
  const skipping = setUp({ nullValue: 'skip' })
  skipping.cluster.create('t', 1)
  skipping.cluster.append('t', 0, at('a'), at(null), at(null), at('b'))
  await readUntil(skipping.source, skipping.context, () => skipping.context.rows.length === 2)
  expect(valuesOf(skipping.context)).toEqual(['a', 'b'])
  const { cluster, context, source } = setUp({ nullValue: 'error' })
  cluster.create('t', 1)
  cluster.append('t', 0, at('a'), at(null))
  await expect(readUntil(source, context, () => false)).rejects.toMatchObject({
    error: 'RECORD_NULL',
    message: 'topic "t", partition 0, offset 1: the value is null',
  })
})

test('a key without a value where rows are told apart by it is an error', async () => {
  const { cluster, context, source } = setUp({ ...KEYED, nullValue: 'delete' })
  cluster.create('t', 1)
  cluster.append('t', 0, at('a', 'k'), at('b', null))
  await expect(readUntil(source, context, () => false)).rejects.toMatchObject({
    error: 'RECORD_NULL',
    message: expect.stringContaining('offset 1: a column of source.primary_keys'),
  })
})

test('text that is no text is an error that names the byte', async () => {
  const { cluster, context, source } = setUp()
  cluster.create('t', 1)
  cluster.append('t', 0, at('ok'), at(Buffer.from('c3a4c3', 'hex')), at('never'))
  await expect(readUntil(source, context, () => false)).rejects.toMatchObject({
    error: 'RECORD_CORRUPT',
    message: 'topic "t", partition 0, offset 1: the value is not UTF-8',
    detail: expect.stringContaining('byte 2'),
  })
})

test('the end of a log is the end of each partition, not a sum', async () => {
  const { cluster, context, source } = setUp()
  const { partitions } = cluster.create('t', 2)
  cluster.append('t', 0, at('a'))
  cluster.append('t', 1, at('b'))
  await source.open(null, null, false)
  const target = await source.head()
  // One grows beyond the sum while the other has no leader.
  partitions[1]!.leader = -1
  cluster.append('t', 0, at('c'), at('d'), at('e'))
  partitions[1]!.leader = 1
  const reached: boolean[] = []
  let step = 0
  await readUntil(source, context, () => {
    if (step++ === 0) return false
    const position = context.positions.at(-1)!
    reached.push(source.reaches(position, target))
    return valuesOf(context).length === 5
  })
  expect(target.order).toBe(2n)
  const last = context.positions.at(-1)!
  expect(source.reaches(last, target)).toBe(true)
  const half = { ...last, token: last.token.replace('"1":[1,', '"1":[0,') }
  expect(source.reaches(half, target)).toBe(false)
  expect(reached.at(-1)).toBe(true)
})

test('who asks for a position before reading begins gets one, on a log without records', async () => {
  const { cluster, context, source } = setUp({ start: { at: 'latest' } })
  cluster.create('t', 1)
  cluster.append('t', 0, at('before'))
  const { position } = await source.open(null, null, false)
  source.requestProgress()
  const elements = source.read(position, context, AbortSignal.timeout(5000))
  for await (const element of elements) {
    expect(element).toMatchObject({ kind: 'progress', position })
    break
  }
  await source.close()
})

test('positions are reported to a group, and decide nothing', async () => {
  const { cluster, context, source } = setUp({ groupId: 'g', start: { at: 'group', group: 'g' } })
  cluster.create('t', 1)
  cluster.append('t', 0, at('a'), at('b'))
  const { position } = await readUntil(source, context, () => context.rows.length === 2)
  cluster.groups.set('g', new Map([['t/0', 0]]))
  cluster.append('t', 0, at('c'))
  await readUntil(source, context, () => context.rows.length === 3, { after: position })
  expect(valuesOf(context)).toEqual(['a', 'b', 'c'])
  await source.open(null, position, false)
  await source.acknowledge({ epoch: 1, position } as never)
  expect(cluster.groups.get('g')?.get('t/0')).toBe(2)
  cluster.down = true
  await source.acknowledge({ epoch: 1, position } as never)
  await source.close()
})

test('a topic that is not selected any more keeps its place', async () => {
  const { cluster, context, source } = setUp()
  cluster.create('t', 1)
  cluster.create('u', 1)
  cluster.append('t', 0, at('a'))
  cluster.append('u', 0, at('x'))
  const first = await readUntil(source, context, () => context.rows.length === 2)
  cluster.append('t', 0, at('b'))
  cluster.append('u', 0, at('y'))
  const narrow = setUp({ topics: (topic) => topic === 'u' }, cluster)
  const second = await readUntil(
    narrow.source,
    narrow.context,
    () => narrow.context.rows.length === 1,
    {
      after: first.position,
    },
  )
  expect(valuesOf(narrow.context, 'kafka.u')).toEqual(['y'])
  const wide = setUp({}, cluster)
  await readUntil(wide.source, wide.context, () => wide.context.rows.length === 1, {
    after: second.position,
  })
  expect(valuesOf(wide.context)).toEqual(['b'])
})

test('a source without topics says that there are none', async () => {
  const { source } = setUp()
  const opening = await source.open(null, null, false)
  expect(opening).toMatchObject({ tables: [], more: false })
})

test('binary raw has no opinion of bytes', async () => {
  const value = rawFormat({ as: 'binary', readsNull: true })
  const { cluster, context, source } = setUp({ value, key: null })
  cluster.create('t', 1)
  cluster.append('t', 0, at(Buffer.from('ff', 'hex')), at(null), at(''))
  await readUntil(source, context, () => context.rows.length === 3)
  expect(context.rows.map(({ values }) => values['value'])).toEqual(['\ufffd', null, ''])
})
