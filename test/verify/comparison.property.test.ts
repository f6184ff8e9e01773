// Goal: a verdict never blames a row that was only in flight, and never misses one that is wrong.
// Method: a model of a source and of a lake that follows it, with writers at work between any two
// batches of a reading, and rows of the lake that somebody has tampered with.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  compareRows,
  StructureDifference,
  type ComparedColumns,
  type Reading,
  type SideRows,
} from '../../runtime/cli/verify/comparison.ts'
import { columnBuilder, type BytesBuilder } from '../../runtime/data/column/builder.ts'
import type { FixedBuilder } from '../../runtime/data/column/builder.ts'

const SECONDS = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const timeBox = { interruptAfterTimeLimit: SECONDS * 1000, numRuns: 1_000_000 }

const COLUMNS: ComparedColumns = {
  names: ['id', 'note'],
  types: [{ kind: 'long' }, { kind: 'string' }],
  key: [0],
}

interface LakeRow {
  readonly note: string | null
  readonly place: string
}

/** The note `delete` deletes the row. */
type Change = readonly [key: number, note: string | null]

/** A source with a log, and a lake that has followed the log up to a place. */
class Model {
  readonly source = new Map<number, string | null>()
  readonly lake = new Map<number, LakeRow[]>()
  private readonly log: Change[] = []
  private followed = 0
  private places = 0
  private serial = 0

  constructor(keys: number) {
    for (let key = 0; key < keys; key++) this.write([key, `n${key}`])
    this.follow()
  }

  /**
   * Even keys come and go, each time with another note; odd ones stay, and toggle between notes. A
   * row that goes and comes back as it was, in step with all readings, cannot be told from one that
   * is missing: see the tests of rows in step.
   */
  write([key, written]: Change): void {
    if (key % 2 === 1) this.writeExactly([key, written === 'delete' ? null : written])
    else if (written === 'delete') this.writeExactly([key, 'delete'])
    else this.writeExactly([key, `${written}#${this.serial++}`])
  }

  writeExactly([key, note]: Change): void {
    if (note === 'delete') this.source.delete(key)
    else this.source.set(key, note)
    this.log.push([key, note])
  }

  /** Grows with every commit; a tampering hand leaves it as it is. */
  get version(): string {
    return String(this.followed)
  }

  /** The pipeline: every change of a key puts another row into the lake. */
  follow(): void {
    for (const [key, note] of this.log.slice(this.followed)) {
      this.lake.delete(key)
      if (note !== 'delete') this.lake.set(key, [{ note, place: `f:${this.places++}` }])
    }
    this.followed = this.log.length
  }
}

function rowsOf(rows: readonly (readonly [number, string | null, string])[]): SideRows {
  const ids = columnBuilder({ kind: 'long' }) as FixedBuilder
  const notes = columnBuilder({ kind: 'string' }) as BytesBuilder
  ids.reserveRows(rows.length)
  notes.reserveRows(rows.length)
  rows.forEach(([id, note], row) => {
    ids.values[row] = BigInt(id)
    const bytes = Buffer.from(note ?? '')
    if (note === null) notes.setNull(row)
    else notes.setBytes(row, bytes, 0, bytes.length)
  })
  const columns = [ids.view(rows.length), notes.view(rows.length)]
  return { rows: rows.length, columns, placeOf: (row) => rows[row]?.[2] ?? '' }
}

/** Batches of two rows of what the side holds when the reading of it begins. */
async function* batches(
  snapshot: readonly (readonly [number, string | null, string])[],
  between: () => void,
): AsyncGenerator<SideRows> {
  for (let from = 0; from < snapshot.length; from += 2) {
    between()
    yield rowsOf(snapshot.slice(from, from + 2))
  }
}

function readingOf(model: Model, between: () => void): Reading {
  let version = ''
  return {
    lakeVersion: () => version,
    columns: COLUMNS,
    source: () =>
      batches(
        [...model.source].map(([key, note]) => [key, note, '']),
        between,
      ),
    lake: () => {
      model.follow()
      version = model.version
      const rows = [...model.lake].flatMap(([key, found]) =>
        found.map(({ note, place }): [number, string | null, string] => [key, note, place]),
      )
      return batches(rows, between)
    },
  }
}

const change: fc.Arbitrary<Change> = fc.tuple(
  fc.integer({ min: 0, max: 11 }),
  fc.constantFrom('a', 'b', '', null, 'delete' as const),
)
const traffic = fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 80 })

/** Hands out the next writes of the traffic each time it is called. */
function writer(model: Model, writes: readonly (readonly Change[])[]): () => void {
  let next = 0
  return () => {
    for (const one of writes[next] ?? []) model.write(one)
    next++
    if (next % 3 === 0) model.follow()
  }
}

test('rows in flight are never blamed', async () => {
  await fc.assert(
    fc.asyncProperty(traffic, fc.integer({ min: 1, max: 3 }), async (writes, candidatesMax) => {
      const model = new Model(10)
      const between = writer(model, writes)
      const verdict = await compareRows(async () => readingOf(model, between), candidatesMax * 4)
      expect(verdict).toMatchObject({ differences: 0, examples: [] })
    }),
    timeBox,
  )
})

const SAID = {
  change: 'differs in note',
  null: 'differs in note',
  delete: 'is missing in the lake',
  double: 'stands 2 times in the lake',
  add: 'is in the lake only',
} as const

test('every row that somebody tampered with is named, however busy the others are', async () => {
  const quiet = fc.uniqueArray(fc.integer({ min: 100, max: 110 }), { minLength: 1, maxLength: 5 })
  const kinds = fc.constantFrom('change' as const, 'delete', 'double', 'add', 'null')
  await fc.assert(
    fc.asyncProperty(traffic, quiet, kinds, async (writes, tampered, kind) => {
      const model = new Model(10)
      for (let key = 100; key <= 110; key++) model.writeExactly([key, 'quiet'])
      model.follow()
      for (const key of tampered) tamper(model, key, kind)
      const verdict = await compareRows(async () => readingOf(model, writer(model, writes)))
      const what = SAID[kind]
      const keys = tampered.map((key) => (kind === 'add' ? key + 1000 : key))
      expect(new Set(verdict.examples)).toEqual(new Set(keys.map((key) => `[${key}] ${what}`)))
      expect(verdict.differences).toBe(tampered.length)
    }),
    timeBox,
  )
})

function tamper(model: Model, key: number, kind: string): void {
  const rows = model.lake.get(key) ?? []
  const [row] = rows
  if (row === undefined) throw new Error('the quiet rows are in the lake')
  if (kind === 'delete') model.lake.delete(key)
  else if (kind === 'double') model.lake.set(key, [row, { ...row, place: `${row.place}'` }])
  else if (kind === 'add') model.lake.set(key + 1000, [{ note: 'x', place: 'x' }])
  else model.lake.set(key, [{ note: kind === 'null' ? null : '', place: row.place }])
}

test('a row that is missing is named together with one that differs', async () => {
  const model = new Model(5)
  tamper(model, 1, 'change')
  tamper(model, 2, 'delete')
  const verdict = await compareRows(async () => readingOf(model, () => undefined))
  expect(verdict.examples).toEqual(['[1] differs in note', '[2] is missing in the lake'])
})

test('a row that toggles between two values in step with the readings is not blamed', async () => {
  const model = new Model(4)
  let source = 0
  const verdict = await compareRows(async () => {
    const reading = readingOf(model, () => undefined)
    return {
      ...reading,
      // Each snapshot of the source shows `a`, each of the lake `b`.
      source: () => {
        model.write([1, 'a'])
        source++
        return reading.source()
      },
      lake: () => {
        model.write([1, 'b'])
        return reading.lake()
      },
    }
  })
  expect(source).toBe(5)
  expect(verdict).toMatchObject({ differences: 0, undecided: 1 })
})

test('a row that comes and goes in step with three readings is not blamed', async () => {
  const model = new Model(4)
  let readings = 0
  const verdict = await compareRows(async () => {
    const reading = readingOf(model, () => undefined)
    const inStep = ++readings !== 4
    return {
      ...reading,
      source: () => {
        if (inStep) model.writeExactly([1, 'a'])
        return reading.source()
      },
      lake: () => {
        model.writeExactly([1, 'delete'])
        return reading.lake()
      },
      lakeVersion: () => reading.lakeVersion(),
    }
  })
  expect(verdict).toMatchObject({ differences: 0, undecided: 0, rounds: 4 })
})

test('a missing row is blamed at once where nothing is committed, else in the last round', async () => {
  for (const [busy, rounds] of [
    [false, 3],
    [true, 5],
  ] as const) {
    const model = new Model(4)
    tamper(model, 1, 'delete')
    let note = 0
    const verdict = await compareRows(async () => {
      if (busy) model.write([3, `n${note++}`])
      return readingOf(model, () => undefined)
    })
    expect(verdict).toMatchObject({ rounds, examples: ['[1] is missing in the lake'] })
  }
})

test('more differing rows than can be followed are found nevertheless', async () => {
  const model = new Model(100)
  for (let key = 0; key < 50; key++) tamper(model, key, 'change')
  const verdict = await compareRows(async () => readingOf(model, () => undefined), 7)
  expect(verdict.differences).toBe(7)
})

test('columns that differ in two readings are the verdict, in one they are in flight', async () => {
  const model = new Model(3)
  const lines = ['column "x" is missing in the lake']
  let readings = 0
  const passing = await compareRows(async () => {
    if (readings++ === 0) throw new StructureDifference(lines)
    return readingOf(model, () => undefined)
  })
  expect(passing).toMatchObject({ differences: 0, rounds: 2, lakeRows: 3 })
  const lasting = await compareRows(async () => {
    throw new StructureDifference(lines)
  })
  expect(lasting).toMatchObject({ differences: 1, examples: lines, rounds: 2 })
})
