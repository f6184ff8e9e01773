// Damaged envelopes among whole ones: nothing is thrown, every whole record has its rows, and what
// JSON.parse refuses is told.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canalProtocol } from '../../../connectors/kafka/json/changes/canal.ts'
import { changeFormat } from '../../../connectors/kafka/json/changes/change-decoder.ts'
import { debeziumProtocol } from '../../../connectors/kafka/json/changes/debezium.ts'
import { maxwellProtocol } from '../../../connectors/kafka/json/changes/maxwell.ts'
import type { ChangeProtocol } from '../../../connectors/kafka/json/changes/protocol.ts'
import { plainColumn } from '../../../connectors/kafka/json/columns.ts'
import { decodeAll, recordSet } from './records.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const time = { interruptAfterTimeLimit: SECONDS * 600, numRuns: 1_000_000 }

interface Change {
  readonly op: 'insert' | 'update' | 'delete' | 'move'
  readonly id: number
  readonly note: string | null
}
interface Expected {
  readonly op: string
  readonly row: Readonly<Record<string, unknown>>
}
interface Case {
  readonly protocol: ChangeProtocol
  readonly value: (change: Change, spaced: boolean) => string
  /** Bytes from which on a record may be damaged; types in front of them are for all. */
  readonly safe: number
  readonly typed: boolean
}

const changes = fc.record<Change>({
  op: fc.constantFrom('insert', 'update', 'delete', 'move'),
  id: fc.integer({ min: 0, max: 9 }),
  note: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 6 }), fc.constant(null)),
})

function expected({ op, id, note }: Change): Expected[] {
  const row = { id, note }
  if (op !== 'move') return [{ op, row }]
  return [
    { op: 'delete', row: { id: id + 100, note } },
    { op: 'insert', row },
  ]
}

const SCHEMA = JSON.stringify({
  type: 'struct',
  fields: ['before', 'after'].map((field) => ({
    type: 'struct',
    fields: [
      { type: 'int32', optional: false, field: 'id' },
      { type: 'string', optional: true, field: 'note' },
    ],
    optional: true,
    field,
  })),
})

function debezium({ op, id, note }: Change): object {
  const row = { id, note }
  if (op === 'insert') return { before: null, after: row, op: 'c' }
  if (op === 'delete') return { before: row, after: null, op: 'd' }
  const before = { id: op === 'move' ? id + 100 : id, note }
  return { before, after: row, source: { db: 'd', x: [1] }, op: 'u' }
}

function canal({ op, id, note }: Change): object {
  const type = op === 'move' ? 'UPDATE' : op.toUpperCase()
  const data = [{ id: String(id), note }]
  const old = op === 'move' ? [{ id: String(id + 100) }] : op === 'update' ? [{}] : null
  return { data, old, type, isDdl: false, database: 'd', table: 't', pkNames: ['id'] }
}

function maxwell({ op, id, note }: Change): object {
  const old = op === 'move' ? { old: { id: id + 100 } } : op === 'update' ? { old: {} } : {}
  const type = op === 'move' ? 'update' : op
  return { database: 'd', table: 't', type, ts: 1, data: { id, note }, ...old }
}

const plain = (envelope: (change: Change) => object): Case['value'] => {
  return (change, spaced) => JSON.stringify(envelope(change), null, spaced ? 1 : 0)
}

const CASES: Readonly<Record<string, Case>> = {
  debezium: { protocol: debeziumProtocol('?'), value: plain(debezium), safe: 0, typed: false },
  'debezium with a schema': {
    protocol: debeziumProtocol('?'),
    value: (change, spaced) => {
      return `{"schema":${SCHEMA},"payload":${plain(debezium)(change, spaced)}}`
    },
    safe: 10 + SCHEMA.length,
    typed: true,
  },
  canal: { protocol: canalProtocol, value: plain(canal), safe: 0, typed: false },
  maxwell: { protocol: maxwellProtocol, value: plain(maxwell), safe: 0, typed: false },
}

const damage = fc.oneof(
  fc.constant(null),
  fc.record({ at: fc.nat(), kind: fc.constantFrom('cut', 'set', 'drop'), byte: fc.nat(255) }),
)

function damaged(text: string, { at, kind, byte }: Damage, safe: number): Buffer {
  const bytes = Buffer.from(text)
  const place = safe + (at % (bytes.length - safe))
  if (kind === 'cut') return bytes.subarray(0, place)
  if (kind === 'drop') return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)])
  bytes[place] = byte
  return bytes
}

interface Damage {
  readonly at: number
  readonly kind: string
  readonly byte: number
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
    return true
  } catch {
    return false
  }
}

test.each(Object.entries(CASES))('%s: a damaged record costs no other record', (_name, of) => {
  const columns = [plainColumn('id', { kind: 'int' }), plainColumn('note', { kind: 'string' })]
  const options = { columns: of.typed ? null : columns, primaryKeys: ['id'], tables: ['d.t'] }
  const format = changeFormat(() => of.protocol, options)
  const records = fc.array(fc.tuple(changes, damage, fc.boolean()), { minLength: 1, maxLength: 90 })
  fc.assert(
    fc.property(records, fc.constantFrom(1, 7, 1000), (list, limit) => {
      const whole = list.map(([change, , spaced]) => of.value(change, spaced))
      const values = list.map(([, hurt], index) =>
        hurt === null ? Buffer.from(whole[index]!) : damaged(whole[index]!, hurt, of.safe),
      )
      const decoder = format.decoder('topic', 'value', null)
      const set = recordSet(values.map((value) => ({ value })))
      const { rows, faults } = decodeAll(decoder, set, limit)
      for (const [index, [change, hurt]] of list.entries()) {
        const got = rows.filter(({ record }) => record === index)
        if (hurt === null || values[index]!.equals(Buffer.from(whole[index]!))) {
          expect(got.map(({ op, row }) => ({ op, row }))).toEqual(expected(change))
          expect(faults.has(index)).toBe(false)
        } else if (!isJson(values[index]!)) {
          expect(faults.has(index)).toBe(true)
        }
        if (faults.has(index)) expect(got).toEqual([])
      }
      expect(rows.map(({ record }) => record)).toEqual(
        rows.map(({ record }) => record).toSorted((left, right) => left - right),
      )
    }),
    time,
  )
})
