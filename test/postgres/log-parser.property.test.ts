// The parser over streams that a test writes: cut anywhere, with rows of any operation, and with
// bytes that no server sends.

import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import type { Client } from 'pg'
import { expect, test } from 'vitest'
import { decodedFields, LogTable } from '../../connectors/postgres/log-table.ts'
import { decoderSource } from '../../connectors/postgres/decode/generate.ts'
import { LogParser, Stop } from '../../connectors/postgres/decode/log-parser.ts'
import type { TableShape } from '../../connectors/postgres/shape.ts'
import { DeliveredCommits } from '../../connectors/postgres/snapshot.ts'
import { mapType, type PgType } from '../../connectors/postgres/types.ts'
import { Wire } from '../../connectors/postgres/wire.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { firstSchema } from '../../runtime/data/evolution.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import { TestRuntime, type Change } from './harness.ts'
import * as send from './messages.ts'

const OID = 70_000
const PARKED = 70_001
const FOREIGN = 70_002

const types: Readonly<Record<number, string>> = {
  16: 'bool',
  20: 'int8',
  23: 'int4',
  25: 'text',
  701: 'float8',
  1184: 'timestamptz',
  1700: 'numeric',
  2950: 'uuid',
}
const lookup = (oid: number): PgType | null => {
  const name = types[oid]
  if (name === undefined) return null
  const rest = { namespace: 'pg_catalog', typtype: 'b', base: 0, baseModifier: -1, element: 0 }
  return { oid, name, output: `pg_catalog.${name}out`, ...rest }
}

const columns = [
  { name: 'id', type: 20, modifier: -1 },
  { name: 'note', type: 25, modifier: -1 },
  { name: 'price', type: 1700, modifier: ((12 << 16) | 2) + 4 },
  { name: 'at', type: 1184, modifier: -1 },
  { name: 'ok', type: 16, modifier: -1 },
]

function shapeOf(oid: number, name: string): TableShape {
  const mapped = columns.map((column) => mapType(column.type, column.modifier, lookup, false))
  return {
    oid,
    kind: 'r',
    columns: columns.map((column, at) => ({ attnum: at + 1, ...column })),
    wires: new Map(
      mapped.flatMap((mapping, at) => (mapping.type === null ? [] : [[at + 1, mapping.wire]])),
    ),
    keyColumns: Int32Array.of(0),
    source: {
      namespace: 'public',
      name,
      incarnation: String(oid),
      comment: null,
      key: ['1'],
      columns: columns.map((column, at) => ({
        identity: String(at + 1),
        name: column.name,
        type: mapped[at]!.type!,
        nullable: at > 0,
        comment: null,
        sourceType: types[column.type]!,
        existing: { kind: 'null' },
      })),
    },
  }
}

function schemaOf(shape: TableShape): TableSchema {
  const first = firstSchema(shape.source, { firstFieldId: 1, keyed: true })
  if (first.kind !== 'evolved') throw new Error('no schema')
  return first.schema
}

function relationOf({ oid, source }: TableShape): Buffer {
  const { namespace, name } = source
  const keyed = columns.map((column, at) => ({ ...column, key: at === 0 }))
  return send.relation({ oid, namespace, name, identity: 'd', columns: keyed })
}

/** Parses what arrives in these pieces. */
async function parse(
  pieces: readonly Buffer[],
): Promise<{ changes: Change[]; stops: string[]; parser: LogParser }> {
  const stream = new PassThrough()
  const wire = new Wire({ connection: { stream } } as unknown as Client, systemClock)
  const parser = new LogParser(0, 'slot', new DeliveredCommits(1000, []))
  parser.commitWanted = true
  const runtime = new TestRuntime()
  const batches: ChangeBatch[] = []
  const stops: string[] = []
  const shapes = new Map([OID, PARKED].map((oid) => [oid, shapeOf(oid, `t${oid}`)]))
  const flush = (): void => {
    for (const table of parser.tables.values()) {
      const batch = table?.take(true) ?? null
      if (batch !== null) batches.push(batch)
    }
  }
  for (const piece of pieces) {
    const { received } = wire
    stream.write(piece)
    if (piece.length > 0) await wire.more(received)
    for (;;) {
      const stop = parser.step(wire)
      if (stop === Stop.bytes) break
      if (stop === Stop.open) parser.table?.open(0)
      if (stop === Stop.relation) {
        const shape = shapes.get(parser.relation!.oid)
        const table = shape === undefined ? null : new LogTable(shape, false)
        if (table !== null && shape?.oid === OID) {
          table.use(schemaOf(shape))
          runtime.versions.set(table.key, [schemaOf(shape)])
        }
        flush()
        parser.announce(parser.relation!.oid, table)
      }
      if (stop === Stop.truncate) {
        stops.push(`truncate ${parser.truncated.map(({ key }) => key).join()}`)
      }
      if (stop === Stop.commit) stops.push(`commit ${parser.end}`)
      if (stop === Stop.idle) stops.push(`idle ${parser.end}`)
      if (stop === Stop.null || stop === Stop.unreadable) {
        flush()
        stops.push(
          `${stop === Stop.null ? 'null' : 'unreadable'} ${parser.column} ${parser.reasonKey}`,
        )
        parser.table?.use(null)
      }
    }
  }
  flush()
  batches.push(...parser.ready)
  return { changes: batches.flatMap((batch) => runtime.changesOf(batch)), stops, parser }
}

const cell = fc.tuple(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.option(fc.string({ unit: 'binary', maxLength: 30 }), { nil: null }),
  fc.option(fc.constantFrom('0.00', '-12.50', '9999999999.99'), { nil: null }),
  fc.option(fc.constantFrom('2026-01-02 03:04:05.6+00', '0001-01-01 00:00:00+00'), { nil: null }),
  fc.option(fc.constantFrom('t', 'f'), { nil: null }),
)
const keyOnly = (row: readonly (string | null)[]): (string | null)[] =>
  row.map((value, at) => (at === 0 ? value : null))

interface Sent {
  readonly bytes: Buffer
  /** Expected rows: op and id. */
  readonly rows: readonly (readonly [string, string])[]
  /** Rows of other tables, which count in the transaction all the same. */
  readonly others: number
}

const event: fc.Arbitrary<Sent> = fc.oneof(
  cell.map((row) => ({
    bytes: send.insert(OID, row),
    rows: [['insert', row[0]]] as const,
    others: 0,
  })),
  cell.map((row) => ({
    bytes: send.update(OID, [row[0], undefined, ...row.slice(2)]),
    rows: [['update', row[0]]] as const,
    others: 0,
  })),
  fc.tuple(cell, cell).map(([old, row]) => ({
    bytes: send.update(OID, row, { kind: 'K', row: keyOnly(old) }),
    rows:
      old[0] === row[0]
        ? ([['update', row[0]]] as const)
        : ([
            ['delete', old[0]],
            ['insert', row[0]],
          ] as const),
    others: 0,
  })),
  cell.map((row) => ({
    bytes: send.remove(OID, 'K', keyOnly(row)),
    rows: [['delete', row[0]]] as const,
    others: 0,
  })),
  cell.map((row) => ({ bytes: send.insert(PARKED, row), rows: [], others: 1 })),
  cell.map((row) => ({ bytes: send.insert(FOREIGN, row), rows: [], others: 1 })),
  fc.constant({ bytes: send.noise(), rows: [], others: 0 }),
  fc.constant({ bytes: send.keepalive(1e9, true), rows: [], others: 0 }),
)

const announced = Buffer.concat([
  relationOf(shapeOf(OID, `t${OID}`)),
  relationOf(shapeOf(PARKED, `t${PARKED}`)),
  relationOf(shapeOf(FOREIGN, `t${FOREIGN}`)),
])

test('a stream is read the same wherever it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(event, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 12 }),
      async (transactions, cuts) => {
        const expected: unknown[] = []
        const ends: string[] = []
        const parts = transactions.map((events, at) => {
          const lsn = 1000 * (at + 1)
          let sequence = 0
          for (const { rows, others } of events) {
            for (const [op, id] of rows) expected.push([BigInt(lsn), sequence++, op, BigInt(id)])
            sequence += others
          }
          ends.push(`commit ${lsn + 8}`)
          return Buffer.concat([
            send.begin(lsn, 1_000_000 + at, 2000 + at),
            ...(at === 0 ? [announced] : []),
            ...events.map(({ bytes }) => bytes),
            send.commit(lsn, lsn + 8, 1_000_000 + at),
          ])
        })
        const whole = Buffer.concat(parts)
        const pieces: Buffer[] = []
        let start = 0
        for (const cut of cuts) {
          pieces.push(whole.subarray(start, start + cut))
          start += cut
        }
        pieces.push(whole.subarray(start))
        const { changes, stops } = await parse(pieces.filter(({ length }) => length > 0))
        const seen = changes.map(({ order, sequence, op, row }) => [order, sequence, op, row['id']])
        expect(seen).toEqual(expected)
        expect(stops).toEqual(ends)
      },
    ),
    { interruptAfterTimeLimit: Number(process.env['PROPERTY_SECONDS'] ?? 2) * 1000, numRuns: 500 },
  )
})

test('a keepalive moves the end of the log only between transactions', async () => {
  const idle = await parse([send.keepalive(500)])
  expect(idle.stops).toEqual(['idle 500'])
  const inside = await parse([Buffer.concat([send.begin(100, 0, 5), send.keepalive(500)])])
  expect(inside.stops).toEqual([])
  expect(inside.parser.end).toBe(0)
  const older = await parse([Buffer.concat([send.keepalive(500), send.keepalive(400)])])
  expect(older.stops).toEqual(['idle 500'])
})

test('a truncate names the tables that are ours', async () => {
  const bytes = Buffer.concat([
    send.begin(100, 0, 5),
    announced,
    send.truncate(FOREIGN, OID, PARKED),
  ])
  expect((await parse([bytes])).stops).toEqual([`truncate public.t${OID},public.t${PARKED}`])
})

test('null in a required column and an unreadable value stop before the row', async () => {
  const row = ['7', null, 'NaN', null, null]
  const bytes = Buffer.concat([
    send.begin(100, 0, 5),
    announced,
    send.insert(OID, ['6', null, null, null, null]),
  ])
  const bad = await parse([bytes, send.insert(OID, row)])
  expect(bad.stops).toEqual(['unreadable 2 (7)'])
  expect(bad.changes.map((change) => change.row['id'])).toEqual([6n])
  const missing = await parse([bytes, send.insert(OID, [null, null, null, null, null])])
  expect(missing.stops).toEqual(['null 0 '])
})

test('an update that leaves out its own key is refused, not guessed', async () => {
  const bytes = Buffer.concat([send.begin(100, 0, 5), announced])
  const bad = await parse([bytes, send.update(OID, [undefined, 'x', null, null, null])])
  expect(bad.stops[0]).toMatch(/^unreadable/)
  expect(bad.parser.reason).toBe('toasted key')
})

test('bytes that no server sends are refused by name', async () => {
  const start = Buffer.concat([send.begin(100, 0, 5), announced])
  const refused = async (...bytes: Buffer[]): Promise<unknown> =>
    parse([Buffer.concat([start, ...bytes])]).then(
      () => 'accepted',
      (error: { error?: string }) => error.error,
    )
  expect(await refused(send.raw('S'))).toBe('LOG_UNKNOWN_EVENT')
  expect(await refused(send.raw('?'))).toBe('LOG_UNKNOWN_EVENT')
  expect(await refused(send.frame('d', Buffer.from('z')))).toBe('LOG_UNKNOWN_EVENT')
  expect(await refused(send.frame('Q', Buffer.alloc(4)))).toBe('LOG_UNKNOWN_EVENT')
  expect(await refused(send.insert(12_345, ['1']))).toBe('LOG_CORRUPT')
  expect(await refused(send.insert(OID, ['1', null]))).toBe('LOG_CORRUPT')
  const long = send.insert(OID, ['1', null, null, null, null])
  const torn = Buffer.concat([long, Buffer.from('xy')])
  torn.writeInt32BE(torn.length - 1, 1)
  expect(await refused(torn)).toBe('LOG_CORRUPT')
  const error = Buffer.from('SERROR\0C57P01\0Mterminating\0\0')
  expect(await refused(send.frame('E', error))).toBe('CONNECT_FAILED')
  expect(await refused(send.frame('c', Buffer.alloc(0)))).toBe('CONNECT_FAILED')
})

test('a generated decoder reads as it is kept in the golden file', () => {
  const shape = shapeOf(OID, 'orders')
  const fields = decodedFields(shape, schemaOf(shape), 'text')
  const list = { kind: 'list', element: { kind: 'decimal', precision: 9, scale: 2 } } as const
  const wire = { kind: 'numeric', list: true, asText: true } as const
  const prices = {
    name: 'prices */ `',
    type: list,
    nullable: true,
    column: 5,
    wire,
    format: 'text',
  } as const
  const gone = { ...prices, name: 'gone', column: -1 }
  const title = 'public.orders v0 log'
  const source = decoderSource({
    title,
    fields: [...fields, prices, gone],
    unrepresentableAsNull: true,
  })
  expect(source).toBe(readFileSync(new URL('./golden/decoder.txt', import.meta.url), 'utf8'))
})
