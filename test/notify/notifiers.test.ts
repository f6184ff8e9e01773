import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isoTime } from '../../connectors/notify/cloud-event.ts'
import { execNotifier } from '../../connectors/notify/exec.ts'
import { lakeProperty, propertiesOf } from '../../connectors/notify/lake-property.ts'
import { successFile } from '../../connectors/notify/success-file.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import type { Notifier } from '../../runtime/notifier.ts'
import { EVENT } from './played-event.ts'

const never = new AbortController().signal

function folder(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-notify-'))
}

function command(program: readonly [string, ...string[]], timeoutMs = 20_000): Notifier {
  const env = { PATH: process.env['PATH'] }
  const options = { name: 'exec', command: program, folder: folder(), env, timeoutMs }
  return execNotifier({ ...options, clock: systemClock })
}

test('_SUCCESS says which generation it stands for, and is written anew with the next', async () => {
  const path = folder()
  const warehouse = localStore(path)
  const notifier = successFile({ warehouse, folderOf: () => 'lake/clicks/data/ts_hour=07' })
  const content = (): unknown =>
    JSON.parse(readFileSync(join(path, 'lake/clicks/data/ts_hour=07/_SUCCESS'), 'utf8'))
  expect(await notifier.deliver(EVENT, never)).toEqual({ kind: 'delivered' })
  expect(content()).toMatchObject({ id: 'c0ffee', generation: 1, rows: 1_843_223, late_rows: 0 })
  await notifier.deliver({ ...EVENT, id: 'cafe', generation: 2, lateRows: 3 }, never)
  expect(content()).toMatchObject({ id: 'cafe', generation: 2, late_rows: 3 })
})

test('_SUCCESS that cannot be written is a failure', async () => {
  const path = folder()
  writeFileSync(join(path, 'p'), 'a file where the folder was to be')
  const warehouse = localStore(path)
  const notifier = successFile({ warehouse, folderOf: () => 'p' })
  expect(await notifier.deliver(EVENT, never)).toMatchObject({ kind: 'failed' })
})

test('a command gets the message and the variables, and no shell reads its arguments', async () => {
  const file = join(folder(), 'out')
  const script =
    'const { writeFileSync, readFileSync } = require("node:fs");' +
    'writeFileSync(process.argv[1], JSON.stringify([process.argv[2], process.env.MILLRACE_PARTITION,' +
    ' process.env.MILLRACE_GENERATION, JSON.parse(readFileSync(0, "utf8")).id]))'
  const notifier = command([process.execPath, '-e', script, file, '$(echo no)'])
  expect(await notifier.deliver(EVENT, never)).toEqual({ kind: 'delivered' })
  const parts = ['$(echo no)', 'ts_hour=2026-11-20-07', '1', 'c0ffee']
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(parts)
})

test('a command that fails, is not there, or takes too long has not taken the message', async () => {
  const failing = await command(['sh', '-c', 'echo why >&2; exit 3']).deliver(EVENT, never)
  expect(failing).toMatchObject({
    error: { message: 'command sh failed: it ended with 3', detail: 'It wrote: why' },
  })
  const absent = await command(['/nowhere/notify']).deliver(EVENT, never)
  expect(absent).toMatchObject({ error: { error: 'NOTIFICATION_FAILED' } })
  // What it has started ends with it: the file is never written.
  const mark = join(folder(), 'mark')
  const slow = command(['sh', '-c', `(sleep 1; touch ${mark}) & wait`], 200)
  const started = performance.now()
  expect(await slow.deliver(EVENT, never)).toMatchObject({
    error: { message: 'command sh failed: it ran for more than 200 ms' },
  })
  expect(performance.now() - started).toBeLessThan(900)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  expect(existsSync(mark)).toBe(false)
  // One that does not read its input is no failure.
  expect(await command(['true']).deliver(EVENT, never)).toEqual({ kind: 'delivered' })
})

test('an ending process ends the commands that it waits for', async () => {
  const stopping = new AbortController()
  const delivery = command(['sleep', '30']).deliver(EVENT, stopping.signal)
  setTimeout(() => stopping.abort(), 50)
  expect(await delivery).toMatchObject({ kind: 'failed' })
})

test('the table keeps the properties of its last thousand partitions', async () => {
  const properties: Record<string, string> = { 'millrace.commit.shop': 'ours' }
  for (let hour = 0; hour < 1000; hour++) {
    properties[`millrace.ready.ts_hour=2026-${String(hour).padStart(4, '0')}`] = '{}'
  }
  const event = { ...EVENT, value: '2026-1000' }
  const changes = propertiesOf(event, properties)
  expect(Object.keys(changes).sort()).toEqual([
    'millrace.ready.ts_hour=2026-0000',
    'millrace.ready.ts_hour=2026-1000',
  ])
  expect(changes['millrace.ready.ts_hour=2026-0000']).toBeNull()
  expect(JSON.parse(changes['millrace.ready.ts_hour=2026-1000'] ?? '')).toMatchObject({
    generation: 1,
    watermark: '2026-11-20T08:05:00Z',
  })
  // Told again, it stands where it stood.
  expect(Object.keys(propertiesOf({ ...EVENT, value: '2026-0500' }, properties))).toHaveLength(1)
})

test('a property that waits for a catalog does not keep an ending process', async () => {
  const notifier = lakeProperty(async () => true)
  expect(await notifier.deliver(EVENT, never)).toEqual({ kind: 'delivered' })
  const stopping = new AbortController()
  const hanging = lakeProperty(() => new Promise(() => undefined))
  const delivery = hanging.deliver(EVENT, stopping.signal)
  stopping.abort()
  expect(await delivery).toMatchObject({ kind: 'failed' })
})

test('times are written to the microsecond, before 1970 too', () => {
  expect(isoTime(0n)).toBe('1970-01-01T00:00:00Z')
  expect(isoTime(1_500_001n)).toBe('1970-01-01T00:00:01.500001Z')
  expect(isoTime(-1n)).toBe('1969-12-31T23:59:59.999999Z')
})
