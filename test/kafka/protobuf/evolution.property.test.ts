// Versions of a schema, written side by side: whatever order they come in, and wherever a restart
// falls, each record has the values that its own schema gives it, and the structure only grows.

import fc from 'fast-check'
import type protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import type { FormatTable } from '../../../connectors/kafka/format.ts'
import { widens } from '../../../runtime/data/evolution.ts'
import { oracleRow } from './oracle.ts'
import { framed, PlayedRegistry, registryFormat } from './played-registry.ts'
import { Draw, randomObject, rootOf } from './random.ts'
import { decodeAll } from './records.ts'

const interruptAfterTimeLimit = Number(process.env['PROPERTY_SECONDS'] ?? 3) * 1000

interface Field {
  readonly number: number
  readonly name: string
  readonly type: string
  readonly label: '' | 'optional ' | 'repeated '
}

interface Version {
  readonly outer: readonly Field[]
  readonly inner: readonly Field[]
}

const TYPES = ['int32', 'int64', 'float', 'double', 'string', 'bool', 'uint64', 'bytes', 'Color']
const WIDER: Readonly<Record<string, string>> = { int32: 'int64', float: 'double', sint32: 'int64' }

function newField(draw: Draw, number: number, version: number): Field {
  const label = draw.of<Field['label']>(['', '', 'optional ', 'repeated '])
  // Names that were given up come back as those of others.
  const name = draw.chance(30) ? `n${draw.below(4)}` : `f${number}_${version}`
  return { number, name, type: draw.of(TYPES), label }
}

/** Adds, drops, renames, widens, and makes optional. */
function next(draw: Draw, fields: readonly Field[], free: number, version: number): Field[] {
  const changed = fields.flatMap((field): Field[] => {
    switch (draw.below(8)) {
      case 0:
        return []
      case 1:
        return [{ ...field, name: `f${field.number}_${version}` }]
      case 2:
        return [{ ...field, type: WIDER[field.type] ?? field.type }]
      case 3:
        return [{ ...field, label: field.label === '' ? 'optional ' : field.label }]
      default:
        return [field]
    }
  })
  const added = draw.times(2, (index) => newField(draw, free + index, version))
  return [...changed, ...added]
}

function uniquelyNamed(fields: readonly Field[]): Field[] {
  const names = new Set<string>()
  return fields.filter(({ name }) => !names.has(name) && names.add(name))
}

function textOf({ outer, inner }: Version): string {
  const lines = (fields: readonly Field[]): string =>
    fields.map(({ label, type, name, number }) => `${label}${type} ${name} = ${number};`).join('\n')
  return `syntax = "proto3"; package r;
enum Color { RED = 0; GREEN = 1; BLUE = 7; FAR = 100000; UNDER = -3; }
message M0 { Inner inner = 1; oneof choice { string text = 2; Inner other = 3; }
${lines(outer)} }
message Inner { bool set = 1;
${lines(inner)} }`
}

/** Names of the columns to numbers of their fields. */
function identitiesOf(type: protobuf.Type, name = '', number = ''): [string, string][] {
  return type.fieldsArray.flatMap((field): [string, string][] => {
    const inner = field.resolvedType
    const [path, id] = [`${name}${field.name}`, `${number}${field.id}`]
    if (inner?.name === 'Inner') return identitiesOf(inner as protobuf.Type, `${path}.`, `${id}.`)
    return [[path, id]]
  })
}

function versions(draw: Draw): Version[] {
  const made: Version[] = []
  let outer: Field[] = []
  let inner: Field[] = []
  for (let version = 0; version < 4; version++) {
    const free = 10 + version * 10
    outer = uniquelyNamed(next(draw, outer, free, version))
    inner = uniquelyNamed(next(draw, inner, free, version))
    made.push({ outer, inner })
  }
  return made
}

test('each record has the values of its own schema, across versions and restarts', async () => {
  const property = fc.asyncProperty(fc.integer(), async (seed) => {
    const draw = new Draw(seed)
    const registry = new PlayedRegistry()
    const types = versions(draw).map((version, index) => {
      registry.add(index + 1, textOf(version))
      return rootOf(textOf(version)).lookupType('r.M0')
    })
    const format = registryFormat(registry, { message: 'r.M0' })
    let decoder = format.decoder('plays', 'value', null)
    let before: FormatTable = decoder.table
    for (let round = 0; round < 4; round++) {
      const records = Array.from({ length: 10 }, () => {
        const index = draw.below(types.length)
        const type = types[index]!
        const bytes = type.encode(type.fromObject(randomObject(draw, type))).finish()
        return { index, type, bytes, value: framed(index + 1, bytes) }
      })
      const set = await decodeAll(
        decoder,
        records.map(({ value }) => value),
        draw.of([1, 3, 100]),
      )
      expect(set.dirties).toEqual([])
      for (const [record, { type, bytes }] of records.entries()) {
        const ours = Object.fromEntries(set.identified.get(record) ?? [])
        const theirs = oracleRow(type, bytes, { nullDefaults: false })
        const known = new Map(identitiesOf(type).map(([name, id]) => [id, theirs[name]]))
        const wanted = Object.keys(ours).map((id) => [id, known.get(id) ?? null])
        expect(widened(ours)).toEqual(widened(Object.fromEntries(wanted)))
        expect([...known.keys()].filter((id) => !(id in ours))).toEqual([])
      }
      expectGrown(before, decoder.table)
      before = decoder.table
      if (draw.chance(50)) continue
      decoder = format.decoder('plays', 'value', decoder.save())
      expect(decoder.table).toEqual(before)
    }
  })
  await fc.assert(property, { numRuns: 100_000, interruptAfterTimeLimit, endOnFailure: true })
})

/** A column may be wider than the field, and an int32 in a column of longs is a bigint. */
function widened(row: Record<string, unknown>): Record<string, unknown> {
  const wide = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(wide)
    return typeof value === 'number' && Number.isInteger(value) ? String(value) : value
  }
  const text = (value: unknown): unknown =>
    typeof value === 'bigint' ? String(value) : wide(value)
  return Object.fromEntries(
    Object.entries(row).map(([id, value]) => [
      id,
      Array.isArray(value) ? value.map(text) : text(value),
    ]),
  )
}

function expectGrown(before: FormatTable, after: FormatTable): void {
  expect(new Set(after.columns.map(({ name }) => name)).size).toBe(after.columns.length)
  for (const [index, column] of before.columns.entries()) {
    const now = after.columns[index]!
    expect(now.identity).toBe(column.identity)
    expect(widens(column.type, now.type)).toBe(true)
    expect(column.nullable && !now.nullable).toBe(false)
  }
}
