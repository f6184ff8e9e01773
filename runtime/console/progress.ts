// The lines that a terminal shows of a running pipeline: one for the whole, one for each table.

import type { PipelineStatus, TablePhase, TableStatus } from './status.ts'

/** Those that somebody waits for, or must act on, stand above the ones that just run. */
const ORDER: readonly TablePhase[] = [
  'parked',
  'repairing',
  'backfill',
  'structure',
  'catching-up',
  'streaming',
  'dropped',
]

/**
 * @param columns   width of the terminal; longer lines are cut
 * @param linesMax  tables that do not fit are counted in the last line
 * @returns lines without control characters
 */
export function renderProgress(
  status: PipelineStatus,
  columns: number,
  linesMax = Infinity,
): readonly string[] {
  const nowMs = Date.parse(status.updated_at)
  const tables = [...status.table_list].sort(
    (left, right) =>
      ORDER.indexOf(left.phase) - ORDER.indexOf(right.phase) || compare(left.table, right.table),
  )
  const shown = tables.length + 1 <= linesMax ? tables : tables.slice(0, Math.max(0, linesMax - 2))
  const width = Math.min(40, Math.max(8, ...shown.map(({ table }) => table.length)))
  const lines = [headline(status), ...shown.map((table) => tableLine(table, status, width, nowMs))]
  const hidden = tables.length - shown.length
  if (hidden > 0 && linesMax > 1) lines.push(`  and ${hidden} more tables`)
  return lines.map((line) => cut(printable(line), columns))
}

function headline(status: PipelineStatus): string {
  const { state, tables, lag, checkpoint, commit, rates, error } = status
  const phases = ORDER.filter((phase) => tables[phase] > 0).map(
    (phase) => `${tables[phase]} ${phase}`,
  )
  const parts = [
    `${status.pipeline}  ${state}`,
    phases.length === 0 ? 'no tables yet' : phases.join(', '),
    `${formatCount(rates.read_rows)}/s`,
    `lag ${formatSeconds(lag.source_s)}`,
  ]
  if (checkpoint.last_id !== null) parts.push(`epoch ${checkpoint.last_id}`)
  if (commit.pending > 0) parts.push(`${commit.pending} pending`)
  if (error !== null) parts.push(error.message)
  return parts.join('  ')
}

function tableLine(
  table: TableStatus,
  status: PipelineStatus,
  width: number,
  nowMs: number,
): string {
  const name = cut(table.table, width).padEnd(width)
  const head = `  ${name} ${table.phase.padEnd(11)}`
  if (table.phase === 'parked') return `${head} ${table.reason?.message ?? ''}`
  const parts = [head, rowsOf(table).padEnd(17)]
  if (table.waits_for !== null) parts.push(`waits for ${table.waits_for}`)
  parts.push(`${formatCount(table.rate.read_rows)}/s`.padStart(8))
  parts.push(`lag ${formatSeconds(status.lag.source_s)}`.padEnd(8))
  const { source_time: committed, epoch } = table.commit
  if (epoch === null) parts.push('no commit yet')
  else parts.push(committed === null ? `commit ${epoch}` : `commit ${ageOf(committed, nowMs)} ago`)
  return parts.join(' ')
}

function rowsOf({ phase, backfill, ops }: TableStatus): string {
  const filling = phase === 'backfill' || phase === 'repairing' || phase === 'structure'
  if (filling && backfill.rows_done !== null) {
    const { rows_done: done, rows_est: estimated } = backfill
    const share = estimated === null || estimated <= 0 ? null : Math.min(1, done / estimated)
    const total = estimated === null ? '?' : `~${formatCount(estimated)}`
    return `${formatCount(done)}/${total}${share === null ? '' : ` ${Math.floor(share * 100)}%`}`
  }
  const { insert, update, delete: deleted } = ops
  return `+${formatCount(insert)} ~${formatCount(update)} -${formatCount(deleted)}`
}

function ageOf(time: string, nowMs: number): string {
  return formatSeconds(Math.max(0, nowMs - Date.parse(time)) / 1000)
}

/** @returns `1,234,567` up to a million, then `12.3M` */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}G`
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)}M`
  return Math.round(count).toLocaleString('en-US')
}

/** @returns `0.4s`, `12s`, `3m`, `2h`, `5d`; `?` when it is not known */
export function formatSeconds(seconds: number | null): string {
  if (seconds === null) return '?'
  if (seconds < 10) return `${seconds.toFixed(1)}s`
  if (seconds < 120) return `${Math.round(seconds)}s`
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`
  return `${Math.round(seconds / 86_400)}d`
}

/** Names come from the source: a table must not be able to move the cursor. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '?')
}

function cut(text: string, columns: number): string {
  if (text.length <= columns) return text
  return columns <= 3 ? text.slice(0, columns) : `${text.slice(0, columns - 3)}...`
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
