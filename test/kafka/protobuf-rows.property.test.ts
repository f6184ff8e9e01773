// Rows as Protobuf: whatever a row holds, protobufjs reads the same by the schema that was
// registered for it.

import fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { ProtobufRows } from '../../connectors/kafka/encode/protobuf-rows.ts'
import { protobufOf } from '../../connectors/kafka/encode/protobuf-schema.ts'
import { Op } from '../../runtime/data/batch.ts'
import type { Field } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { batchOf, field, schemaOf, UNCHANGED, type CellValue } from '../writer/batches.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = { interruptAfterTimeLimit: seconds * 1000, numRuns: 5000 }
const names = { namespace: 'shop', table: 'orders' }
const LONG = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

interface Cell {
  readonly type: ColumnType
  readonly value: CellValue
  /** What protobufjs must give, longs as their digits. */
  readonly read: unknown
}

const long = (kind: 'long' | 'time' | 'timestamp' | 'timestamptz'): fc.Arbitrary<Cell> =>
  fc.bigInt(LONG).map((value) => ({ type: { kind }, value, read: String(value) }))

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const at = digits.length - scale
  return `${value < 0n ? '-' : ''}${digits.slice(0, at)}${scale === 0 ? '' : '.'}${digits.slice(at)}`
}

const cells: fc.Arbitrary<Cell> = fc.oneof(
  long('long'),
  long('timestamptz'),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }), fc.nat(38))
    .map(([value, scale]): Cell => ({
      type: { kind: 'decimal', precision: 38, scale },
      value,
      read: decimalText(value, scale),
    })),
  fc.integer().map((value): Cell => ({ type: { kind: 'int' }, value, read: value })),
  fc.integer().map((value): Cell => ({ type: { kind: 'date' }, value, read: value })),
  fc.boolean().map((value): Cell => ({ type: { kind: 'boolean' }, value, read: value })),
  fc.double().map((value): Cell => ({ type: { kind: 'double' }, value, read: value })),
  fc.float().map((value): Cell => ({ type: { kind: 'float' }, value, read: Math.fround(value) })),
  fc
    .string({ unit: 'binary' })
    .filter((text) => text.isWellFormed())
    .map((value): Cell => ({ type: { kind: 'string' }, value, read: value })),
)

function readBy(text: string, message: string, bytes: Uint8Array): Record<string, unknown> {
  const { root } = protobuf.parse(text, { keepCase: true })
  const type = root.lookupType(`shop.orders.${message}`)
  return type.toObject(type.decode(bytes), { longs: String })
}

test('every value is read back as it was, null or not', () => {
  const column = fc.record({
    cell: cells,
    absent: fc.boolean(),
    gap: fc.integer({ min: 1, max: 9000 }),
  })
  const property = fc.property(fc.array(column, { minLength: 1, maxLength: 8 }), (row) => {
    let id = 0
    const fields = row.map(({ cell, gap }, at) => field((id += gap), `c${at}`, cell.type))
    const schema = schemaOf('shop.orders', 0, fields)
    const isAbsent = (at: number): boolean => at > 0 && row[at]?.absent === true
    const values = row.map(({ cell }, at) => [`c${at}`, isAbsent(at) ? undefined : cell.value])
    const batch = batchOf(
      schema,
      [{ op: Op.insert, values: Object.fromEntries(values) as Record<string, CellValue> }],
      1n,
    )
    const made = protobufOf(schema, 'Value', names, [])
    const bytes = new ProtobufRows(made, 77).encode(batch, 0)
    const framed = Buffer.from(bytes?.bytes.subarray(bytes.start, bytes.end) ?? [])
    expect([...framed.subarray(0, 6)]).toEqual([0, 0, 0, 0, 77, 0])
    const expected = row.flatMap(({ cell }, at) => (isAbsent(at) ? [] : [[`c${at}`, cell.read]]))
    expect(readBy(made.text, 'Value', framed.subarray(6))).toEqual(Object.fromEntries(expected))
  })
  fc.assert(property, limits)
})

test('a renamed column keeps its number, and one that is new has one of its own', () => {
  const id = field(1, 'id', { kind: 'long' })
  const old = schemaOf('t', 0, [id, field(2, 'note', { kind: 'string' })])
  const now = schemaOf('t', 1, [
    id,
    field(3, 'n', { kind: 'int' }),
    field(2, 'remark', { kind: 'string' }),
  ])
  const made = protobufOf(old, 'Value', names, [])
  const batch = batchOf(old, [{ op: Op.insert, values: { id: 2n ** 63n - 1n, note: 'x' } }], 1n)
  const bytes = new ProtobufRows(made, 1).encode(batch, 0)
  const payload = Buffer.from(bytes?.bytes.subarray(bytes.start + 6, bytes.end) ?? [])
  expect(readBy(protobufOf(now, 'Value', names, []).text, 'Value', payload)).toEqual({
    id: '9223372036854775807',
    remark: 'x',
  })
  const left = batchOf(old, [{ op: Op.update, values: { id: 1n, note: UNCHANGED } }], 1n)
  expect(new ProtobufRows(made, 1).encode(left, 0)).toBeNull()
  const list = schemaOf('t', 0, [field(19_001, 'l', { kind: 'list', element: { kind: 'int' } })])
  expect(protobufOf(list, 'Value', names, []).text).toContain('optional List20001 l = 20001;')
})

interface Step {
  readonly kind: 'add' | 'list' | 'drop' | 'rename' | 'again' | 'back'
  readonly at: number
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('add', 'list', 'drop', 'rename', 'again', 'back'),
    at: fc.nat(1000),
  }),
  { minLength: 1, maxLength: 25 },
)

/** The columns of a table after each of some changes; ids are never used twice. */
function structuresOf(all: readonly Step[]): readonly (readonly Field[])[] {
  let lastId = 2
  let columns = [field(1, 'id', { kind: 'long' }), field(2, 'first', { kind: 'string' })]
  const gone: string[] = []
  const structures = [columns]
  for (const { kind, at } of all) {
    const place = 1 + (at % Math.max(columns.length - 1, 1))
    const one = columns[place]
    if (kind === 'back') {
      // A crash: rows of an older structure come again, and then what came behind them.
      const first = at % structures.length
      structures.push(...structures.slice(first))
      continue
    }
    if (kind === 'drop' && one !== undefined) {
      gone.push(one.name)
      columns = columns.filter((column) => column !== one)
    } else if (kind === 'rename' && one !== undefined) {
      gone.push(one.name)
      columns = columns.with(place, { ...one, name: `renamed${++lastId}` })
    } else {
      const id = ++lastId
      const free = gone.filter((name) => columns.every((column) => column.name !== name))
      const name = kind === 'again' ? (free[at % Math.max(free.length, 1)] ?? `c${id}`) : `c${id}`
      const element = { kind: 'int' } as const
      columns = [...columns, field(id, name, kind === 'list' ? { kind: 'list', element } : element)]
    }
    structures.push(columns)
  }
  return structures
}

test('numbers belong to their columns for ever, and those of columns that are gone are reserved', () => {
  const property = fc.property(steps, (all) => {
    // As a registry keeps them: nothing else is remembered from one structure to the next.
    const registered: string[] = []
    const ids = new Map<number, number>()
    const written = new Map<readonly Field[], string>()
    for (const columns of structuresOf(all)) {
      const { text, fields } = protobufOf(schemaOf('t', 0, columns), 'Value', names, registered)
      if (!registered.includes(text)) registered.unshift(text)
      // Rows that are read again are those of the schema that they had.
      expect(text).toBe(written.get(columns) ?? text)
      written.set(columns, text)
      for (const { index, number } of fields) {
        const { id } = columns[index]!
        expect(ids.get(number) ?? id).toBe(id)
        ids.set(number, id)
      }
      const type = protobuf.parse(text, { keepCase: true }).root.lookupType('shop.orders.Value')
      const named = columns.map(({ name, id }) => [name, id])
      expect(type.fieldsArray.map(({ name, id }) => [name, id])).toEqual(named)
    }
    expectReserved(registered)
  })
  fc.assert(property, limits)
})

/** @param registered  the newest first: each keeps what the one before it had, or had kept. */
function expectReserved(registered: readonly string[]): void {
  const types = registered.map((text) => {
    return protobuf.parse(text, { keepCase: true }).root.lookupType('shop.orders.Value')
  })
  for (const [at, type] of types.entries()) {
    for (const before of types.slice(at + 1)) {
      for (const { id, name } of before.fieldsArray) {
        expect(type.fieldsById[id] !== undefined || type.isReservedId(id)).toBe(true)
        expect(type.fields[name] !== undefined || type.isReservedName(name)).toBe(true)
      }
      const lists = before.nestedArray.map(({ name }) => name)
      expect(type.nestedArray.map(({ name }) => name)).toEqual(expect.arrayContaining(lists))
    }
    for (const { id, name } of type.fieldsArray) {
      expect([type.isReservedId(id), type.isReservedName(name)]).toEqual([false, false])
    }
  }
}

test('a number of a column that is gone is none for another, and foreign schemas say nothing', () => {
  const id = field(1, 'id', { kind: 'long' })
  const two = schemaOf('t', 0, [id, field(2, 'note', { kind: 'string' })])
  const first = protobufOf(two, 'Value', names, []).text
  const second = protobufOf(schemaOf('t', 1, [id]), 'Value', names, [first]).text
  expect(second).toContain('  reserved 2;\n  reserved "note";\n')
  const other = schemaOf('t', 0, [id, field(2, 'n', { kind: 'string' })])
  expect(() => protobufOf(other, 'Value', names, [second, first])).toThrow(
    'table "t": the number 2 of "n" was that of another column',
  )
  const range = second.replace('reserved 2', 'reserved 2 to 6')
  const added = schemaOf('t', 2, [id, field(7, 'n', { kind: 'string' })])
  expect(protobufOf(added, 'Value', names, [range]).text).toContain('  reserved 2 to 6;\n')
  const inside = schemaOf('t', 2, [id, field(4, 'note', { kind: 'string' })])
  expect(protobufOf(inside, 'Value', names, [range]).text).toContain('  reserved 2 to 3, 5 to 6;\n')
  for (const foreign of ['{"type":"int"}', 'syntax = "proto3"; message Other { int32 a = 2; }']) {
    expect(protobufOf(two, 'Value', names, [foreign]).text).toBe(first)
  }
})
