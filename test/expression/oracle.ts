// Differential tests of expressions: the same inputs (inputs.ts) through our code, in batches of
// odd sizes, and through DuckDB in one query. A case is a line: our expression, theirs, and where
// we differ on purpose the name of the difference (runtime/data/expression/differences.ts).

import { expect } from 'vitest'
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  FLOAT,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  blobValue,
  DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBUUIDValue,
  INTEGER,
  LIST,
  listValue,
  VARCHAR,
  type DuckDBConnection,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api'
import { columnBuilder } from '../../runtime/data/column/builder.ts'
import type { Column } from '../../runtime/data/column/column.ts'
import { putValue, valueAt, type ColumnValue } from '../../runtime/data/expression/column-value.ts'
import { compileExpressions } from '../../runtime/data/expression/compile.ts'
import type { DifferenceName } from '../../runtime/data/expression/differences.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { INPUT_ROWS, inputs, inputValues } from './inputs.ts'

export interface OracleCase {
  /** Ours, over the columns of inputs.ts. */
  readonly ours: string
  /** DuckDB's. Default: the same. */
  readonly theirs?: string
  /** DuckDB may fail: an error there is null. Thousands of them take seconds. */
  readonly fails?: true
  /** Largest relative difference of doubles; default 0: the same bits, but for the sign of 0. */
  readonly tolerance?: number
  readonly differs?: {
    readonly name: DifferenceName
    /** The rows that may differ, by their inputs; the others must agree. */
    readonly where: (row: InputRow) => boolean
  }
  /** Of the pipeline; both sides have it. */
  readonly zone?: string
}

/** The inputs of one row by the name of the column. */
export type InputRow = Readonly<Record<string, ColumnValue>>

const SEED = Number(process.env['ORACLE_SEED'] ?? 1)
const values = inputValues(SEED)

/** Odd on purpose: results must not depend on where a batch ends. */
const BATCHES = [1, 7, 1024, 2500, 4096, 63, 2000, 8]

interface Batch {
  readonly start: number
  readonly rows: number
  readonly columns: readonly Column[]
}

let batches: readonly Batch[] | null = null

function inputBatches(): readonly Batch[] {
  if (batches !== null) return batches
  const made: Batch[] = []
  for (let start = 0, next = 0; start < INPUT_ROWS; next++) {
    const rows = Math.min(BATCHES[next % BATCHES.length]!, INPUT_ROWS - start)
    const columns = inputs.map(({ type }, index) => {
      const builder = columnBuilder(type)
      for (let row = 0; row < rows; row++) putValue(builder, row, values[index]![start + row]!)
      return builder.view(rows)
    })
    made.push({ start, rows, columns })
    start += rows
  }
  return (batches = made)
}

const columns = inputs.map(({ name, type, required }) => ({
  name,
  type,
  nullable: required !== true,
}))

/** What our side says of each row, and of what type; an error is null, and counted. */
export function evaluateOurs(
  expression: string,
  zone = 'UTC',
): { readonly values: ColumnValue[]; readonly type: ColumnType; readonly failed: Set<number> } {
  const compiled = compileExpressions(columns, { projection: `${expression} AS result` }, { zone })
  const results: ColumnValue[] = []
  const failed = new Set<number>()
  for (const batch of inputBatches()) {
    const { columns: outputs, failures } = compiled.evaluate(batch.columns, batch.rows)
    for (let row = 0; row < batch.rows; row++) results.push(valueAt(outputs[0]!, row))
    for (const row of failures.byRow().keys()) failed.add(batch.start + row)
  }
  const [output] = compiled.columns
  const { nullable, type } = output!
  const wrong = results.findIndex((value, row) => value === null && !nullable && !failed.has(row))
  expect(wrong, `${expression} is declared not null`).toBe(-1)
  return { values: results, type, failed }
}

function duckValue(type: ColumnType, value: ColumnValue): DuckDBValue {
  if (value === null) return null
  switch (type.kind) {
    case 'int':
      return Number(value)
    case 'decimal':
      return new DuckDBDecimalValue(value as bigint, type.precision, type.scale)
    case 'date':
      return new DuckDBDateValue(Number(value))
    case 'time':
      return new DuckDBTimeValue(value as bigint)
    case 'timestamp':
      return new DuckDBTimestampValue(value as bigint)
    case 'timestamptz':
      return new DuckDBTimestampTZValue(value as bigint)
    case 'uuid':
      return DuckDBUUIDValue.fromUint128(
        BigInt(`0x${Buffer.from(value as Uint8Array).toString('hex')}`),
      )
    case 'binary':
      return blobValue(value as Uint8Array)
    case 'list':
      return listValue((value as ColumnValue[]).map((one) => duckValue(type.element, one)))
    default:
      return value as DuckDBValue
  }
}

const CHUNK_ROWS = 2048

const DUCK_TYPES: Readonly<Record<string, DuckDBType>> = {
  boolean: BOOLEAN,
  int: INTEGER,
  long: BIGINT,
  float: FLOAT,
  double: DOUBLE,
  date: DATE,
  time: TIME,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMPTZ,
  string: VARCHAR,
  uuid: UUID,
  binary: BLOB,
}

function duckType(type: ColumnType): DuckDBType {
  if (type.kind === 'list') return LIST(duckType(type.element))
  return type.kind === 'decimal' ? DECIMAL(type.precision, type.scale) : DUCK_TYPES[type.kind]!
}

export class Oracle {
  private readonly connection: DuckDBConnection

  private constructor(connection: DuckDBConnection) {
    this.connection = connection
  }

  static async open(): Promise<Oracle> {
    const instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    await connection.run('SET threads = 1')
    const list = inputs.map(({ name, type }) => `"${name}" ${duckType(type).toString()}`).join(', ')
    await connection.run(`CREATE TABLE t (number INTEGER, ${list})`)
    const appender = await connection.createAppender('t')
    const types = [INTEGER, ...inputs.map(({ type }) => duckType(type))]
    for (let start = 0; start < INPUT_ROWS; start += CHUNK_ROWS) {
      const end = Math.min(start + CHUNK_ROWS, INPUT_ROWS)
      const chunk = DuckDBDataChunk.create(types, end - start)
      chunk.setColumns([
        Array.from({ length: end - start }, (_, row) => start + row),
        ...inputs.map(({ type }, index) =>
          values[index]!.slice(start, end).map((value) => duckValue(type, value)),
        ),
      ])
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
    return new Oracle(connection)
  }

  async evaluate(expression: string, fails = false): Promise<DuckDBValue[]> {
    const value = fails ? `TRY(${expression})` : expression
    const sql = `SELECT ${value} FROM t ORDER BY number`
    const reader = await this.connection.runAndReadAll(sql)
    return [...(reader.getColumns()[0] ?? [])]
  }

  /** Runs one case. @throws with the first rows that differ */
  async check(one: OracleCase): Promise<void> {
    const ours = evaluateOurs(one.ours, one.zone)
    await this.connection.run(`SET TimeZone = '${one.zone ?? 'UTC'}'`)
    const theirs = await this.evaluate(one.theirs ?? one.ours, one.fails)
    const wrong: string[] = []
    let declared = 0
    for (let row = 0; row < INPUT_ROWS; row++) {
      const mine = ours.values[row]!
      const other = theirs[row]!
      if (sameValue(ours.type, mine, other, one.tolerance ?? 0)) continue
      const inputsOfRow = rowOf(row)
      if (one.differs?.where(inputsOfRow) === true) declared++
      else wrong.push(describe(one, inputsOfRow, ours.failed.has(row), ours.type, mine, other))
    }
    expect(wrong.slice(0, 5).join('\n'), `${wrong.length} rows differ`).toBe('')
    // A difference that no row shows is none.
    if (one.differs !== undefined) expect(declared, one.differs.name).toBeGreaterThan(0)
  }
}

function rowOf(row: number): InputRow {
  return Object.fromEntries(inputs.map(({ name }, index) => [name, values[index]![row]!]))
}

function describe(
  { ours }: OracleCase,
  row: InputRow,
  failed: boolean,
  type: ColumnType,
  mine: ColumnValue,
  other: DuckDBValue,
): string {
  const used = Object.entries(row).filter(([name]) => RegExp(`\\b${name}\\b`).test(ours))
  const list = used.map(([name, value]) => `${name}=${show(value)}`).join(' ')
  const own = failed ? 'an error' : canonical(type, mine)
  return `${list}: ${own}, DuckDB ${canonicalTheirs(type, other)}`
}

function show(value: ColumnValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return Array.isArray(value) ? `[${value.map(show).join()}]` : String(value)
}

function sameValue(
  type: ColumnType,
  mine: ColumnValue,
  other: DuckDBValue,
  tolerance: number,
): boolean {
  if (mine === null || other === null) return mine === other
  if ((type.kind === 'double' || type.kind === 'float') && tolerance > 0) {
    const [a, b] = [mine as number, Number(other)]
    if (Number.isFinite(a) && Number.isFinite(b)) {
      return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b))
    }
  }
  return canonical(type, mine) === canonicalTheirs(type, other)
}

function decimalText(value: bigint, scale: number): string {
  const text = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const point = text.length - scale
  const fraction = text.slice(point).replace(/0+$/, '')
  return `${value < 0n ? '-' : ''}${text.slice(0, point)}${fraction === '' ? '' : `.${fraction}`}`
}

function canonical(type: ColumnType, value: ColumnValue): string {
  if (value === null) return 'null'
  if (type.kind === 'list') {
    return `[${(value as ColumnValue[]).map((one) => canonical(type.element, one)).join()}]`
  }
  if (type.kind === 'decimal') return decimalText(value as bigint, type.scale)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function canonicalTheirs(type: ColumnType, value: DuckDBValue): string {
  if (value === null || value === undefined) return 'null'
  if (value instanceof DuckDBDecimalValue) return decimalText(value.value, value.scale)
  if (value instanceof DuckDBDateValue) return String(value.days)
  if (value instanceof DuckDBTimeValue) return String(value.micros)
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) {
    return String(value.micros)
  }
  if (value instanceof DuckDBUUIDValue) return value.toUint128().toString(16).padStart(32, '0')
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && 'items' in value) {
    const element = type.kind === 'list' ? type.element : type
    const items = value.items
    return `[${items.map((one) => canonicalTheirs(element, one)).join()}]`
  }
  if (typeof value === 'object' && 'bytes' in value) {
    return Buffer.from(value.bytes).toString('hex')
  }
  return String(value)
}
