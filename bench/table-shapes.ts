// The tables that a benchmark can have, all by the name `orders`, and what goes into them: the
// usual one, one with few columns, one with many, one with large values. Rows depend on their ids.

import { FINGERPRINT_COLUMNS } from './lake-check.ts'
import { copyText, generator, insertValues, MYSQL_TABLE, POSTGRES_TABLE } from './orders.ts'

export interface TableShape {
  readonly columns: number
  readonly createPostgres: string
  readonly createMysql: string
  /** Rows `first`...`first + count - 1` for COPY orders FROM STDIN. */
  copyText(first: number, count: number): string
  /** The same rows for INSERT INTO orders VALUES. */
  insertValues(first: number, count: number): string
  /** Aggregates that DuckDB and both servers write in one way. */
  readonly fingerprint: readonly string[]
  /** Of one statement, so that it stays within what a server takes. */
  readonly statementRowsMax: number
  /** A benchmark of the usual table takes so many times as many rows. */
  readonly fewer: number
}

interface Column {
  readonly name: string
  readonly postgres: string
  readonly mysql: string
  /** ASCII without quotes, tabs and backslashes; numbers as they are written. */
  readonly value: (random: (limit: number) => number) => number | string
  /** Aggregates that say whether its values have arrived. */
  readonly aggregates: readonly string[]
}

const STATEMENT_ROWS_MAX = 1000
const LARGE_STATEMENT_ROWS_MAX = 50
const LARGE_BYTES = 100_000
const LARGE_PIECES = 4096
const LARGE_PIECE_BYTES = 500
const WIDE_GROUPS = 33

const usual: TableShape = {
  columns: 10,
  createPostgres: POSTGRES_TABLE,
  createMysql: MYSQL_TABLE,
  copyText,
  insertValues,
  fingerprint: FINGERPRINT_COLUMNS,
  statementRowsMax: STATEMENT_ROWS_MAX,
  fewer: 1,
}

const narrow = shapeOf(
  [
    integer('customer', 200_000),
    decimal('amount'),
    {
      name: 'updated',
      postgres: 'timestamp NOT NULL',
      mysql: 'timestamp(6) NOT NULL',
      value: (random) => `2026-01-${10 + random(20)} 10:${10 + random(50)}:00.${random(1000)}`,
      aggregates: ['count(DISTINCT updated)'],
    },
  ],
  { statementRowsMax: STATEMENT_ROWS_MAX, fewer: 1 },
)

const wide = shapeOf(
  Array.from({ length: WIDE_GROUPS }, (_, at) => [
    integer(`n${at}`, 1_000_000),
    decimal(`d${at}`),
    text(`t${at}`, 'varchar(32)', (random) => `t${random(2 ** 31)}-${random(2 ** 31)}`),
  ]).flat(),
  { statementRowsMax: STATEMENT_ROWS_MAX, fewer: 10 },
)

const large = shapeOf(
  [
    integer('customer', 200_000),
    {
      ...text('body', 'text', largeText),
      mysql: 'mediumtext NOT NULL',
      aggregates: [
        'coalesce(sum(length(body)), 0)',
        'count(DISTINCT substr(body, 1, 1000))',
        // MySQL 9.7 has no md5() any more.
        ...[1, 50_000, LARGE_BYTES].map((at) => `coalesce(sum(ascii(substr(body, ${at}, 1))), 0)`),
      ],
    },
  ],
  { statementRowsMax: LARGE_STATEMENT_ROWS_MAX, fewer: 500 },
)

export const tableShapes = { usual, narrow, wide, large } as const

export type TableName = keyof typeof tableShapes

export function isTableName(name: string): name is TableName {
  return Object.hasOwn(tableShapes, name)
}

function integer(name: string, limit: number): Column {
  const aggregates = [`coalesce(sum(${name}), 0)`]
  const value: Column['value'] = (random) => random(limit)
  return { name, postgres: 'integer NOT NULL', mysql: 'int NOT NULL', value, aggregates }
}

function decimal(name: string): Column {
  return {
    name,
    postgres: 'numeric(12,2) NOT NULL',
    mysql: 'decimal(12,2) NOT NULL',
    value: (random) => `${random(100_000)}.${10 + random(90)}`,
    aggregates: [`coalesce(sum(${name}), 0.00)`],
  }
}

function text(name: string, type: string, value: Column['value']): Column {
  const declared = `${type} NOT NULL`
  const aggregates = [`coalesce(sum(length(${name})), 0)`, `count(DISTINCT ${name})`]
  return { name, postgres: declared, mysql: declared, value, aggregates }
}

let pieces: readonly string[] | null = null

/** Pieces that do not repeat inside, in an order that no other row has. */
function largeText(random: (limit: number) => number): string {
  pieces ??= Array.from({ length: LARGE_PIECES }, (_, at) => {
    const some = generator(at + 1)
    const words = Array.from({ length: LARGE_PIECE_BYTES / 5 }, () => some(36 ** 5).toString(36))
    return words.map((word) => word.padStart(5, '0')).join('')
  })
  let body = ''
  while (body.length < LARGE_BYTES) body += pieces[random(LARGE_PIECES)] ?? ''
  return body
}

function shapeOf(
  columns: readonly Column[],
  limits: Pick<TableShape, 'statementRowsMax' | 'fewer'>,
): TableShape {
  const create = (types: readonly string[]): string =>
    `CREATE TABLE orders (${['id bigint PRIMARY KEY', ...types].join(', ')})`
  const rows = (first: number, count: number, row: (id: number) => string): string[] =>
    Array.from({ length: count }, (_, at) => row(first + at))
  const values = (id: number): (number | string)[] => {
    const random = generator(id)
    return columns.map(({ value }) => value(random))
  }
  const quoted = (value: number | string): string =>
    typeof value === 'number' ? String(value) : `'${value}'`
  return {
    columns: columns.length + 1,
    createPostgres: create(columns.map(({ name, postgres }) => `${name} ${postgres}`)),
    createMysql: create(columns.map(({ name, mysql }) => `${name} ${mysql}`)),
    copyText: (first, count) =>
      rows(first, count, (id) => `${[id, ...values(id)].join('\t')}\n`).join(''),
    insertValues: (first, count) =>
      rows(first, count, (id) => `(${[id, ...values(id).map(quoted)].join()})`).join(),
    fingerprint: [
      'count(*)',
      'coalesce(sum(id), 0)',
      ...columns.flatMap(({ aggregates }) => aggregates),
      'count(DISTINCT id)',
    ],
    ...limits,
  }
}
