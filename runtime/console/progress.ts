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
  const rows = shown.map((table) => rowOf(table, status, nowMs))
  const lines = [headline(status), ...tableLines(rows, columns)]
  const hidden = tables.length - shown.length
  if (hidden > 0 && linesMax > 1) lines.push(`  and ${hidden} more tables`)
  return lines.map((line) => cut(printable(line), columns))
}

function headline(status: PipelineStatus): string {
  const { state, tables, lag, log, checkpoint, commit, rates, error } = status
  const phases = ORDER.filter((phase) => tables[phase] > 0).map(
    (phase) => `${tables[phase]} ${phase}`,
  )
  const parts = [
    `${status.pipeline}  ${state}`,
    phases.length === 0 ? 'no tables yet' : phases.join(', '),
    `${formatCount(rates.read_rows)}/s`,
    `lag ${formatSeconds(lag.source_s)}`,
    ...(lag.records === null ? [] : [`${formatCount(lag.records)} records behind`]),
  ]
  if (status.limits?.held === true) parts.push('held by its limits')
  if (checkpoint.last_id !== null) parts.push(`epoch ${checkpoint.last_id}`)
  if (commit.pending > 0) parts.push(`${commit.pending} pending`)
  if (log !== null && (state === 'STALLED' || state === 'RETRYING')) {
    parts.push(`server silent for ${formatSeconds(log.silent_s)}`)
  }
  if (error !== null) parts.push(error.message)
  return parts.join('  ')
}

interface Row {
  readonly name: string
  readonly phase: string
  /** In columns of their own; [] where there is a sentence instead. */
  readonly cells: readonly string[]
  readonly sentence: string
}

function rowOf(table: TableStatus, status: PipelineStatus, nowMs: number): Row {
  const { table: name, phase, reason, waits_for: blocker } = table
  const said = { name, phase, cells: [] }
  if (phase === 'parked') return { ...said, sentence: reason?.message ?? '' }
  // Nothing comes before that has ended: no rate says more.
  if (blocker !== null) return { ...said, sentence: `waits for ${blocker}` }
  const rate = `${formatCount(table.rate.read_rows)}/s`
  const lag = `lag ${formatSeconds(status.lag.source_s)}`
  return { name, phase, cells: [rowsOf(table), rate, lag, commitOf(table, nowMs)], sentence: '' }
}

function commitOf(
  { commit: { source_time: committed, epoch } }: TableStatus,
  nowMs: number,
): string {
  if (epoch === null) return 'no commit yet'
  return committed === null ? `commit ${epoch}` : `commit ${ageOf(committed, nowMs)} ago`
}

/** So that a number that grows by a digit does not move what stands behind it. */
const CELL_WIDTHS: readonly number[] = [11, 6, 8, 14]
const NAME_WIDTH_MIN = 8
const NAME_WIDTH_MAX = 40

/** What is behind the name is what changes, so a name that is too long gives way. */
function tableLines(rows: readonly Row[], columns: number): string[] {
  const widths = CELL_WIDTHS.map((least, index) =>
    Math.max(least, ...rows.map(({ cells }) => cells[index]?.length ?? 0)),
  )
  const phaseWidth = Math.max(0, ...rows.map(({ phase }) => phase.length))
  const longest = Math.max(0, ...rows.map(({ name }) => name.length))
  const rest = widths.reduce((sum, width) => sum + 1 + width, 3 + phaseWidth)
  const room = Math.max(NAME_WIDTH_MIN, Math.min(NAME_WIDTH_MAX, columns - rest))
  const nameWidth = Math.max(NAME_WIDTH_MIN, Math.min(room, longest))
  return rows.map(({ name, phase, cells, sentence }) => {
    const padded = cells.map((cell, index) => {
      const width = widths[index] ?? 0
      // The rate is a number: its digits stand under each other.
      return index === 1 ? cell.padStart(width) : cell.padEnd(width)
    })
    const head = `  ${cut(name, nameWidth).padEnd(nameWidth)} ${phase.padEnd(phaseWidth)}`
    return [head, ...padded, sentence].join(' ').trimEnd()
  })
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
