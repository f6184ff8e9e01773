// Records that cannot be decoded, set aside beside their neighbours, and how many are too many.

import { expect, test } from 'vitest'
import { readUntil } from './played-context.ts'
import { at, setUp, valuesOf } from './played-source.ts'

const DEAD = { table: 'p_dlq', rowsMax: null, ratioMax: null }

test('dead letters have the bytes and the place, and cost their neighbours nothing', async () => {
  const { cluster, context, source } = setUp({ onDecodeError: 'dlq', deadLetters: DEAD })
  cluster.create('t', 2)
  const bad = Buffer.from('ff', 'hex')
  cluster.append('t', 0, at('a'), at(bad, 'k', 7000), at('b'), at('c', null))
  cluster.append('t', 1, at(bad))
  await readUntil(source, context, () => context.rows.length === 5)
  expect(valuesOf(context)).toEqual(['a', 'b', 'c'])
  const letters = context.rows.filter(({ table }) => table === 'kafka.p_dlq')
  expect(letters.map(({ values }) => values)).toMatchObject([
    {
      code: 'MR-4501',
      message: 'the value is not UTF-8',
      topic: 't',
      partition: 0,
      offset: 1,
      record_time: 7_000_000,
      key: 'k',
      headers: '[]',
      schema_id: null,
      byte_offset: 0,
    },
    { partition: 1, offset: 0, key: null },
  ])
  const ids = letters.map(({ values }) => values['dlq_id'])
  expect(new Set(ids).size).toBe(2)
  expect(ids[0]).toMatch(/^[0-9a-f]{64}$/)
})

test('a topic cannot have the name of the dead letters', async () => {
  const { cluster, context, source } = setUp({ onDecodeError: 'dlq', deadLetters: DEAD })
  cluster.create('p_dlq', 1)
  await expect(readUntil(source, context, () => true)).rejects.toMatchObject({
    error: 'CONFIG_VALUE',
  })
})

test('too many dead letters stop the pipeline', async () => {
  const deadLetters = { ...DEAD, rowsMax: 2 }
  const { cluster, context, source } = setUp({ onDecodeError: 'dlq', deadLetters })
  cluster.create('t', 1)
  const bad = at(Buffer.from('ff', 'hex'))
  cluster.append('t', 0, bad, bad)
  // The third is of another epoch.
  const { position, saved } = await readUntil(source, context, () => context.rows.length === 2)
  cluster.append('t', 0, bad)
  await readUntil(source, context, () => context.rows.length === 3, { after: position, saved })
  cluster.append('t', 0, bad, bad, bad)
  await expect(
    readUntil(source, context, () => false, { after: position, saved }),
  ).rejects.toMatchObject({ error: 'DEAD_LETTERS_MAX' })
})

test('a share of dead letters stops the pipeline, not the first one', async () => {
  const deadLetters = { ...DEAD, ratioMax: 0.001 }
  const { cluster, context, source } = setUp({ onDecodeError: 'dlq', deadLetters })
  cluster.setRows = 100
  cluster.create('t', 1)
  const bad = at(Buffer.from('ff', 'hex'))
  const good = Array.from({ length: 20_000 }, () => at('x'))
  cluster.append('t', 0, ...Array.from({ length: 10 }, () => bad), ...good)
  const count = (): number => context.rows.length
  const { position } = await readUntil(source, context, () => count() === 20_010)
  // Those are long ago.
  cluster.append('t', 0, ...Array.from({ length: 10 }, () => bad), at('y'))
  const after = await readUntil(source, context, () => count() === 20_021, { after: position })
  cluster.append('t', 0, ...Array.from({ length: 11 }, () => bad))
  await expect(
    readUntil(source, context, () => false, { after: after.position }),
  ).rejects.toMatchObject({ error: 'DEAD_LETTERS_MAX' })
})
