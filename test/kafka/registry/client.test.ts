import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { UNKNOWN_AFTER_MS } from '../../../connectors/kafka/registry/client.ts'
import { localStore } from '../../../connectors/storage/local.ts'
import { systemClock } from '../../../runtime/base/clock.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { clientOf, never } from './made-client.ts'
import { NOT_FOUND, playRegistry, type Play, type PlayedRegistry } from './played-registry.ts'

const TEXT = '{"type":"record","name":"R","fields":[]}'
const FOUND: Play = { status: 200, body: { schema: TEXT } }

const registries: PlayedRegistry[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(registries.splice(0).map(async (registry) => registry.close()))
  await Promise.all(folders.splice(0).map(async (folder) => rm(folder, { recursive: true })))
})

async function played(play: (path: string, before: number) => Play): Promise<PlayedRegistry> {
  const registry = await playRegistry(play)
  registries.push(registry)
  return registry
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-registry-'))
  folders.push(path)
  return path
}

test('a schema is fetched once, however many ask for it at a time', async () => {
  const registry = await played(() => FOUND)
  const { client } = clientOf([registry.url])
  expect(client.known(7)).toBe(null)
  const both = await Promise.all([client.schemaById(7, never), client.schemaById(7, never)])
  const schema = { id: 7, kind: 'AVRO', text: TEXT, references: [] }
  expect(both).toEqual([schema, schema])
  expect(client.known(7)).toEqual(schema)
  expect(await client.schemaById(7, never)).toEqual(schema)
  expect(registry.asked).toEqual(['/schemas/ids/7'])
})

test('the path of the address stays in front of every request', async () => {
  const registry = await played(() => FOUND)
  const { client } = clientOf([`${registry.url}/apis/ccompat/v7/`])
  await client.schemaById(7, never)
  expect(registry.asked).toEqual(['/apis/ccompat/v7/schemas/ids/7'])
})

const outages: readonly (readonly [string, Play])[] = [
  ['500', { status: 500, body: { error_code: 50001, message: 'backend' } }],
  ['503 without JSON', { status: 503, body: 'upstream connect error' }],
  ['429', { status: 429, body: {} }],
  ['a 404 that no schema registry gives', { status: 404, body: '<html>not here</html>' }],
  ['200 without a schema', { status: 200, body: { status: 'starting' } }],
  ['a page of somebody else', { status: 200, body: '<html>log in</html>' }],
  ['a connection that is cut', 'reset'],
]

for (const [name, play] of outages) {
  test(`${name} is waited out with back-off, for as long as it lasts`, async () => {
    const registry = await played((_, before) => (before < 45 ? play : FOUND))
    const { client, clock, warnings } = clientOf([registry.url])
    expect(await client.schemaById(7, never)).toMatchObject({ id: 7, text: TEXT })
    expect(registry.asked).toHaveLength(46)
    expect(clock.sleeps.slice(0, 8)).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000])
    expect(clock.elapsedMs()).toBeGreaterThan(UNKNOWN_AFTER_MS)
    expect(warnings).toHaveLength(1)
    expect(client.waitsFor).toBe(null)
  })
}

test('a registry that does not answer is given up at the time limit and asked again', async () => {
  const registry = await played((_, before) => (before === 0 ? 'hang' : FOUND))
  const { client } = clientOf([registry.url], { timeoutMs: 100 })
  const waiting = client.schemaById(7, never)
  expect(await waiting).toMatchObject({ id: 7 })
  expect(registry.asked).toHaveLength(2)
})

test('while it waits, it says for what and why', async () => {
  const registry = await played(() => ({ status: 502, body: '' }))
  const { client } = clientOf([registry.url], { clock: systemClock })
  const cancel = new AbortController()
  const waiting = client.schemaById(7, cancel.signal)
  while (client.waitsFor === null) await systemClock.sleep(5)
  expect(client.waitsFor).toBe(`the schema registry ${registry.url}: schema id 7: it answered 502`)
  cancel.abort(new Error('stopped'))
  await expect(waiting).rejects.toThrow('stopped')
  expect(client.waitsFor).toBe(null)
})

test('one who leaves takes nothing from those who go on waiting', async () => {
  const registry = await played((_, before) => (before < 2 ? { status: 500, body: '' } : FOUND))
  const { client } = clientOf([registry.url], { clock: systemClock })
  const cancel = new AbortController()
  const first = client.schemaById(7, cancel.signal)
  const second = client.schemaById(7, never)
  cancel.abort(new Error('stopped'))
  await expect(first).rejects.toThrow('stopped')
  const third = client.schemaById(7, never)
  expect(await second).toMatchObject({ id: 7 })
  expect(await third).toMatchObject({ id: 7 })
})

test('one who comes after all have left begins anew', async () => {
  const registry = await played((_, before) => (before === 0 ? 'hang' : FOUND))
  const { client } = clientOf([registry.url], { clock: systemClock })
  const cancel = new AbortController()
  const first = client.schemaById(7, cancel.signal)
  while (registry.asked.length === 0) await systemClock.sleep(5)
  cancel.abort(new Error('stopped'))
  await expect(first).rejects.toThrow('stopped')
  expect(await client.schemaById(7, never)).toMatchObject({ id: 7 })
})

test('an id is unknown only after the registry has said so for five minutes', async () => {
  const registry = await played(() => NOT_FOUND)
  const { client, clock } = clientOf([registry.url])
  const startMs = clock.elapsedMs()
  expect(await client.schemaById(7, never)).toBe('unknown')
  expect(clock.elapsedMs() - startMs).toBeGreaterThanOrEqual(UNKNOWN_AFTER_MS)
  const asked = registry.asked.length
  expect(asked).toBeGreaterThan(20)
  expect(client.known(7)).toBe('unknown')
  expect(await client.schemaById(7, never)).toBe('unknown')
  expect(registry.asked).toHaveLength(asked)
  // Much later it is asked once more, and not waited for again.
  await clock.sleep(UNKNOWN_AFTER_MS)
  expect(client.known(7)).toBe(null)
  expect(await client.schemaById(7, never)).toBe('unknown')
  expect(registry.asked).toHaveLength(asked + 1)
})

test('an outage between two answers is no verdict on an id', async () => {
  const registry = await played((_, before) => {
    if (before === 0) return NOT_FOUND
    return before < 100 ? { status: 500, body: '' } : FOUND
  })
  const { client } = clientOf([registry.url])
  expect(await client.schemaById(7, never)).toMatchObject({ id: 7 })
})

test('a schema that is registered a little late is found', async () => {
  const registry = await played((_, before) => (before < 4 ? NOT_FOUND : FOUND))
  const { client } = clientOf([registry.url])
  expect(await client.schemaById(7, never)).toMatchObject({ id: 7 })
})

test('numbers that are no ids are not asked for', async () => {
  const { client } = clientOf(['http://127.0.0.1:1'])
  expect(await client.schemaById(0, never)).toBe('unknown')
  expect(await client.schemaById(0xffff_ffff, never)).toBe('unknown')
})

for (const [status, error] of [
  [401, 'AUTH_FAILED'],
  [403, 'PRIVILEGE_MISSING'],
] as const) {
  test(`${status} ends the wait, and the error holds no secret`, async () => {
    const registry = await played(() => ({ status, body: { error_code: status } }))
    const password = (): string => 'geheim'
    const { client } = clientOf([registry.url], {
      credentials: { kind: 'basic', username: 'anna', password },
    })
    const failure = await client.schemaById(7, never).catch((reason: unknown) => reason)
    expect(failure).toBeInstanceOf(PipelineError)
    const { error: name, message, detail, hint } = failure as PipelineError
    expect(name).toBe(error)
    expect(`${message} ${detail} ${hint}`).not.toMatch(/geheim|Z2VoZWlt/)
    expect(message).toContain(registry.url)
    // The next record asks again: somebody may have corrected it.
    await expect(client.schemaById(7, never)).rejects.toThrow(registry.url)
    expect(registry.asked).toHaveLength(2)
  })
}

test('basic and bearer credentials are asked for at each request', async () => {
  let secret = 'old'
  const registry = await played(() => FOUND)
  const basic = clientOf([registry.url], {
    credentials: { kind: 'basic', username: 'anna', password: () => secret },
  }).client
  await basic.schemaById(1, never)
  expect(registry.authorization()).toBe(`Basic ${Buffer.from('anna:old').toString('base64')}`)
  secret = 'nëw'
  await basic.schemaById(2, never)
  expect(registry.authorization()).toBe(`Basic ${Buffer.from('anna:nëw').toString('base64')}`)
  const bearer = clientOf([registry.url], { credentials: { kind: 'bearer', token: () => 't1' } })
  await bearer.client.schemaById(1, never)
  expect(registry.authorization()).toBe('Bearer t1')
})

test('another address answers for one that is down, and is asked first from then on', async () => {
  const down = await played(() => ({ status: 500, body: '' }))
  const up = await played(() => FOUND)
  const { client, clock } = clientOf([down.url, up.url])
  await client.schemaById(1, never)
  await client.schemaById(2, never)
  expect([down.asked.length, up.asked.length]).toEqual([1, 2])
  expect(clock.sleeps).toEqual([])
})

test('references are followed, each once, and stand behind those that they need', async () => {
  const reference = (name: string): unknown => ({ name, subject: `s/${name}`, version: 3 })
  const bodies: Record<string, unknown> = {
    '/schemas/ids/7': { schema: 'top', references: [reference('B'), reference('A')] },
    '/subjects/s%2FA/versions/3?deleted=true': { schema: 'a', references: [] },
    '/subjects/s%2FB/versions/3?deleted=true': { schema: 'b', references: [reference('A')] },
  }
  const registry = await played((path) => ({ status: 200, body: bodies[path] ?? {} }))
  const { client } = clientOf([registry.url])
  const schema = await client.schemaById(7, never)
  expect(schema).toEqual({
    id: 7,
    kind: 'AVRO',
    text: 'top',
    references: [
      { name: 'A', subject: 's/A', version: 3, text: 'a' },
      { name: 'B', subject: 's/B', version: 3, text: 'b' },
    ],
  })
  expect(registry.asked).toHaveLength(3)
})

test('references that go round are followed once', async () => {
  const references = [{ name: 'A', subject: 'A', version: 1 }]
  const registry = await played(() => ({ status: 200, body: { schema: 'x', references } }))
  const { client } = clientOf([registry.url])
  expect(await client.schemaById(7, never)).toMatchObject({ references: [{ name: 'A' }] })
})

test('a schema whose reference the registry does not have is as unknown as one without it', async () => {
  const references = [{ name: 'A', subject: 'A', version: 1 }]
  const registry = await played((path) =>
    path.startsWith('/subjects')
      ? { status: 404, body: { error_code: 40402, message: 'Version not found' } }
      : { status: 200, body: { schema: 'x', references } },
  )
  const { client } = clientOf([registry.url])
  expect(await client.schemaById(7, never)).toBe('unknown')
})

test('a restart needs no registry for schemas that were seen', async () => {
  const place = await folder()
  const registry = await played((path) =>
    path === '/schemas/ids/8'
      ? { status: 200, body: { schema: 'x', schemaType: 'PROTOBUF' } }
      : FOUND,
  )
  const before = clientOf([registry.url], { store: localStore(place) }).client
  await before.schemaById(7, never)
  await before.schemaById(8, never)
  await registry.close()
  const after = clientOf([registry.url], { store: localStore(place) }).client
  expect(await after.schemaById(7, never)).toMatchObject({ id: 7, kind: 'AVRO', text: TEXT })
  expect(await after.schemaById(8, never)).toMatchObject({ id: 8, kind: 'PROTOBUF', text: 'x' })
})

test('a kept schema that is damaged is fetched again and kept anew', async () => {
  const place = await folder()
  const registry = await played(() => FOUND)
  await clientOf([registry.url], { store: localStore(place) }).client.schemaById(7, never)
  const [name = ''] = await readdir(place)
  const path = join(place, name, '7.json')
  const whole = await readFile(path, 'utf8')
  const damages = [whole.slice(0, 40), '', whole.replace('record', 'retold')]
  for (const damaged of damages) {
    await writeFile(path, damaged)
    const { client, warnings } = clientOf([registry.url], { store: localStore(place) })
    expect(await client.schemaById(7, never)).toMatchObject({ text: TEXT })
    expect(await readFile(path, 'utf8')).toBe(whole)
    expect(warnings).toHaveLength(1)
  }
  expect(registry.asked).toHaveLength(1 + damages.length)
})

test('schemas of another registry are not taken for those of this one', async () => {
  const place = await folder()
  const one = await played(() => FOUND)
  const other = await played(() => ({ status: 200, body: { schema: '"int"' } }))
  await clientOf([one.url], { store: localStore(place) }).client.schemaById(7, never)
  const { client } = clientOf([other.url], { store: localStore(place) })
  expect(await client.schemaById(7, never)).toMatchObject({ text: '"int"' })
})

test('a folder that cannot be written costs a warning and no record', async () => {
  const place = await folder()
  await writeFile(join(place, 'file'), '')
  const registry = await played(() => FOUND)
  const { client, warnings } = clientOf([registry.url], { store: localStore(join(place, 'file')) })
  expect(await client.schemaById(7, never)).toMatchObject({ id: 7 })
  expect(warnings).toHaveLength(1)
})

test('the subjects are listed, or it is said why they are not', async () => {
  const registry = await played(() => ({ status: 200, body: ['a-value', 'b-value'] }))
  expect(await clientOf([registry.url]).client.subjects(never)).toEqual(['a-value', 'b-value'])
  const down = await played(() => ({ status: 500, body: '' }))
  const failure = clientOf([down.url]).client.subjects(never)
  await expect(failure).rejects.toMatchObject({ error: 'CONNECT_FAILED' })
})
