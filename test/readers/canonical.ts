// The one form in which sources and independent readers state a table's rows, so that a test can
// compare them as multisets of texts.
//
// A row is the JSON text of an array of cells in column order. A cell is null, a string, or for
// a list an array of cells:
//
//   boolean                  true | false
//   int, long                decimal digits
//   float, double            8 or 16 hex digits of the IEEE 754 bits, high byte first; NaN as NaN
//   decimal(p,s)             plain digits with exactly s behind the point
//   date                     days since 1970-01-01
//   time                     microseconds since midnight
//   timestamp, timestamptz   microseconds since 1970-01-01T00:00:00 (UTC for timestamptz)
//   timestamp_ns, -tz_ns     nanoseconds likewise
//   string                   itself
//   uuid                     lower case with dashes
//   fixed, binary            lower case hex
//
// Bits instead of decimal text for floats: four languages print the same number four ways.

export type Cell = string | null | Cell[]

export interface TableDump {
  /** `namespace.name`; for a source table `schema.name` or `database.name`. */
  table: string
  columns: string[]
  /** One canonical text a row, sorted. */
  rows: string[]
}

export interface RowDifference {
  /** Rows of the first table that the second has not, a row as often as it is missing. */
  missing: string[]
  /** Rows of the second table that the first has not. */
  extra: string[]
}

export function tableDump(table: string, columns: string[], rows: readonly Cell[][]): TableDump {
  return { table, columns, rows: rows.map((row) => JSON.stringify(row)).sort() }
}

/** The same rows with these columns only, in this order. */
export function project(dump: TableDump, columns: string[]): TableDump {
  const places = columns.map((name) => dump.columns.indexOf(name))
  const absent = columns.filter((_, index) => places[index] === -1)
  if (absent.length > 0) throw new Error(`${dump.table} has no column ${absent.join(', ')}`)
  const rows = dump.rows.map((text) => {
    const row = JSON.parse(text) as Cell[]
    return places.map((place) => row[place] ?? null)
  })
  return tableDump(dump.table, columns, rows)
}

/**
 * What differs between two tables as multisets; column names must agree, table names need not.
 * `expect(differenceOf(source, lake)).toEqual({ missing: [], extra: [] })` shows the rows in
 * question where comparing the arrays would print both tables.
 */
export function differenceOf(expected: TableDump, actual: TableDump, limit = 10): RowDifference {
  if (expected.columns.join() !== actual.columns.join()) {
    throw new Error(
      `${actual.table} has columns ${actual.columns.join()}, not ${expected.columns.join()}`,
    )
  }
  const counts = new Map<string, number>()
  for (const row of expected.rows) counts.set(row, (counts.get(row) ?? 0) + 1)
  for (const row of actual.rows) counts.set(row, (counts.get(row) ?? 0) - 1)
  const off = (sign: number): string[] =>
    [...counts].flatMap(([row, count]) => Array<string>(Math.max(0, sign * count)).fill(row))
  return { missing: off(1).slice(0, limit), extra: off(-1).slice(0, limit) }
}

/** Bits of a double as canonical text. */
export function doubleCell(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

/** Bits of a number that came from a float, as canonical text. */
export function floatCell(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  const bytes = Buffer.alloc(4)
  bytes.writeFloatBE(value)
  return bytes.toString('hex')
}
