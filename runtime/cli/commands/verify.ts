// `millrace verify`: whether the lake holds what the source holds.

import { errorCodes } from '../../base/error-codes.ts'
import type { ErrorName } from '../../base/errors.ts'
import { formatCount } from '../../console/progress.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { type AddCommand, globalOptions, print } from '../context.ts'
import { printable } from '../failure.ts'
import { collect, flag } from '../options.ts'
import { shellWord } from '../query-hints.ts'
import type { Repair, TableVerdict } from '../wiring.ts'

export const addVerify: AddCommand = (program, context) => {
  const { terminal } = context
  const { verify } = context.wiring
  if (verify === null) return
  program
    .command('verify')
    .description('compare the lake with the source, row by row')
    .argument('<file>', 'pipeline file')
    .addOption(
      flag('--table <name>', 'table as schema.table; may be given several times')
        .argParser(collect)
        .default([]),
    )
    .action(async (file: string, options: { table: string[] }, command) => {
      const config = loadPipeline(file, terminal.env)
      const tables = options.table.length === 0 ? null : options.table
      const { json } = globalOptions(command)
      const notice = (text: string): void => {
        if (!json) terminal.err(printable(text))
      }
      const verdicts = await verify(config, tables, notice)
      const equal = verdicts.every((verdict) => verdict.equal)
      print(context, command, { equal, tables: verdicts.map(verdictJson) }, () =>
        verdicts.map((verdict) => formatVerdict(verdict, file)).join('\n'),
      )
      context.setExitCode(exitOf(verdicts))
    })
}

/** Rows that differ weigh more than tables that could not be compared. */
function exitOf(verdicts: readonly TableVerdict[]): number {
  if (verdicts.some(({ differences }) => differences > 0)) return exitCodeOf('VERIFY_MISMATCH')
  return Math.max(0, ...verdicts.map(({ reason }) => (reason ? exitCodeOf(reason.error) : 0)))
}

function exitCodeOf(error: ErrorName): number {
  return errorCodes[error].exit
}

function verdictJson(verdict: TableVerdict): object {
  const { table, equal, sourceRows, lakeRows, differences, undecided } = verdict
  const { examples, verifiedThrough, note, repair, reason } = verdict
  return {
    table,
    equal,
    source_rows: sourceRows,
    lake_rows: lakeRows,
    differences,
    undecided,
    examples,
    verified_through: verifiedThrough,
    note,
    repair,
    reason: reason === null ? null : { code: errorCodes[reason.error].code, ...reason },
  }
}

const FIXES: Readonly<Record<Repair, (file: string, table: string) => string>> = {
  // What a lake that is behind lacks may only be on its way: a resync would read it all again.
  run: (file, table) =>
    `millrace run ${file} --once, then verify again; ` +
    `what differs even then: millrace resync ${file} --table ${table}`,
  wait: (file) => `millrace status ${file} shows what it waits for; then verify again`,
  resync: (file, table) => `millrace resync ${file} --table ${table}`,
  history: (file, table) =>
    `nothing, where only such rows are missing; ` +
    `millrace resync ${file} --table ${table} would copy them as well`,
}

function formatVerdict(verdict: TableVerdict, file: string): string {
  const { table, equal, sourceRows, lakeRows, differences, examples, reason } = verdict
  if (reason !== null) {
    const { code } = errorCodes[reason.error]
    const hint = reason.hint
      .replace(/\bFILE\b/g, () => shellWord(file))
      .replace(/\bTABLE\b/g, () => shellWord(table))
    return printable(`? ${table}  not compared: ${code} ${reason.message}\n    fix: ${hint}`)
  }
  const rows =
    equal || sourceRows === lakeRows
      ? `${formatCount(sourceRows)} rows`
      : `${sourceRows} rows in the source, ${lakeRows} in the lake`
  const { verifiedThrough, undecided, note, repair } = verdict
  const fixes =
    repair === null ? [] : [`    fix: ${FIXES[repair](shellWord(file), shellWord(table))}`]
  const through = verifiedThrough === null ? '' : `, verified through ${verifiedThrough}`
  const count = differences > examples.length ? [`    ${differences} differ, among them`] : []
  const busy =
    undecided === 0 ? [] : [`    ${undecided} rows changed in every round and were not compared`]
  const notes = note === null ? [] : [`    ${note}`]
  const head = `${equal ? '✔' : '✗'} ${table}  ${rows}${through}`
  const lines = examples.map((example) => `    ${example}`)
  return printable([head, ...count, ...lines, ...busy, ...notes, ...fixes].join('\n'))
}
