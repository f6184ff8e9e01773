// `tests` of a pipeline file: rows as a source would give them, and what is expected of them behind
// `transform` and `route`. `millrace test` runs them without a server.

import { z } from 'zod'
import { PipelineError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest.ts'
import { parseColumns } from '../../data/expression/parse/columns.ts'
import type { ConfigDocument } from './document.ts'
import type { FilePlace, Path } from './problems.ts'

export const TEST_OPS = ['c', 'u', 'd', 'r'] as const

const wanted = {
  name: 'a name such as "pii is masked"',
  table: 'a table such as shop.users',
  column: 'the name of a column',
  type: 'a type such as "long not null"',
  values: 'a block of column: value',
  rows: 'a list of rows such as { op: c, after: { id: 1 } }',
}

function text(what: string): z.ZodString {
  return z.string(what).min(1, what)
}

const values = z.record(text(wanted.column), z.unknown(), wanted.values)

const row = z.strictObject(
  {
    op: z.enum(TEST_OPS).describe('c insert, u update, d delete, r first copy.'),
    before: values.optional().describe('The row that was: of d, and of u where its key changes.'),
    after: values.optional().describe('The row that is: of c, u and r.'),
  },
  'a row such as { op: c, after: { id: 1 } }',
)

const rows = z.array(row, wanted.rows)

const entry = z.strictObject(
  {
    name: text(wanted.name),
    table: text(wanted.table).describe('Table of the source, as schema.table.'),
    columns: z
      .record(text(wanted.column), text(wanted.type), 'a block of column: type')
      .optional()
      .describe('Columns of the table. Default: as the state of the pipeline knows them.'),
    key: z
      .array(text(wanted.column), 'a list of column names')
      .min(1, 'a list of at least one column name')
      .optional()
      .describe('Key columns, where `columns` says the columns.'),
    input: rows.min(1, 'a list of at least one row'),
    output: z
      .union(
        [rows, z.record(text(wanted.table), rows)],
        `${wanted.rows}, or a block of lake tables`,
      )
      .describe('Rows that leave; a value may be /expression/ or any. By lake table, if you like.'),
    ordered: z.boolean('true or false').prefault(false).describe('The order of rows counts.'),
    description: text('a text').optional(),
  },
  'a block with `name`, `table`, `input` and `output`',
)

export const testsSchema = z
  .array(entry, 'a list of blocks')
  .prefault([])
  .describe('What `transform` and `route` make of rows; run by `millrace test`.')

type TestInput = z.output<typeof testsSchema>[number]

export interface TestRowConfig {
  readonly op: (typeof TEST_OPS)[number]
  /** By column, as YAML has them. */
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  /** `input[0]`. */
  readonly label: string
  readonly place: FilePlace
}

export interface TestConfig {
  readonly name: string
  /** As written; `tableKey`. */
  readonly table: string
  /** Column to type, as written; `null`: they are to be found elsewhere. */
  readonly columns: Readonly<Record<string, string>> | null
  readonly key: readonly string[] | null
  readonly input: readonly TestRowConfig[]
  /** Lake table that the rows must go to; `null`: any. */
  readonly into: string | null
  readonly output: readonly TestRowConfig[]
  readonly ordered: boolean
  readonly place: FilePlace
}

/** Reports what is wrong; what the transform makes of it only a run of the test tells. */
export function resolveTests(
  input: readonly TestInput[],
  document: ConfigDocument,
): readonly TestConfig[] {
  const names = new Set<string>()
  return input.map((test, index) => {
    const path = ['tests', index]
    const report = (at: Path, message: string, suggestion: string | null = null): void =>
      document.report([...path, ...at], {
        error: 'CONFIG_VALUE',
        message: `tests[${index}].${message}`,
        suggestion,
      })
    if (names.has(test.name)) report(['name'], `name: another test is called "${test.name}" too`)
    names.add(test.name)
    checkColumns(test, report)
    const { into, output, at } = outputOf(test, report)
    return {
      name: test.name,
      table: test.table,
      columns: test.columns ?? null,
      key: test.key ?? null,
      input: test.input.map((one, row) => rowOf(one, ['input', row], path, document, report)),
      into,
      output: output.map((one, row) => rowOf(one, [...at, row], path, document, report)),
      ordered: test.ordered,
      place: document.placeAt([...path, 'name']),
    }
  })
}

type ReportIn = (at: Path, message: string, suggestion?: string | null) => void

function checkColumns({ columns, key, input }: TestInput, report: ReportIn): void {
  if (columns === undefined) {
    if (key !== undefined) report(['key'], 'key needs `columns` beside it')
    return
  }
  const names = Object.keys(columns)
  for (const [name, type] of Object.entries(columns)) {
    try {
      parseColumns(columnText(name, type))
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      report(['columns', name], `columns.${name}: ${error.message}`)
    }
  }
  for (const [index, name] of (key ?? []).entries()) {
    if (names.includes(name)) continue
    report(['key', index], `key: there is no column "${name}"`, nearestName(name, names))
  }
  for (const [index, { before, after }] of input.entries()) {
    for (const [side, cells] of Object.entries({ before, after })) {
      for (const name of Object.keys(cells ?? {})) {
        if (names.includes(name)) continue
        const message = `input[${index}].${side}: there is no column "${name}"`
        report(['input', index, side, name], message, nearestName(name, names))
      }
    }
  }
}

/** @returns a column as `parseColumns` takes it */
export function columnText(name: string, type: string): string {
  return `"${name.replaceAll('"', '""')}" ${type}`
}

function outputOf(
  { output }: TestInput,
  report: ReportIn,
): { into: string | null; output: readonly z.output<typeof row>[]; at: Path } {
  if (Array.isArray(output)) return { into: null, output, at: ['output'] }
  const [first, ...others] = Object.entries(output)
  if (first === undefined || others.length > 0) {
    report(['output'], 'output names several lake tables, and rows of one table go to one')
  }
  const [into, own] = first ?? ['', []]
  return { into, output: own, at: ['output', into] }
}

function rowOf(
  { op, before, after }: z.output<typeof row>,
  at: Path,
  path: Path,
  document: ConfigDocument,
  report: ReportIn,
): TestRowConfig {
  const label = `${String(at[0])}[${String(at.at(-1))}]`
  const needs = op === 'd' ? 'before' : 'after'
  if (op === 'd' ? before === undefined : after === undefined) {
    report(at, `${label}: a row with op ${op} needs \`${needs}\``)
  }
  if (op === 'd' && after !== undefined) {
    report([...at, 'after'], `${label}: a deleted row has no \`after\``)
  }
  if ((op === 'c' || op === 'r') && before !== undefined) {
    report([...at, 'before'], `${label}: a new row has no \`before\``)
  }
  if (op === 'u' && before !== undefined && at[0] === 'output') {
    report([...at, 'before'], `${label}: an update leaves without the row of before`)
  }
  const place = document.placeAt([...path, ...at])
  return { op, before: before ?? null, after: after ?? null, label, place }
}
