// `millrace preview`: some rows of the source as they would stand in the lake. Reads and prints;
// nothing is written, and nothing is left on the server.

import { errorCodes } from '../../base/error-codes.ts'
import { PipelineError } from '../../base/errors.ts'
import { OP_LETTERS } from '../../data/batch.ts'
import { formatType } from '../../data/type.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { type AddCommand, globalOptions } from '../context.ts'
import { printable } from '../failure.ts'
import { collect, flag } from '../options.ts'
import type { SampledBatch, TableSample } from '../sampling.ts'
import { errorJson, formatSampleError } from '../sample-text.ts'
import { valueText } from '../verify/value-text.ts'

const ROWS_MAX = 10_000
const TABLES_MAX = 20
/** Longer values are cut for people; `--json` has them whole. */
const CELL_WIDTH_MAX = 40

interface Options {
  readonly table: string[]
  readonly rows: string
}

export const addPreview: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('preview')
    .description('print rows of the source as the lake would have them; write nothing')
    .argument('<file>', 'pipeline file')
    .addOption(flag('--rows <n>', 'rows of each table').default('20'))
    .addOption(
      flag('--table <name>', 'table as schema.table; may be given several times')
        .argParser(collect)
        .default([]),
    )
    .action(async (file: string, options: Options, command) => {
      const rows = parseRows(options.rows)
      const config = loadPipeline(file, terminal.env)
      const tables = options.table.length === 0 ? null : options.table
      const tablesMax = tables?.length ?? TABLES_MAX
      const { samples, more } = await wiring.sample(config, { tables, tablesMax, rows })
      if (globalOptions(command).json) terminal.out(samplesJson(samples, rows, more))
      else terminal.out(samplesText(samples, rows, more))
      const exits = samples.map(({ error }) => (error === null ? 0 : errorCodes[error.error].exit))
      context.setExitCode(Math.max(0, ...exits))
    })
}

function parseRows(text: string): number {
  const rows = Number(text)
  if (/^\d{1,6}$/.test(text) && rows >= 1 && rows <= ROWS_MAX) return rows
  throw new PipelineError('CONFIG_VALUE', `--rows ${text} is not a number of rows`, {
    hint: `Give a number from 1 to ${ROWS_MAX}.`,
  })
}

/** One row: what happened to it, and the text of each value. */
interface Row {
  readonly op: string
  readonly values: readonly string[]
}

/** Rows of one structure of a table: a topic may change it between two records. */
interface Part {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly Row[]
}

function partsOf(batches: readonly SampledBatch[], rowsMax: number): Part[] {
  const parts: { columns: Part['columns']; rows: Row[] }[] = []
  let left = rowsMax
  let last: SampledBatch['schema'] | null = null
  for (const { schema, batch } of batches) {
    if (schema !== last) {
      const columns = schema.fields.map(({ name, type }) => ({ name, type: formatType(type) }))
      parts.push({ columns, rows: [] })
    }
    last = schema
    const rows = parts.at(-1)?.rows ?? []
    for (let row = 0; row < batch.rows && left > 0; row++, left--) {
      const values = batch.columns.map((column) => valueText(column, row))
      rows.push({ op: OP_LETTERS[batch.ops[row] ?? 0] ?? '', values })
    }
  }
  return parts.filter(({ rows }) => rows.length > 0)
}

/** Values are JSON already, digits of long numbers included: they are not read as numbers here. */
function samplesJson(samples: readonly TableSample[], rowsMax: number, more: number): string {
  const tables = samples.map((sample) => {
    const { table, into, rowsRead, cut } = sample
    const facts = { table, into, read: rowsRead, cut, error: errorJson(sample) }
    const rows = partsOf(sample.batches, rowsMax).flatMap(({ columns, rows: own }) =>
      own.map(({ op, values }) => {
        const pairs = values.map((text, at) => `${JSON.stringify(columns[at]?.name)}:${text}`)
        return `{"op":"${op}","values":{${pairs.join(',')}}}`
      }),
    )
    return `${JSON.stringify(facts).slice(0, -1)},"rows":[${rows.join(',')}]}`
  })
  return `{"tables":[${tables.join(',')}],"more":${more}}`
}

function samplesText(samples: readonly TableSample[], rowsMax: number, more: number): string {
  const texts = samples.map((sample) => formatSample(sample, rowsMax))
  const rest = more === 0 ? [] : [`${more} more tables: choose by --table`]
  return [...texts, ...rest].join('\n')
}

function formatSample(sample: TableSample, rowsMax: number): string {
  const { table, into, rowsRead, cut } = sample
  const parts = partsOf(sample.batches, rowsMax)
  const shown = parts.reduce((sum, { rows }) => sum + rows.length, 0)
  const renamed = into === table ? '' : ` -> ${into}`
  const late = cut ? '; time was up before all were there' : ''
  const head = `${table}${renamed}  ${shown} rows of the first ${rowsRead}${late}`
  const lines = parts.flatMap((part) => formatPart(part))
  return [printable(head), ...lines.map(printable), ...formatSampleError(sample)].join('\n')
}

function formatPart({ columns, rows }: Part): string[] {
  const grid = [
    ['op', ...columns.map(({ name }) => name)],
    ...rows.map(({ op, values }) => [op, ...values.map(cutCell)]),
  ]
  const widths = grid[0]?.map((_, at) => Math.max(...grid.map((row) => row[at]?.length ?? 0))) ?? []
  return grid.map((row) => {
    const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0))
    return `    ${cells.join('  ')}`.trimEnd()
  })
}

function cutCell(text: string): string {
  return text.length <= CELL_WIDTH_MAX ? text : `${text.slice(0, CELL_WIDTH_MAX - 3)}...`
}
