// Compares the rows of two sides that do not stand at the same instant: the source as one snapshot
// has it, and the lake once it has followed the log past that snapshot.
//
// *Algorithm.* The first round hashes all rows of the source into a table of keys, streams the lake
// past it, and keeps the keys that differ. Each further round reads both sides anew and looks at
// these keys only. One that has become equal was in flight. One whose source row is as it was
// before, and whose lake row is the very same row of the same file, differs for good.
//
// *Correctness.* Every change that reaches the lake gives the key another row, at another place in
// another file. So when the lake's row stands at the same place in two rounds, no change came
// between them, and the source's snapshot of the second round, which lies between, must equal it.
// A row that the lake lacks has no place. It differs for good when nothing at all was committed to
// the table between two rounds, or when it was lacking in all of four: a row that is deleted and
// inserted again, with the same values, in step with four readings would be blamed wrongly.

import { present } from '../../base/assert.ts'
import type { Column } from '../../data/column/column.ts'
import { hashWordsOf, keyHashes, type KeyHashes } from '../../data/key-hash.ts'
import type { ColumnType } from '../../data/type.ts'
import { CandidateRows } from './candidate-rows.ts'
import { KeyTable } from './key-table.ts'
import { ROW_WORDS, rowHashes } from './row-hash.ts'

/** Rows of one side, in no order. */
export interface SideRows {
  /** 1 or more. */
  readonly rows: number
  /**
   * One for each of `ComparedColumns.names`, in their order; read before the next rows are asked
   * for.
   */
  readonly columns: readonly Column[]
  /**
   * Where row `row` lies. The same place in two rounds means that nobody has written the row since.
   */
  placeOf(row: number): string
}

export interface ComparedColumns {
  readonly names: readonly string[]
  readonly types: readonly ColumnType[]
  /** Indexes into `names`, in key order, one or more. */
  readonly key: readonly number[]
}

/** One reading of both sides; the lake is read after the source has been read to its end. */
export interface Reading {
  readonly columns: ComparedColumns
  source(): AsyncIterable<SideRows>
  /** @throws StructureDifference */
  lake(): AsyncIterable<SideRows>
  /** Of what `lake` has read: the same text means that nothing was committed to the table since. */
  lakeVersion(): string
}

/** The rows cannot be compared, because the two sides have different columns. */
export class StructureDifference extends Error {
  override readonly name = 'StructureDifference'
  /** How they differ. */
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('; '))
    this.lines = lines
  }
}

export interface Comparison {
  /** Of the last round. */
  readonly sourceRows: number
  readonly lakeRows: number
  /** Keys that differ for good, or columns that do. */
  readonly differences: number
  /** Keys that differed in another way in each round: they change faster than they can be read. */
  readonly undecided: number
  /** Of some differences. */
  readonly examples: readonly string[]
  readonly rounds: number
}

/** One that finds the keys, and four that follow them. */
export const ROUNDS_MAX = 5
const EXAMPLES_MAX = 10
/** Keys that are followed at once; when more differ, the rest gets a first round of its own. */
const CANDIDATES_MAX = 1_000_000

/**
 * @param read  starts a reading; called once a round; may throw StructureDifference
 * Memory: 24 to 32 bytes a row of the source in the first round, and 5 to 11 for finding it.
 */
export async function compareRows(
  read: () => Promise<Reading>,
  candidatesMax: number = CANDIDATES_MAX,
): Promise<Comparison> {
  return new RowComparison(read, candidatesMax).run()
}

class RowComparison {
  private readonly read: () => Promise<Reading>
  private readonly candidatesMax: number
  private sourceRows = 0
  private lakeRows = 0
  /** Keys to follow; `null`: not known, so all rows are compared. */
  private candidates: KeyTable | null = null
  /** All keys that differed in the last full round are candidates. */
  private complete = true
  private before: CandidateRows | null = null
  private structure: readonly string[] = []

  constructor(read: () => Promise<Reading>, candidatesMax: number) {
    this.read = read
    this.candidatesMax = candidatesMax
  }

  async run(): Promise<Comparison> {
    for (let rounds = 1; ; rounds++) {
      const verdict = await this.tryRound(rounds)
      if (verdict !== null) return verdict
      if (this.isSettled()) return this.verdict(rounds, 0, [])
      if (rounds >= ROUNDS_MAX) return this.verdict(rounds, 0, [], this.candidates?.count ?? 1)
      // Those that were followed were in flight, but not all that differed could be followed.
      if (this.candidates?.count === 0) this.restart([])
    }
  }

  private async tryRound(rounds: number): Promise<Comparison | null> {
    try {
      const verdict = await this.round(await this.read(), rounds)
      this.structure = []
      return verdict
    } catch (error) {
      if (!(error instanceof StructureDifference)) throw error
      const lasting = error.lines.filter((line) => this.structure.includes(line))
      this.restart(error.lines)
      return lasting.length === 0 ? null : this.verdict(rounds, lasting.length, lasting)
    }
  }

  private verdict(
    rounds: number,
    differences: number,
    examples: readonly string[],
    undecided = 0,
  ): Comparison {
    const { sourceRows, lakeRows } = this
    return { sourceRows, lakeRows, differences, undecided, examples, rounds }
  }

  private restart(structure: readonly string[]): void {
    this.structure = structure
    this.candidates = null
    this.before = null
  }

  private isSettled(): boolean {
    return this.complete && this.candidates?.count === 0
  }

  /** @returns the verdict when rows differ for good; `null`: nothing is known for certain yet */
  private async round(reading: Reading, rounds: number): Promise<Comparison | null> {
    if (this.candidates === null) {
      await this.compareAll(reading)
      return null
    }
    const found = await this.follow(reading, this.candidates)
    const different = found.different()
    const { lasting, awaiting } =
      this.before === null ? { lasting: [], awaiting: [] } : found.judge(this.before)
    if (lasting.length > 0 && (awaiting.length === 0 || rounds >= ROUNDS_MAX)) {
      const undecided = different.length - lasting.length
      return this.verdict(rounds, lasting.length, await this.examples(found, lasting), undecided)
    }
    this.candidates = found.keysOf(different)
    this.before = found
    return null
  }

  private async compareAll(reading: Reading): Promise<void> {
    const { columns } = reading
    const keyTypes = columns.key.map((index) => present(columns.types[index], 'a key is a column'))
    const words = hashWordsOf(keyTypes)
    const table = new KeyTable(words, ROW_WORDS)
    const candidates = new KeyTable(words, 0)
    this.complete = true
    const suspect = (keys: Int32Array, at: number): void => {
      if (candidates.count < this.candidatesMax) candidates.add(keys, at)
      else if (candidates.find(keys, at) < 0) this.complete = false
    }
    this.sourceRows = await eachRow(columns, reading.source(), (keys, at, rows, rowAt) => {
      const count = table.count
      const entry = table.add(keys, at)
      if (table.count === count) suspect(keys, at)
      table.setPayload(entry, rows, rowAt)
    })
    const met = new Uint8Array(table.count)
    this.lakeRows = await eachRow(columns, reading.lake(), (keys, at, rows, rowAt) => {
      const entry = table.find(keys, at)
      if (entry < 0 || met[entry] === 1 || !table.hasPayload(entry, rows, rowAt)) suspect(keys, at)
      if (entry >= 0) met[entry] = 1
    })
    for (let entry = 0; entry < table.count; entry++) {
      if (met[entry] === 0) suspect(table.keyOf(entry), 0)
    }
    this.candidates = candidates
    this.before = null
  }

  private async follow(reading: Reading, keys: KeyTable): Promise<CandidateRows> {
    const { columns } = reading
    const found = new CandidateRows(keys, columns, () => reading.lakeVersion())
    this.sourceRows = 0
    for await (const batch of reading.source()) {
      this.sourceRows += batch.rows
      found.add('source', batch, hashesOf(columns, batch), rowHashes(batch.columns, batch.rows))
    }
    this.lakeRows = 0
    for await (const batch of reading.lake()) {
      this.lakeRows += batch.rows
      found.add('lake', batch, hashesOf(columns, batch), rowHashes(batch.columns, batch.rows))
    }
    return found
  }

  /** Of many keys no texts are kept: then some are read once more. */
  private async examples(found: CandidateRows, lasting: readonly number[]): Promise<string[]> {
    const some = lasting.slice(0, EXAMPLES_MAX)
    if (found.hasTexts) return some.map((entry) => found.exampleOf(entry))
    const again = await this.follow(await this.read(), found.keysOf(some))
    return again.different().map((entry) => again.exampleOf(entry))
  }
}

function hashesOf({ key }: ComparedColumns, { columns, rows }: SideRows): KeyHashes {
  return keyHashes(
    key.map((index) => present(columns[index], 'a key is a column')),
    rows,
  )
}

/** @returns the count of rows; `take` gets the words of a row's key and of the row */
async function eachRow(
  columns: ComparedColumns,
  side: AsyncIterable<SideRows>,
  take: (keys: Int32Array, at: number, rows: Int32Array, rowAt: number) => void,
): Promise<number> {
  let count = 0
  for await (const batch of side) {
    const { words, hashes } = hashesOf(columns, batch)
    const rows = rowHashes(batch.columns, batch.rows)
    for (let row = 0; row < batch.rows; row++) take(hashes, row * words, rows, row * ROW_WORDS)
    count += batch.rows
  }
  return count
}
