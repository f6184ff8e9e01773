// A table of MySQL that is changed at random, and what each of its rows was after every change, as
// the server itself renders it: what a topic must hold, value by value.

import { expect } from 'vitest'
import { queryMysql, type SqlRow } from '../servers/clients.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import type { Random } from '../workload/random.ts'

/**
 * Neutral texts, the same for every format: integers and decimals by their digits, moments in
 * microseconds since 1970, dates in days, binary as hex, floats as the shortest of a double.
 */
export type NeutralRow = Readonly<Record<string, string | null>>

export type ColumnKind =
  | 'integer'
  | 'decimal'
  | 'double'
  | 'float'
  | 'moment'
  | 'date'
  | 'text'
  | 'binary'

interface ColumnSpec {
  readonly kind: ColumnKind
  readonly type: string
  /** Values to write, as SQL. */
  readonly values: readonly string[]
  readonly isLater?: boolean
}

const US_OF_DAY = 86_400_000_000n

/** The key is beyond 2^63, other values at the edges of their types. */
export const HISTORY_COLUMNS: Readonly<Record<string, ColumnSpec>> = {
  id: { kind: 'decimal', type: 'BIGINT UNSIGNED NOT NULL PRIMARY KEY', values: [] },
  n: { kind: 'integer', type: 'BIGINT NOT NULL', values: [] },
  big: {
    kind: 'integer',
    type: 'BIGINT',
    values: ['9223372036854775807', '-9223372036854775808', '9007199254740993', 'NULL'],
  },
  price: {
    kind: 'decimal',
    type: 'DECIMAL(38,10)',
    values: ['9999999999999999999999999999.9999999999', '-0.0000000001', '12.5', '-129', 'NULL'],
  },
  small: { kind: 'decimal', type: 'DECIMAL(9,2)', values: ['9999999.99', '-0.01', '0', '-128'] },
  ratio: { kind: 'double', type: 'DOUBLE', values: ['0.1', '1e300', '-4.9e-324', 'NULL'] },
  rough: { kind: 'float', type: 'FLOAT', values: ['0.1', '16777216', '-3.4e38', 'NULL'] },
  at: {
    kind: 'moment',
    type: 'DATETIME(6)',
    values: ["'2026-01-31 12:00:00.000001'", "'1969-12-31 23:59:59.999999'", "'9999-12-31'"],
  },
  stamp: { kind: 'moment', type: 'TIMESTAMP(3) NULL', values: ["'2026-03-29 01:59:59.999'"] },
  day: { kind: 'date', type: 'DATE', values: ["'1000-01-01'", "'1970-01-02'", 'NULL'] },
  span: { kind: 'integer', type: 'TIME(6)', values: ["'-838:59:59'", "'23:59:59.000001'"] },
  note: {
    kind: 'text',
    type: 'VARCHAR(200) CHARACTER SET utf8mb4',
    values: ["''", "'\u{1f980} \u00e9\\n\"\\\\'", "'{}'", 'NULL'],
  },
  bin: { kind: 'binary', type: 'VARBINARY(20)', values: ["x'00ff80'", "''", 'NULL'] },
  doc: { kind: 'text', type: 'JSON', values: ['\'{"a": [1, null]}\'', "'[]'", 'NULL'] },
  word: { kind: 'text', type: "ENUM('', 'a', '\u00fc')", values: ["'a'", "'\u00fc'", "''"] },
  extra: { kind: 'integer', type: 'INT DEFAULT 7', values: ['1', 'NULL'], isLater: true },
}

/** From the greatest down, so that no number of JavaScript holds them. */
const KEYS = Array.from({ length: 81 }, (_, at) => String(18_446_744_073_709_551_615n - BigInt(at)))

const EPOCH = "'1970-01-01'"

/** How the server says a value in its neutral form. */
const RENDERED: Readonly<Record<ColumnKind, (name: string) => string>> = {
  integer: (name) => `CAST(${name} AS CHAR)`,
  decimal: (name) => `CAST(${name} AS CHAR)`,
  double: (name) => name,
  // As the double that it is: the text of a float is rounded.
  float: (name) => `CAST(${name} AS DOUBLE)`,
  moment: (name) => `CAST(TIMESTAMPDIFF(MICROSECOND, ${EPOCH}, ${name}) AS CHAR)`,
  date: (name) => `CAST(DATEDIFF(${name}, ${EPOCH}) AS CHAR)`,
  text: (name) => `CAST(${name} AS CHAR)`,
  binary: (name) => `LOWER(HEX(${name}))`,
}

const SPAN = `CAST(IF(span < 0, -1, 1)
  * (ABS(TIME_TO_SEC(span)) * 1000000 + MICROSECOND(span)) AS CHAR)`

export class MysqlHistory {
  /** By key: what each record has to say, in order; `null`: it is gone. */
  readonly byKey = new Map<string, (NeutralRow | null)[]>()
  readonly #server: MysqlServer
  readonly #random: Random
  #columns = Object.keys(HISTORY_COLUMNS).filter((name) => !HISTORY_COLUMNS[name]?.isLater)
  #n = 0

  constructor(server: MysqlServer, random: Random) {
    this.#server = server
    this.#random = random
  }

  /** The table `shop.orders` with rows in it. */
  async create(rows: number): Promise<void> {
    const columns = this.#columns.map((name) => `${name} ${HISTORY_COLUMNS[name]?.type ?? ''}`)
    await this.#run(`CREATE DATABASE shop; CREATE TABLE shop.orders (${columns.join()})`)
    for (let row = 0; row < rows; row++) await this.#insert()
  }

  /** Inserts, updates, deletes, and updates of several rows or of a key, one after the other. */
  async change(): Promise<void> {
    const keys = [...this.byKey].filter(([, all]) => all.at(-1) !== null).map(([key]) => key)
    const random = this.#random
    // Whoever waits for a change to arrive needs one: an insert that finds no place is none.
    const inserts = keys.length < 10 || random.chance(0.4)
    if (inserts && this.#freeKeys().length > 0) return this.#insert()
    if (random.chance(0.15)) return this.#moveKey(random.pick(keys))
    const some = random.chance(0.3) ? random.some(keys).slice(0, 20) : [random.pick(keys)]
    const where = `WHERE id IN (${some.join()})`
    if (random.chance(0.3)) {
      await this.#run(`DELETE FROM shop.orders ${where}`)
      for (const key of some) this.#tell(key, null)
      return
    }
    const [name = 'n'] = random.some(this.#columns.slice(2))
    await this.#run(
      `UPDATE shop.orders SET n = ${++this.#n}, ${name} = ${this.#value(name)} ${where}`,
    )
    await this.#see(some)
  }

  /** A column that is there from now on, for the rows there are by its default. */
  async addColumn(): Promise<void> {
    await this.#run(`ALTER TABLE shop.orders ADD COLUMN extra ${HISTORY_COLUMNS['extra']?.type}`)
    this.#columns.push('extra')
  }

  async dropColumn(name: string): Promise<void> {
    await this.#run(`ALTER TABLE shop.orders DROP COLUMN ${name}`)
    this.#columns = this.#columns.filter((one) => one !== name)
  }

  /** The rows that are left are those that the table has. */
  async expectWhole(): Promise<void> {
    const rows = await this.#select('')
    const left = [...this.byKey].filter(([, all]) => all.at(-1) !== null).map(([key]) => key)
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(left))
  }

  async #insert(): Promise<void> {
    const id = this.#random.pick(this.#freeKeys())
    const names = this.#columns.slice(2)
    const values = names.map((name) => this.#value(name))
    await this.#run(
      `INSERT INTO shop.orders (id, n, ${names.join()})
       VALUES (${id}, ${++this.#n}, ${values.join()})`,
    )
    await this.#see([id])
  }

  #freeKeys(): string[] {
    return KEYS.filter((key) => (this.byKey.get(key)?.at(-1) ?? null) === null)
  }

  async #moveKey(from: string): Promise<void> {
    const to = String(1000 + ++this.#n)
    await this.#run(`UPDATE shop.orders SET id = ${to} WHERE id = ${from}`)
    this.#tell(from, null)
    await this.#see([to])
  }

  async #see(keys: readonly string[]): Promise<void> {
    for (const row of await this.#select(`WHERE id IN (${keys.join()})`)) {
      this.#tell(row['id'] ?? '', row)
    }
  }

  #tell(key: string, row: NeutralRow | null): void {
    this.byKey.set(key, [...(this.byKey.get(key) ?? []), row])
  }

  async #select(where: string): Promise<NeutralRow[]> {
    const shown = this.#columns.map((name) => {
      const kind = HISTORY_COLUMNS[name]?.kind ?? 'text'
      return `${name === 'span' ? SPAN : RENDERED[kind](name)} AS ${name}`
    })
    const rows = await this.#run(`SELECT ${shown.join()} FROM shop.orders ${where} ORDER BY id`)
    return rows.map((row) => {
      const cells = Object.entries(row).map(([name, cell]) => {
        return [name, cell === null ? null : `${cell as string | number}`] as const
      })
      return Object.fromEntries(cells)
    })
  }

  #value(name: string): string {
    return this.#random.pick(HISTORY_COLUMNS[name]?.values ?? ['NULL'])
  }

  async #run(sql: string): Promise<SqlRow[]> {
    return queryMysql(this.#server.uri(), `SET time_zone = '+00:00'; ${sql}`)
  }
}

/** A row that was read from flat JSON, without ever making a double of a whole number. */
export function neutralOfJson(text: string): NeutralRow {
  const parsed = JSON.parse(text, (_, value: unknown, context?: { source: string }) => {
    return typeof value === 'number' ? context?.source : value
  }) as Record<string, string | null>
  return Object.fromEntries(Object.entries(parsed).map(([name, cell]) => [name, told(name, cell)]))
}

function told(name: string, cell: string | null): string | null {
  if (cell === null) return null
  switch (HISTORY_COLUMNS[name]?.kind) {
    case 'double':
      return String(Number(cell))
    case 'float':
      return String(Math.fround(Number(cell)))
    case 'binary':
      return Buffer.from(cell, 'base64').toString('hex')
    case 'date':
      return String(Date.parse(`${cell}T00:00:00Z`) / 86_400_000)
    case 'moment': {
      const [, day = '', clock = '', digits = ''] =
        /^(.+)T(\d\d:\d\d:\d\d)\.?(\d*)Z?$/.exec(cell) ?? []
      const seconds = BigInt(Date.parse(`${day}T${clock}Z`) / 1000)
      return String(seconds * (US_OF_DAY / 86_400n) + BigInt(digits.padEnd(6, '0')))
    }
    default:
      return cell
  }
}
