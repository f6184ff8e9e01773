// `millrace plan`: what the next run of a pipeline file would do otherwise than the last one.

import { errorCodes } from '../../base/error-codes.ts'
import { formatCount } from '../../console/progress.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { type AddCommand, print } from '../context.ts'
import { printable } from '../failure.ts'
import { hasChanges, isChanged, type PipelinePlan, type TablePlan } from '../planning.ts'
import { shellWord } from '../query-hints.ts'

/** As `terraform plan -detailed-exitcode` has one of its own: a script can tell it from failure. */
const EXIT_CHANGES = 10

export const addPlan: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('plan')
    .description('show what the next run would do otherwise than the last; exit 10 if anything')
    .argument('<file>', 'pipeline file')
    .action(async (file: string, _options, command) => {
      const config = loadPipeline(file, terminal.env)
      const plan = await wiring.plan(config)
      const changes = hasChanges(plan)
      print(context, command, planJson(plan), () => formatPlan(plan, file))
      if (changes) context.setExitCode(EXIT_CHANGES)
    })
}

function planJson(plan: PipelinePlan): object {
  const { epoch, refused, tables } = plan
  return {
    changes: hasChanges(plan),
    epoch,
    refused: refused.map((error) => ({ code: errorCodes[error.error].code, ...error })),
    tables: tables.map(({ copies, rows, ...table }) => ({
      ...table,
      backfill: copies,
      estimated_rows: rows,
    })),
  }
}

const MARKS = { KEEP: '=', ADD: '+', REBACKFILL: '~', REMOVE: '-' } as const

function formatPlan(plan: PipelinePlan, file: string): string {
  const { epoch, refused, tables } = plan
  const head = epoch === null ? 'the first run' : `after epoch ${epoch}`
  const refusals = refused.flatMap(({ error, message, hint }) => [
    `✗ the run is refused: ${errorCodes[error].code} ${message}`,
    `    fix: ${hint.replace(/\bFILE\b/g, () => shellWord(file))}`,
  ])
  const changed = tables.filter(isChanged)
  const kept = tables.length - changed.length
  const shown = tables.filter((table) => isChanged(table) || table.notes.length > 0)
  const same = kept === 0 ? [] : [`= ${kept} tables go on as they are`]
  const lines = [...refusals, ...shown.map((table) => formatTablePlan(table, file)), ...same]
  const destructive = tables.some(({ notes }) => notes.some((one) => one.destructive))
  const warning = destructive ? '; what is marked with ! is lost to readers of the lake' : ''
  const end = hasChanges(plan) ? `${changed.length} tables change${warning}` : 'nothing changes'
  return printable([head, ...lines, end].join('\n'))
}

function formatTablePlan(plan: TablePlan, file: string): string {
  const { table, into, action, notes } = plan
  const renamed = into === table ? '' : ` -> ${into}`
  const head = `${MARKS[action]} ${table}${renamed}  ${action}${described(plan)}`
  const lines = notes.map(({ kind, message, destructive }) => {
    return `    ${destructive ? '! ' : ''}${kind}: ${message}`
  })
  const resync = notes.some(({ message }) => message.includes('until it is resynced'))
  const fix = `    fix: millrace resync ${shellWord(file)} --table ${shellWord(table)}`
  return [head, ...lines, ...(resync ? [fix] : [])].join('\n')
}

function described({ action, copies, rows }: TablePlan): string {
  if (action === 'REMOVE') return ': takes no more rows, the lake keeps those that it has'
  if (action === 'KEEP') return ''
  if (!copies) return ': from the log alone'
  return rows === null ? ', backfill of its rows' : `, backfill of ~${formatCount(rows)} rows`
}
