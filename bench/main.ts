// `npm run bench`: floors of speed and memory, each beside what bounds it and what npm offers, all
// measured in this run on this machine.

import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { systemClock } from '../runtime/base/clock.ts'
import { verdictOf, type Report, type ScenarioResult } from './figures.ts'
import { gateScenarios, runGate } from './gate/gate.ts'
import { loads, type Sizes } from './loads.ts'
import { describeMachine, formatMachine } from './machine.ts'
import { formatMarkdown } from './report/markdown.ts'
import { formatPage } from './report/page.ts'
import { formatResult } from './report/text.ts'
import type { Context } from './scenario.ts'
import { defaultScenarios, scenarios } from './scenarios.ts'
import { isTableName, tableShapes, type TableName } from './table-shapes.ts'
import { TimeShare } from './time-share.ts'

const HELP = `npm run bench -- [options]
  --only NAME,...  of ${Object.keys(scenarios).join(', ')}
  --rows N         rows of the log and backfill scenarios (1000000); half of them are updated,
                   and the largest transaction has twice as many
  --runs N         rounds, where they fit; medians are shown (5)
  --minutes N      for all scenarios together (18): rounds that do not fit are left out, but never
                   the first of a scenario
  --table NAME     usual; narrow, 4 columns; wide, 100 columns and a tenth of the rows; large,
                   values of 100 KB and a 500th of the rows
  --transaction N  rows a transaction in the log scenarios (1000)
  --statement N    rows a statement there (as many as a transaction, at most 1000); 1 gives MySQL's
                   log an event for each row
  --keys N         rows that are updated in turn (all once); 100 is a table of hot keys
  --rates N,...    rows a second that the latency scenarios offer (1000,10000,50000); they look for
                   the largest rate that is kept then
  --seconds N      for which they offer each (10)
  --interval N     seconds between their checkpoints (1; the product's default is 10)
  --peers          beside the logs of databases also Debezium's engine, which is fetched with Maven
  --json FILE      all figures of all runs
  --html FILE      the same as one page with plots
  --markdown FILE  the same as a page of the documentation
  --from FILE      the page from an earlier --json FILE, without running anything
  --quick          smaller and once: does it work, under two minutes; its figures mean little
  --profile        the hottest functions of each thread of ours, instead of figures, and a
                   .cpuprofile for each, whose path is printed
  --floors         exit code 1 when a floor is not reached
  --check --against COMMIT
                   this tree and the commit in the same rounds, in ${gateScenarios.join(', ')};
                   exit code 1 when the median of the ratios is a loss of more than 15 % of rate
                   or CPU time`

const ROWS = 1_000_000
const ROWS_QUICK = 100_000
const ROWS_MIN = 20_000
const STATEMENT_ROWS = 1000
const RATES = ['1000', '10000', '50000']
const SEARCH_MAX = 6
const RUNS = '5'
/** With what cannot be cut short it stays under 20. */
const MINUTES = '18'

interface Options {
  readonly names: readonly string[]
  readonly table: TableName
  readonly sizes: Sizes
  readonly runs: number
  readonly minutes: number
  readonly json: string | null
  readonly html: string | null
  readonly markdown: string | null
  readonly from: string | null
  readonly peers: boolean
  readonly profile: boolean
  readonly floors: boolean
  /** Commit that this tree is compared with, instead of measuring. */
  readonly against: string | null
}

function parsed() {
  return parseArgs({
    options: {
      only: { type: 'string' },
      rows: { type: 'string' },
      runs: { type: 'string' },
      minutes: { type: 'string', default: MINUTES },
      table: { type: 'string', default: 'usual' },
      transaction: { type: 'string', default: '1000' },
      statement: { type: 'string' },
      keys: { type: 'string' },
      rates: { type: 'string' },
      seconds: { type: 'string' },
      interval: { type: 'string' },
      peers: { type: 'boolean', default: false },
      json: { type: 'string' },
      html: { type: 'string' },
      markdown: { type: 'string' },
      from: { type: 'string' },
      quick: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      floors: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      against: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  }).values
}

function parseOptions(): Options | null {
  const values = parsed()
  if (values.help) return null
  const { quick, profile, floors, check, against = null } = values
  if (check !== (against !== null)) {
    throw new Error('--check and --against COMMIT go together; floors are asked by --floors')
  }
  const names = namesOf(values.only, check)
  const { table } = values
  if (!isTableName(table)) throw new Error(`no table ${table}; see --help`)
  if (table !== 'usual' && values.only === undefined) throw new Error('--table asks for --only')
  if (table !== 'usual' && names.some((name) => name.includes('update'))) {
    throw new Error('updates are of the usual table')
  }
  const { fewer } = tableShapes[table]
  const rowsDefault = Math.ceil((quick ? ROWS_QUICK : ROWS) / fewer)
  const rowsMin = Math.ceil(ROWS_MIN / fewer)
  const rows = atLeast(rowsMin, 'rows', values.rows ?? String(rowsDefault))
  const updates = Math.ceil(rows / 2)
  const transactionRows = atLeast(1, 'transaction', values.transaction)
  const statement = values.statement ?? String(Math.min(transactionRows, STATEMENT_ROWS))
  return {
    names,
    table,
    sizes: {
      rows,
      updates,
      memoryRows: rows * 2,
      log: { transactionRows, statementRows: atLeast(1, 'statement', statement) },
      keys: atLeast(1, 'keys', values.keys ?? String(updates)),
      latency: {
        rates: (values.rates?.split(',') ?? RATES).map((rate) => atLeast(1, 'rates', rate)),
        seconds: atLeast(1, 'seconds', values.seconds ?? (quick ? '3' : '10')),
        intervalSeconds: atLeast(1, 'interval', values.interval ?? '1'),
        searchMax: quick ? 0 : SEARCH_MAX,
      },
    },
    runs: atLeast(1, 'runs', values.runs ?? (quick ? '1' : RUNS)),
    minutes: atLeast(1, 'minutes', values.minutes),
    json: values.json ?? null,
    html: values.html ?? null,
    markdown: values.markdown ?? null,
    from: values.from ?? null,
    peers: values.peers,
    profile,
    floors,
    against,
  }
}

function namesOf(only: string | undefined, check: boolean): readonly string[] {
  const names = only?.split(',') ?? (check ? gateScenarios : defaultScenarios)
  const known = check ? loads : scenarios
  const unknown = names.filter((name) => known[name] === undefined)
  if (unknown.length > 0) throw new Error(`no benchmark ${unknown.join(', ')}; see --help`)
  return names
}

function atLeast(least: number, name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new Error(`--${name} must be a whole number, ${least} or more`)
}

function say(text: string): void {
  const seconds = (systemClock.elapsedMs() / 1000).toFixed(0).padStart(5)
  console.error(`${seconds} s  ${text}`)
}

async function main(): Promise<number> {
  const options = parseOptions()
  if (options === null) {
    console.log(HELP)
    return 0
  }
  if (options.from !== null) {
    const report = JSON.parse(readFileSync(options.from, 'utf8')) as Report
    for (const result of report.results) console.log(formatResult(result))
    keep(report, options)
    return 0
  }
  if (options.against !== null) return gate(options.against, options)
  const machine = describeMachine()
  const begun = new Date(systemClock.nowMs()).toISOString()
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
  console.log(`${formatMachine(machine)}\n`)
  const { results, failures } = await runAll(options)
  keep({ machine, command, begun, results }, options)
  const missed = results.flatMap(({ floors }) => floors).filter((f) => verdictOf(f) === 'FAIL')
  return failures > 0 || (options.floors && missed.length > 0) ? 1 : 0
}

/** @returns the exit code */
async function gate(commit: string, options: Options): Promise<number> {
  const { names, sizes } = options
  console.log(`${formatMachine(describeMachine())}\n`)
  const contextOf = contexts({ ...options, peers: false, profile: false })
  const losses = await runGate(commit, names, sizes, contextOf)
  for (const loss of losses) console.log(`FAIL: ${loss}`)
  return losses.length > 0 ? 1 : 0
}

/** @returns what the n-th scenario gets when it begins */
function contexts({
  names,
  runs,
  minutes,
  table,
  peers,
  profile,
}: Options): (at: number) => Context {
  const now = (): number => systemClock.elapsedMs()
  const all = new TimeShare(now, now() + minutes * 60_000)
  return (at) => ({ runs, time: all.part(names.length - at), table, peers, profile, say })
}

async function runAll(options: Options): Promise<{ results: ScenarioResult[]; failures: number }> {
  const { names, sizes } = options
  const contextOf = contexts(options)
  const results: ScenarioResult[] = []
  let failures = 0
  for (const [at, name] of names.entries()) {
    say(name)
    try {
      const result = await scenarios[name]?.(sizes, contextOf(at))
      if (result === undefined) continue
      results.push(result)
      console.log(formatResult(result))
    } catch (error) {
      failures++
      console.log(`${name}: did not run\n${String(error)}\n`)
    }
  }
  return { results, failures }
}

function keep(report: Report, { json, html, markdown }: Options): void {
  if (json !== null) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
  if (html !== null) writeFileSync(html, formatPage(report))
  if (markdown !== null) writeFileSync(markdown, formatMarkdown(report))
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
