// What a worker thread makes of its seed is the configuration that the main thread read.

import { expect, test } from 'vitest'
import { workerConfig, workerSeed } from '../../runtime/cli/worker-seed.ts'
import { loadPipeline } from '../../runtime/job/config/load.ts'
import { changed, changedKafka, databaseOf, writeFile } from '../config/pipeline-file.ts'

const URI = 'uri: postgresql://postgres@127.0.0.1:5433/shop'

function throughSeed(text: string): {
  read: ReturnType<typeof loadPipeline>
  got: ReturnType<typeof loadPipeline>
} {
  const read = loadPipeline(writeFile(text))
  const { config } = workerConfig(structuredClone(workerSeed(read, 'info')))
  return { read, got: config }
}

test('every setting arrives, and a pipeline without a password has none', () => {
  const { read, got } = throughSeed(changed())
  expect(got).toEqual(read)
  expect(databaseOf(got).connection.password).toBeNull()
})

test('a password arrives from wherever it comes, and shows itself in no print', () => {
  writeFile('from a file\n', 'pw')
  const origins = [
    ['{ from_file: pw }', 'from a file'],
    ['canary', 'canary'],
  ] as const
  for (const [written, value] of origins) {
    const { read, got } = throughSeed(changed([URI, `${URI}\n  password: ${written}`]))
    expect(got).toEqual(read)
    expect(databaseOf(got).connection.password?.reveal()).toBe(value)
    expect(JSON.stringify(got)).not.toContain(value)
  }
})

test('a secret file that is changed counts in a thread too', () => {
  writeFile('first', 'rotated')
  const text = changed([URI, `${URI}\n  password: { from_file: rotated }`])
  const { got } = throughSeed(text)
  writeFile('second', 'rotated')
  expect(databaseOf(got).connection.password?.reveal()).toBe('second')
})

test('a pipeline file that changes afterwards changes nothing', () => {
  const path = writeFile(changed(), 'edited.yaml')
  const read = loadPipeline(path)
  const seed = workerSeed(read, 'info')
  writeFile('version: 1', 'edited.yaml')
  expect(workerConfig(structuredClone(seed)).config).toEqual(read)
})

test('secrets of Kafka arrive as those of a database do', () => {
  const sasl = 'sasl: { mechanism: PLAIN, username: u, password: canary }'
  const { read, got } = throughSeed(changedKafka(['topics:', `${sasl}\n  topics:`]))
  expect(got).toEqual(read)
  expect(JSON.stringify(got)).not.toContain('canary')
  const { source } = got
  if (source.type !== 'kafka' || source.sasl?.mechanism !== 'PLAIN') throw new Error('not Kafka')
  expect(source.sasl.password.reveal()).toBe('canary')
})
