// `millrace types`: the columns of each table, from the source through its transform to the lake.

import { lakeFields } from '../../../connectors/parquet/table/fields.ts'
import { errorCodes } from '../../base/error-codes.ts'
import type { SourceColumn, SourceTable } from '../../data/schema.ts'
import { formatType, type ColumnType } from '../../data/type.ts'
import { loadPipeline } from '../../job/config/load.ts'
import type { SinkMode } from '../../job/config/pipeline-config.ts'
import { type AddCommand, print } from '../context.ts'
import { printable } from '../failure.ts'
import { collect, flag } from '../options.ts'
import { errorJson, formatSampleError } from '../sample-text.ts'
import type { TableSample } from '../sampling.ts'

const WIDTH_MAX = 40

export const addTypes: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('types')
    .description('print the columns of each table at each stage, from source to lake')
    .argument('<file>', 'pipeline file')
    .addOption(
      flag('--table <name>', 'table as schema.table; may be given several times')
        .argParser(collect)
        .default([]),
    )
    .action(async (file: string, options: { table: string[] }, command) => {
      const config = loadPipeline(file, terminal.env)
      const tables = options.table.length === 0 ? null : options.table
      const wish = { tables, tablesMax: Infinity, rows: 0 }
      const { samples } = await wiring.sample(config, wish)
      const { mode } = config.sink
      print(context, command, { mode, tables: samples.map((one) => stagesJson(one, mode)) }, () =>
        samples.map((one) => formatStages(one, mode)).join('\n'),
      )
      const exits = samples.map(({ error }) => (error === null ? 0 : errorCodes[error.error].exit))
      context.setExitCode(Math.max(0, ...exits))
    })
}

interface Stage {
  readonly name: string
  /** As the source spells it; '' where the column is not the source's. */
  readonly sourceType: string
  /** As the pipeline carries it; '' where the column is not the source's. */
  readonly carried: string
  /** What the transform makes of it; '' where it is as it was. */
  readonly transform: string
  /** '': it is not in the lake. */
  readonly lake: string
}

/** By column of the lake, then those of the source that do not get there. */
function stagesOf(sample: TableSample, mode: SinkMode): Stage[] {
  const { source, output, lake } = sample
  const columns = source?.columns ?? []
  const used = new Set<SourceColumn>()
  const stages = (lake === null ? [] : lakeFields(lake, mode)).map((field): Stage => {
    const left = output?.columns.find(({ name }) => name === field.name)
    const same = columns.find(({ identity }) => identity === left?.identity)
    const from = same ?? columns.find(({ name }) => name === field.name)
    if (from !== undefined) used.add(from)
    const computed = left === undefined ? 'of the sink' : typed(left.type, left.nullable)
    const renamed = from !== undefined && from.name !== field.name ? `from ${from.name}` : ''
    return {
      name: field.name,
      sourceType: from?.sourceType ?? '',
      carried: from === undefined ? '' : typed(from.type, from.nullable),
      transform: same === undefined ? computed : renamed,
      lake: typed(field.type, field.nullable),
    }
  })
  const lost = columns.filter((column) => !used.has(column))
  return [
    ...stages,
    ...lost.map(({ name, sourceType, type, nullable }) => {
      const carried = typed(type, nullable)
      return { name, sourceType, carried, transform: output === null ? '' : 'left out', lake: '' }
    }),
  ]
}

function typed(type: ColumnType, nullable: boolean): string {
  return `${formatType(type)}${nullable ? '' : ' not null'}`
}

function keyOf(table: SourceTable | null): readonly string[] | null {
  const names = table?.key?.map(
    (identity) => table.columns.find((column) => column.identity === identity)?.name,
  )
  return names?.map((name) => name ?? '?') ?? null
}

function stagesJson(sample: TableSample, mode: SinkMode): object {
  const { table, into, source, output } = sample
  return {
    table,
    into,
    source_key: keyOf(source),
    key: keyOf(output),
    columns: stagesOf(sample, mode).map(({ name, sourceType, carried, transform, lake }) => ({
      name,
      source_type: sourceType || null,
      type: carried || null,
      transform: transform || null,
      lake_type: lake || null,
    })),
    error: errorJson(sample),
  }
}

function formatStages(sample: TableSample, mode: SinkMode): string {
  const { table, into, output, source } = sample
  const key = keyOf(output ?? source)
  const renamed = into === table ? '' : ` -> ${into}`
  const known = source === null && sample.error === null ? '; no record tells its columns yet' : ''
  const head = `${table}${renamed}  ${mode}; ${key === null ? 'no key' : `key ${key.join(', ')}`}`
  const rows = [
    ['', 'source', 'type', 'transform', 'lake'],
    ...stagesOf(sample, mode).map(({ name, sourceType, carried, transform, lake }) => [
      name,
      sourceType,
      carried,
      transform || '=',
      lake || '-',
    ]),
  ]
  const widths = rows[0]?.map((_, at) => widest(rows.map((row) => row[at] ?? ''))) ?? []
  const lines = rows.map((row) => {
    const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0))
    return `    ${cells.join('  ')}`.trimEnd()
  })
  const shown = rows.length === 1 ? [] : lines
  return [...[`${head}${known}`, ...shown].map(printable), ...formatSampleError(sample)].join('\n')
}

function widest(texts: readonly string[]): number {
  return Math.min(WIDTH_MAX, Math.max(0, ...texts.map((text) => text.length)))
}
