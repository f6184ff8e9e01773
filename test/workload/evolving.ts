// A table whose structure changes at random: keeps the list of the columns that were added, so that
// the next statement is one that the server accepts.
import type { Random } from './random.ts'
import { allColumns, type WorkloadTable } from './table.ts'
import type { Draw } from './values.ts'

export interface AddableColumn {
  type: string
  draw: Draw
  /** A literal for DEFAULT. */
  constant: (random: Random) => string
}

interface Added {
  name: string
  column: AddableColumn
  /** Its type by now; a widening changes it. */
  type: string
  required: boolean
}

export interface EvolvingSpelling {
  rename: (table: string, from: string, to: string) => string
  retype: (table: string, column: string, type: string) => string
  setRequired: ((table: string, column: string, required: boolean) => string) | null
  /** FIRST and AFTER. */
  placements: boolean
}

const COLUMNS_MAX = 6

/** Widenings that Iceberg has as well, from the type in the source to a wider one. */
const WIDER: Readonly<Record<string, string>> = {
  integer: 'bigint',
  int: 'bigint',
  'numeric(8,2)': 'numeric(14,2)',
  'decimal(8,2)': 'decimal(14,2)',
  'varchar(12)': 'varchar(60)',
  real: 'double precision',
  float: 'double',
}

export const postgresSpelling: EvolvingSpelling = {
  rename: (table, from, to) => `ALTER TABLE ${table} RENAME COLUMN ${from} TO ${to}`,
  retype: (table, column, type) => `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${type}`,
  setRequired: (table, column, required) =>
    `ALTER TABLE ${table} ALTER COLUMN ${column} ${required ? 'SET' : 'DROP'} NOT NULL`,
  placements: false,
}

export const mysqlSpelling: EvolvingSpelling = {
  rename: (table, from, to) => `ALTER TABLE ${table} RENAME COLUMN ${from} TO ${to}`,
  retype: (table, column, type) => `ALTER TABLE ${table} MODIFY ${column} ${type}`,
  setRequired: null,
  placements: true,
}

export class EvolvingTable {
  private readonly name: string
  private readonly quoteName: (name: string) => string
  private readonly addable: readonly AddableColumn[]
  private readonly spelling: EvolvingSpelling
  private added: Added[] = []
  private next = 0

  constructor(
    name: string,
    quoteName: (name: string) => string,
    addable: readonly AddableColumn[],
    spelling: EvolvingSpelling = postgresSpelling,
  ) {
    this.name = quoteName(name)
    this.quoteName = quoteName
    this.addable = addable
    this.spelling = spelling
  }

  save(): readonly Added[] {
    return this.added.map((column) => ({ ...column }))
  }

  restore(saved: readonly Added[]): void {
    this.added = saved.map((column) => ({ ...column }))
  }

  /** Statements that change the structure once or twice. */
  change(random: Random): string[] {
    const count = random.chance(0.3) ? 2 : 1
    return Array.from({ length: count }, () => this.changeOnce(random)).flat()
  }

  /** Statements that write the columns of now. */
  write(random: Random, table: WorkloadTable): string[] {
    const names = [...allColumns(table), ...this.added.map(({ name }) => name)].map(this.quoteName)
    return Array.from({ length: random.int(1, 4) }, () => {
      const key = 1_000_000 + random.int(0, 60)
      const stable = table.columns.map(({ draw }) => draw(random))
      const values = this.added.map(({ column, required }) =>
        required || random.chance(0.8) ? column.draw(random) : 'NULL',
      )
      const where = `${this.quoteName('id')} = ${key}`
      if (random.chance(0.15)) return [`DELETE FROM ${this.name} WHERE ${where}`]
      const row = [String(key), ...stable, ...values].join(', ')
      return [
        `DELETE FROM ${this.name} WHERE ${where}`,
        `INSERT INTO ${this.name} (${names.join(', ')}) VALUES (${row})`,
      ]
    }).flat()
  }

  private changeOnce(random: Random): string[] {
    const target = this.added.length === 0 ? null : random.pick(this.added)
    if (target === null || (this.added.length < COLUMNS_MAX && random.chance(0.4))) {
      return this.add(random)
    }
    const name = this.quoteName(target.name)
    switch (random.int(0, 3)) {
      case 0:
        this.added = this.added.filter((column) => column !== target)
        return [`ALTER TABLE ${this.name} DROP COLUMN ${name}`]
      case 1: {
        target.name = this.newName(random)
        return [this.spelling.rename(this.name, name, this.quoteName(target.name))]
      }
      case 2:
        return this.widen(target)
      default:
        return this.relax(target)
    }
  }

  /** Now and then under a name that was dropped before: it is another column all the same. */
  private newName(random: Random): string {
    const reused = `added ${random.int(0, 8)}`
    const taken = this.added.some(({ name }) => name === reused)
    return taken || random.chance(0.5) ? `column_${this.next++}` : reused
  }

  private add(random: Random): string[] {
    const column = random.pick(this.addable)
    const name = this.newName(random)
    const kind = random.int(0, 2)
    const constant = kind === 0 ? '' : ` DEFAULT ${column.constant(random)}`
    const required = kind === 2
    const place = this.spelling.placements ? random.pick(['', '', ' FIRST', ' AFTER `n`']) : ''
    this.added.push({ name, column, type: column.type, required })
    const definition = `${column.type}${required ? ' NOT NULL' : ''}${constant}${place}`
    return [`ALTER TABLE ${this.name} ADD COLUMN ${this.quoteName(name)} ${definition}`]
  }

  private widen(target: Added): string[] {
    const wider = WIDER[target.type]
    if (wider === undefined) return []
    target.type = wider
    // MODIFY says all of a column: what it leaves out, NOT NULL and the default, goes.
    if (this.spelling.setRequired === null) target.required = false
    return [this.spelling.retype(this.name, this.quoteName(target.name), wider)]
  }

  /** NOT NULL goes; it comes only with a new column, for rows may hold nulls. */
  private relax(target: Added): string[] {
    const { setRequired } = this.spelling
    if (setRequired === null || !target.required) return []
    target.required = false
    return [setRequired(this.name, this.quoteName(target.name), false)]
  }
}
