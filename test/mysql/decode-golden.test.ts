// Logs recorded on MySQL 9.7 and MariaDB 10.11 (decode-record.ts), with what SELECT showed then:
// the decoders without a server. A second, independent decoder reads the same bytes.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { differences, type ShownRow } from './decode-changes.ts'
import { LogReplay } from './decode-replay.ts'
import { zongjiRows } from './decode-zongji.ts'

const folder = fileURLToPath(new URL('../golden/mysql/', import.meta.url))
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.binlog.gz'))
  .map((name) => name.replace('.binlog.gz', ''))

function logOf(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(folder, `${name}.binlog.gz`))))
}

function shownOf(name: string): readonly ShownRow[] {
  const text = gunzipSync(readFileSync(join(folder, `${name}.json.gz`))).toString('utf8')
  return JSON.parse(text) as ShownRow[]
}

async function replayOf(name: string, log = logOf(name)): Promise<LogReplay> {
  const replay = new LogReplay({ mariadb: name.startsWith('mariadb') })
  await replay.play(log)
  return replay
}

test.each(names)('%s: the rows of the log are those that SELECT showed', async (name) => {
  expect(differences(await replayOf(name), 'golden', shownOf(name))).toEqual([])
})

test.each(names)('%s: no event is remembered by memory that the next one takes', async (name) => {
  const log = logOf(name)
  const memory = Buffer.alloc(log.length)
  const replay = new LogReplay({ mariadb: name.startsWith('mariadb'), memory })
  await replay.play(log)
  expect(differences(replay, 'golden', shownOf(name))).toEqual([])
})

test('the recorded logs have compressed transactions and images that leave columns out', async () => {
  expect((await replayOf('mysql-compressed')).kinds.get('payload')).toBeGreaterThan(5)
  expect((await replayOf('mysql-minimal')).partialImages).toBeGreaterThan(5)
})

test('a changed key is a delete and an insert, in this order', async () => {
  const ops = (await replayOf('mysql-full')).batches.map((batch) => batch.ops).join('')
  expect(ops).toMatch(/di/)
  expect(ops).toMatch(/u/)
  expect(ops).not.toMatch(/r/)
})

// zongji decodes neither compressed transactions nor images with columns left out.
test.each(['mysql-full', 'mariadb-full', 'mariadb-compressed'])(
  '%s: integers, bytes and text are those of zongji',
  async (name) => {
    const log = logOf(name)
    const live = (await replayOf(name)).tables.get('golden.t')!
    const theirs = zongjiRows(log)
    const differing = new Set<string>()
    let compared = 0
    for (const row of live.rows.values()) {
      const other = theirs.get(String(row['id']))!
      for (const { name: column, type } of live.schema.fields) {
        // Temporal values, decimals and JSON have other forms there, and known faults.
        if (!['int', 'string', 'binary', 'long'].includes(type.kind)) continue
        if (/^(j|dec|e0|y|time|bit|s64)/.test(column)) continue
        compared++
        const value = other[column]
        const text = Buffer.isBuffer(value)
          ? value.toString('hex')
          : Array.isArray(value)
            ? value.join(',')
            : value
        const theirText = text === null ? null : `${text as string | number}`
        if (theirText !== row[column]) differing.add(column)
      }
    }
    expect([...differing]).toEqual([])
    expect(compared).toBeGreaterThan(200)
  },
)

test('a log cut off or damaged at any byte is refused or ends, and never gives other rows', async () => {
  const log = logOf('mysql-full')
  for (let at = 130; at < log.length; at += 997) {
    const damaged = log.slice()
    damaged[at]! ^= 0x40
    // Flags of the header are part of the checksum too.
    await expect(replayOf('mysql-full', damaged), `byte ${at}`).rejects.toMatchObject({
      error: 'LOG_CORRUPT',
    })
  }
})
