// A file that stays open over checkpoints is cut at many lengths, with random bytes behind the cut,
// as a crash or a power failure may leave it. Whoever goes on from a checkpoint commits a file with
// exactly its rows, as DuckDB and pyiceberg read it, and leaves no other file behind.

import { createHash, randomBytes } from 'node:crypto'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { expect, onTestFinished, test } from 'vitest'
import type { IcebergCommittable } from '../../connectors/iceberg/committable.ts'
import { createIcebergWriter } from '../../connectors/iceberg/writer/iceberg-writer.ts'
import type { StoredHeldFiles } from '../../connectors/iceberg/writer/held-files.ts'
import type { HeldFile } from '../../connectors/parquet/table/held-file.ts'
import { readOpen, writerData } from '../../connectors/iceberg/writer/writer-state.ts'
import { randomId63 } from '../../runtime/base/clock.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { SinkWriter, WriterState } from '../../runtime/sink.ts'
import { Lake } from '../iceberg/lake.ts'
import { withDuckdb } from '../readers/duckdb.ts'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import { available } from '../servers/available.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { batchOf, field, schemaOf, type RowValues } from './batches.ts'

const skip = !(await available('python'))
const TABLE = 'shop.events'
const EPOCHS = 6
const ROWS = 1500
const CUTS = 8

const schema = schemaOf(TABLE, 0, [
  field(1, 'id', { kind: 'long' }, { nullable: false }),
  field(2, 'note', { kind: 'string' }),
  field(3, 'amount', { kind: 'decimal', precision: 20, scale: 2 }),
  field(4, 'share', { kind: 'double' }),
])

function rowOf(id: number): RowValues {
  const digest = createHash('md5').update(String(id)).digest('hex')
  const note = id % 11 === 0 ? undefined : digest.repeat(id % 4)
  return { id: BigInt(id), note, amount: BigInt(id) * 7919n, share: id / 7 }
}

async function append(writer: SinkWriter<IcebergCommittable>, from: number, to: number) {
  const rows = Array.from({ length: to - from }, (_, at) => {
    return { op: Op.insert, values: rowOf(from + at) }
  })
  await writer.write(batchOf(schema, rows, 1n))
}

interface Held {
  readonly state: WriterState
  readonly file: HeldFile
  /** Ids 0...rows - 1. */
  readonly rows: number
}

class Stand {
  readonly lake: Lake
  private starts = 0

  constructor(lake: Lake) {
    this.lake = lake
  }

  async open(states: readonly WriterState[]): Promise<SinkWriter<IcebergCommittable>> {
    const { warehouse, state } = this.lake
    const writer = await createIcebergWriter({
      mode: 'append',
      warehouse,
      state,
      states,
      index: 0,
      count: 1,
      firstFileId: 1 + this.starts,
      fileSuffix: `s${this.starts++}`,
    })
    await writer.write({ kind: 'schema', schema })
    return writer
  }

  path(path: string): string {
    return join(this.lake.folder, 'warehouse', path)
  }

  /** Epochs that hold their rows back, and the bytes of the file after the last of them. */
  async held(): Promise<{ held: Held[]; bytes: Buffer }> {
    const writer = await this.open([])
    const held: Held[] = []
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
      await append(writer, (epoch - 1) * ROWS, epoch * ROWS)
      const { state, committables, counts } = await writer.prepare(epoch, [])
      expect(committables).toEqual([])
      expect(counts[0]).toMatchObject({ read: ROWS, written: 0, held: epoch * ROWS })
      const stored: StoredHeldFiles[] = await readOpen(this.lake.state, [writerData(state)])
      held.push({ state, file: stored[0]!.files[0]!, rows: epoch * ROWS })
    }
    await writer.close()
    return { held, bytes: await readFile(this.path(held[0]!.file.unfinished)) }
  }
}

/** All rows of the file are those of the model: ids 0...rows - 1, each value as it was given. */
async function expectRows(connection: DuckDBConnection, path: string, rows: number): Promise<void> {
  const found = await connection.runAndReadAll(
    `SELECT id, note, amount::VARCHAR, share FROM read_parquet('${path}') ORDER BY id`,
  )
  const read = found.getRowsJS()
  expect(read.length).toBe(rows)
  for (const [id, [foundId, note, amount, share]] of read.entries()) {
    const row = rowOf(id)
    const cents = String(row['amount']).padStart(3, '0')
    const wanted = [row['id'], row['note'] ?? null, `${cents.slice(0, -2)}.${cents.slice(-2)}`]
    const isEqual = foundId === wanted[0] && note === wanted[1] && amount === wanted[2]
    if (!isEqual || share !== row['share']) expect([foundId, note, amount, share]).toEqual(wanted)
  }
}

test.skipIf(skip)(
  'LAKE-18: a file cut anywhere behind a checkpoint becomes one with exactly its rows',
  { timeout: 120_000 },
  async () => {
    const random = new Random(drawSeed('append-continue'))
    const lake = await Lake.open()
    onTestFinished(async () => lake.close())
    const stand = new Stand(lake)
    const { held, bytes } = await stand.held()
    const committed: { committables: readonly IcebergCommittable[]; rows: number }[] = []
    await withDuckdb(async (connection) => {
      for (const { state, file, rows } of held) {
        const durable = file.parquet.bytes
        const lengths = Array.from({ length: CUTS - 2 }, () => random.int(durable, bytes.length))
        for (const length of [durable, bytes.length, ...lengths]) {
          const garbage = random.chance(0.7) ? randomBytes(random.int(1, 5000)) : Buffer.alloc(0)
          await writeFile(
            stand.path(file.unfinished),
            Buffer.concat([bytes.subarray(0, length), garbage]),
          )
          const writer = await stand.open([state])
          const more = random.chance(0.5) ? random.int(1, 900) : 0
          if (more > 0) await append(writer, rows, rows + more)
          const { committables, counts, parked } = await writer.prepare(EPOCHS + 1)
          expect(parked).toEqual([])
          expect(counts[0]).toMatchObject({ read: more, written: rows + more, held: 0 })
          expect(committables[0]?.files.length).toBe(1)
          await expectRows(connection, stand.path(committables[0]!.files[0]!.path), rows + more)
          committed.push({ committables, rows: rows + more })
          // The checkpoint is durable: the next epoch takes the file of the other start away.
          await writer.prepare(EPOCHS + 2)
          await writer.close()
        }
      }
    })
    const names = await readdir(stand.path('shop/events/data'))
    const paths = committed.flatMap(({ committables }) => committables[0]!.files)
    expect(names.length).toBe(paths.length)
    expect(new Set(names)).toEqual(new Set(paths.map(({ path }) => path.split('/').at(-1))))

    // All of them as one table, in another reader.
    const all = committed.flatMap(({ committables }) => committables)
    const intent = await lake.intent([])
    const table = { table: TABLE, snapshotId: randomId63(), schemas: [schema], tableUuid: null }
    const [commit] = await lake
      .committer({ mode: 'append' })
      .commit([{ ...intent, tables: [{ ...table, lastIntent: null, committables: all }] }])
    expect(commit?.outcome).toBe('committed')
    const [dump] = await readIcebergWithPyiceberg({
      catalog: lake.catalogPath,
      tables: [{ table: TABLE }],
    })
    const counts = new Map<string, number>()
    for (const row of dump!.rows) {
      const [id] = JSON.parse(row) as [string]
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    const most = Math.max(...committed.map(({ rows }) => rows))
    expect(counts.size).toBe(most)
    for (const [id, count] of counts) {
      expect(count).toBe(committed.filter(({ rows }) => Number(id) < rows).length)
    }
  },
)

test('a file that has lost bytes of its checkpoint is damage, not a shorter file', async () => {
  const lake = await Lake.open()
  onTestFinished(async () => lake.close())
  const stand = new Stand(lake)
  const { held, bytes } = await stand.held()
  const { state, file } = held.at(-1)!
  await writeFile(stand.path(file.unfinished), bytes.subarray(0, file.parquet.bytes - 1))
  const writer = await stand.open([state])
  await expect(writer.prepare(EPOCHS + 1)).rejects.toMatchObject({ error: 'CHECKPOINT_CORRUPT' })
  await writer.close()
})
