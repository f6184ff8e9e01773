// Values that could not be computed, by row and output: few, as a rule, and arrays all the same.

const ROWS_AT_START = 64

/** Output index of a row that the filter could not decide. */
export const FILTER_OUTPUT = -1

/** One kind of error at one place of an expression. */
export interface Site {
  readonly message: string
  /** The part of the text that failed. */
  readonly expression: string
}

export interface RowFailure extends Site {
  readonly error: 'EXPRESSION_FAILED'
  /** Row of the batch that was evaluated. */
  readonly row: number
  /** Index among the output columns, or FILTER_OUTPUT. */
  readonly output: number
}

export class RowFailures {
  count = 0
  rows = new Int32Array(ROWS_AT_START)
  outputs = new Int32Array(ROWS_AT_START)
  private sites = new Int32Array(ROWS_AT_START)
  private readonly table: readonly Site[]

  constructor(table: readonly Site[]) {
    this.table = table
  }

  add(row: number, output: number, site: number): void {
    if (this.count === this.rows.length) {
      this.rows = doubled(this.rows)
      this.outputs = doubled(this.outputs)
      this.sites = doubled(this.sites)
    }
    this.rows[this.count] = row
    this.outputs[this.count] = output
    this.sites[this.count] = site
    this.count++
  }

  /** @param index  0...count - 1, in no order of rows */
  describe(index: number): RowFailure {
    const site = this.table[this.sites[index] ?? 0] ?? { message: '', expression: '' }
    const row = this.rows[index] ?? 0
    return { error: 'EXPRESSION_FAILED', row, output: this.outputs[index] ?? 0, ...site }
  }

  /** @returns the first failure of each row (filter first, then outputs in order), by row */
  byRow(): Map<number, RowFailure> {
    const first = new Map<number, RowFailure>()
    for (let index = 0; index < this.count; index++) {
      const failure = this.describe(index)
      const known = first.get(failure.row)
      if (known === undefined || failure.output < known.output) first.set(failure.row, failure)
    }
    return new Map([...first].sort(([a], [b]) => a - b))
  }
}

function doubled(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}
