// Files that stay open over checkpoints, against a model: random rows, barriers that show all rows,
// those of some partitions, or none that may wait, crashes between any two steps, other numbers of
// writers, new structures, and copies that begin again. What is shown is what was written, once;
// what is left in the warehouse is what somebody names; and no commit has two files where one would
// do.

import { expect, test } from 'vitest'
import { Op } from '../../runtime/data/batch.ts'
import type { Shown } from '../../runtime/data/element.ts'
import { partitionKey, type PartitionTuple } from '../../runtime/data/partition/value.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { Random } from '../workload/random.ts'
import { batchOf, field, schemaOf } from './batches.ts'
import { TestSink } from './test-sink.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 10)
const TABLES = ['shop.plain', 'shop.parted']
const FILE_BYTES_MAX = 4000

function structure(table: string, version: number): TableSchema {
  const fields = [
    field(1, 'id', { kind: 'long' }, { nullable: false }),
    field(2, 'place', { kind: 'int' }),
    field(3, 'text', { kind: 'string' }),
  ]
  for (let more = 0; more < version; more++) {
    fields.push(field(4 + more, `c${more}`, { kind: 'double' }))
  }
  return schemaOf(table, version, fields)
}

/** By `place`, as an int32; the last is null. */
const PARTITIONS: readonly PartitionTuple[] = [
  ...Array.from({ length: 8 }, (_, place) => [Buffer.of(place, 0, 0, 0).toString('base64')]),
  [null],
]

interface Model {
  readonly schema: TableSchema
  /** Ids of all rows that the table has been given. */
  readonly ids: readonly number[]
}

class Play {
  private readonly random: Random
  private readonly sink: TestSink
  private model = new Map<string, Model>()
  /** As of the last checkpoint. */
  private saved = new Map<string, Model>()
  private nextId = 0
  /** Of PARTITIONS, by id. */
  private readonly placeOf = new Map<number, number>()
  private order = 0n
  /** Of writes in files since the last barrier that showed all: what one may hold is known. */
  private sinceCrash = 0

  constructor(random: Random) {
    this.random = random
    this.sink = new TestSink({
      mode: 'append',
      fileBytesMax: FILE_BYTES_MAX,
      openFilesMax: random.int(1, 6),
      partitionBy: (table) =>
        table === 'shop.parted' ? [{ column: 'place', transform: { kind: 'identity' } }] : [],
    })
    for (const table of TABLES) this.model.set(table, { schema: structure(table, 0), ids: [] })
  }

  async run(): Promise<void> {
    await this.start(this.random.int(1, 3))
    await this.barrier('all')
    for (let step = 0; step < 40; step++) await this.step()
    await this.barrier('all')
    // What older checkpoints still name goes when they do.
    for (let rest = 0; rest < 3; rest++) await this.barrier([])
    expect([...this.sink.warehouse.unfinished.keys()]).toEqual([])
    const named = TABLES.flatMap((table) => this.sink.files(table).map(({ path }) => path))
    expect([...this.sink.warehouse.objects.keys()].toSorted()).toEqual(named.toSorted())
  }

  private async step(): Promise<void> {
    const { random } = this
    const dice = random.int(0, 99)
    if (dice < 55) await this.insert()
    else if (dice < 67) await this.barrier([])
    else if (dice < 76) await this.barrier(this.somePartitions())
    else if (dice < 84) await this.barrier('all')
    else if (dice < 88) await this.evolve()
    else if (dice < 91) await this.copyAgain()
    else await this.crash()
  }

  private async start(count: number): Promise<void> {
    this.sinceCrash = 0
    await this.sink.open(count)
    await this.announce()
  }

  private async announce(): Promise<void> {
    for (const { schema } of this.model.values()) {
      await this.sink.control({ kind: 'schema', schema })
    }
  }

  private somePartitions(): Shown {
    const some = PARTITIONS.filter(() => this.random.chance(0.3))
    // A table that is not partitioned has none of these.
    return TABLES.flatMap((table) => some.map((partition) => ({ table, partition })))
  }

  private async insert(): Promise<void> {
    const { random } = this
    const table = random.pick(TABLES)
    const { schema, ids } = this.model.get(table)!
    const added = Array.from({ length: random.int(1, 40) }, () => this.nextId++)
    const rows = added.map((id) => {
      const text = random.chance(0.1) ? undefined : `${id} `.repeat(random.int(0, 12))
      const place = random.chance(0.1) ? undefined : random.int(0, 7)
      this.placeOf.set(id, place ?? PARTITIONS.length - 1)
      return { op: Op.insert, values: { id: BigInt(id), place, text, c0: id / 3 } }
    })
    await this.sink.write(batchOf(schema, rows, ++this.order))
    this.model.set(table, { schema, ids: [...ids, ...added] })
  }

  private async barrier(shows: Shown): Promise<void> {
    const before = new Map(TABLES.map((table) => [table, this.known(table)]))
    await this.sink.prepare(shows)
    this.sinceCrash++
    this.saved = new Map(this.model)
    for (const table of TABLES) await this.check(table, shows, before.get(table)!)
  }

  private known(table: string): Set<string> {
    return new Set(this.sink.files(table).map(({ path }) => path))
  }

  private async check(table: string, shows: Shown, before: Set<string>): Promise<void> {
    const { ids } = this.model.get(table)!
    const shown = (await this.sink.read(table)).map(({ id }) => Number(id))
    expect(new Set(shown).size).toBe(shown.length)
    expect(shown.length + this.sink.heldRows(table)).toBe(ids.length)
    const all = new Set(ids)
    expect(shown.filter((id) => !all.has(id))).toEqual([])
    if (shows === 'all') expect(this.sink.heldRows(table)).toBe(0)
    const asked = new Set(
      shows === 'all' || table !== 'shop.parted'
        ? []
        : shows.map(({ partition }) => partitionKey(partition)),
    )
    const keyOf = (id: number): string => partitionKey(PARTITIONS[this.placeOf.get(id)!]!)
    const seen = new Set(shown)
    expect(ids.filter((id) => asked.has(keyOf(id)) && !seen.has(id))).toEqual([])
    // Files of the start before, and of other structures, go with the first barrier.
    const added = this.sink.files(table).filter(({ path }) => !before.has(path))
    const writers = this.sink.prepared.map(({ committables }) =>
      committables.filter((one) => one.table === table).flatMap(({ files }) => files),
    )
    expect(writers.flat().length).toBe(added.length)
    if (this.sinceCrash < 2) return
    for (const files of writers) {
      for (const same of Map.groupBy(files, (file) =>
        JSON.stringify([file.partition, file.schemaVersion]),
      ).values()) {
        const small = same.filter(({ bytes }) => bytes < FILE_BYTES_MAX)
        const { partition = null } = same[0]!
        const isAsked =
          shows === 'all' || (partition !== null && asked.has(partitionKey(partition)))
        expect(small.length).toBeLessThanOrEqual(isAsked ? 1 : this.evolved(table, same))
      }
    }
  }

  /** A new structure ends the files of the one before, however small they are. */
  private evolved(table: string, files: readonly { schemaVersion: number }[]): number {
    const { version } = this.model.get(table)!.schema
    return files.some(({ schemaVersion }) => schemaVersion < version) ? 1 : 0
  }

  private async evolve(): Promise<void> {
    const table = this.random.pick(TABLES)
    const { schema, ids } = this.model.get(table)!
    if (schema.version >= 3) return
    const next = structure(table, schema.version + 1)
    await this.sink.control({ kind: 'schema', schema: next })
    this.model.set(table, { schema: next, ids })
  }

  /** A backfill that begins again takes back what it has written. */
  private async copyAgain(): Promise<void> {
    const table = this.random.pick(TABLES)
    const { schema } = this.model.get(table)!
    await this.sink.control({ kind: 'backfill', table, repair: false, floor: null })
    await this.sink.control({ kind: 'truncate', table, order: ++this.order })
    await this.sink.control({ kind: 'settled', table, order: this.order, done: true })
    this.model.set(table, { schema, ids: [] })
  }

  private async crash(): Promise<void> {
    const { random, sink } = this
    if (random.chance(0.5))
      await sink.prepareInVain(random.pick(['all', this.somePartitions(), []]))
    // A thread that is ended says nothing; one that fails closes its sink.
    if (random.chance(0.5)) for (const writer of sink.writers) await writer.close()
    this.model = new Map(this.saved)
    this.sinceCrash = 0
    await sink.crash(random.int(1, 4))
    await this.announce()
  }
}

test('rows of files that stay open are shown once, and nothing of them is left', async () => {
  const until = performance.now() + SECONDS * 1000
  for (let seed = 1; performance.now() < until; seed++) {
    try {
      await new Play(new Random(seed)).run()
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}, 120_000)
