// Runs the tests of a pipeline file: their rows go through the operators of a run, without a source
// and a sink. Each test runs five times, its rows cut into batches in other ways, and with
// operators made anew between two of them: what leaves must be the same before it is compared.

import { splitPartTable } from '../../checkpoint/sink-parts.ts'
import { PipelineError } from '../../base/errors.ts'
import { CheckpointStore } from '../../checkpoint/store.ts'
import { OP_LETTERS, type ChangeBatch } from '../../data/batch.ts'
import { namesOf, type SourceTable } from '../../data/schema.ts'
import type { PipelineConfig } from '../../job/config/pipeline-config.ts'
import type { TestConfig } from '../../job/config/pipeline-tests.ts'
import type { FilePlace } from '../../job/config/problems.ts'
import { sourceSelector } from '../../job/config/selector.ts'
import { shapeOf } from '../../job/structures.ts'
import type { OperatorPlans } from '../../operator.ts'
import { operatorPlans } from '../operator-plans.ts'
import { openState } from '../state-folder.ts'
import { valueText } from '../verify/value-text.ts'
import { compareRows, type LeftRow } from './expectation.ts'
import { declaredTable, SourceRows } from './source-rows.ts'

export interface TestProblem {
  readonly place: FilePlace
  readonly message: string
}

export interface TestResult {
  readonly name: string
  readonly place: FilePlace
  /** []: it passed. */
  readonly problems: readonly TestProblem[]
}

/** @returns one result a test, in the order of the file */
export async function runTests(config: PipelineConfig): Promise<readonly TestResult[]> {
  const plans = operatorPlans(config)
  const known = new KnownTables(config)
  const results: TestResult[] = []
  for (const test of config.tests) {
    const { name, place } = test
    results.push({ name, place, problems: await problemsOf(test, config, plans, known) })
  }
  return results
}

async function problemsOf(
  test: TestConfig,
  config: PipelineConfig,
  plans: OperatorPlans,
  known: KnownTables,
): Promise<readonly TestProblem[]> {
  try {
    requireSelected(test, config)
    const table = declaredTable(test) ?? (await known.table(test.table))
    requireTarget(test, plans.target(table), plans.targets?.(table))
    const oldRows = plans.of(table)?.plan(table).readsOldRows === true
    const rows = new SourceRows(table, test.input, oldRows)
    const { output, left } = agreeing(rows, table, plans)
    return compareRows(test, output, left).map(({ row, message }) => {
      return { place: row?.place ?? test.place, message }
    })
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    const hint = error.hint === error.spec.hint ? '' : ` (${error.hint})`
    return [{ place: placeOf(test, error.message), message: `${error.message}${hint}` }]
  }
}

/** Messages about a row begin with its label. */
function placeOf({ input, output, place }: TestConfig, message: string): FilePlace {
  const row = [...input, ...output].find(({ label }) => message.startsWith(label))
  return row?.place ?? place
}

function requireSelected({ table }: TestConfig, { source }: PipelineConfig): void {
  const { namespace, name } = namesOf(table)
  if (sourceSelector(source)(namespace, name)) return
  throw new PipelineError('TABLE_MISSING', `the pipeline selects no table "${table}"`, {
    hint: 'Correct `table`, or the patterns of the source.',
  })
}

function requireTarget(
  { into }: TestConfig,
  target: string,
  ofSinks: readonly string[] = [],
): void {
  if (into === null || into === target) return
  if (ofSinks.some((name) => splitPartTable(name).table === into)) return
  throw new PipelineError('CONFIG_VALUE', `rows go to ${target}, not to ${into}`)
}

/** Tables as the newest checkpoint of the pipeline knows them. */
class KnownTables {
  private readonly config: PipelineConfig
  private tables: Promise<ReadonlyMap<string, SourceTable>> | null = null

  constructor(config: PipelineConfig) {
    this.config = config
  }

  async table(name: string): Promise<SourceTable> {
    this.tables ??= this.read()
    const known = (await this.tables).get(name)
    if (known !== undefined) return known
    throw new PipelineError('TABLE_MISSING', `the columns of ${name} are not known`, {
      hint: 'Give the test `columns`, and `key`; a pipeline that has run here knows them itself.',
    })
  }

  private async read(): Promise<ReadonlyMap<string, SourceTable>> {
    const checkpoint = await new CheckpointStore(openState(this.config)).peekNewest()
    const records = checkpoint?.source.tables ?? []
    return new Map(
      records.map((record) => [record.schema.table, record.shape ?? shapeOf(record)] as const),
    )
  }
}

interface Left {
  /** Structure of what left. */
  readonly output: SourceTable
  readonly left: readonly LeftRow[]
}

/** @throws PipelineError what the operators refuse, or a row that cannot be computed */
function agreeing(rows: SourceRows, table: SourceTable, plans: OperatorPlans): Left {
  const [first, ...others] = cutsOf(rows.count).map((cuts, way) =>
    pass(rows, table, plans, cuts, way >= 2),
  )
  if (first === undefined) throw new PipelineError('INTERNAL', 'a test runs at least once')
  const text = formatLeft(first)
  if (others.some((other) => formatLeft(other) !== text)) {
    throw new PipelineError('INTERNAL', 'what leaves depends on how rows are cut into batches')
  }
  return first
}

function formatLeft({ left }: Left): string {
  return JSON.stringify(left.map(({ op, cells }) => [op, ...cells]))
}

/** @returns ends of batches: one batch, a row a batch, and three other ways, the same each time */
function cutsOf(count: number): number[][] {
  const single = Array.from({ length: count }, (_, at) => at + 1)
  const ways = [3, 5, 7].map((step) => {
    const inner = single.filter((end) => end < count && (end * step) % 4 < 2)
    return [...inner, count]
  })
  return [[count], single, ...ways]
}

function pass(
  rows: SourceRows,
  table: SourceTable,
  plans: OperatorPlans,
  cuts: readonly number[],
  restarts: boolean,
): Left {
  const left: LeftRow[] = []
  let operator = plans.of(table)?.plan(table) ?? null
  const output = operator?.output ?? table
  let start = 0
  for (const end of cuts) {
    if (restarts) operator = plans.of(table)?.plan(table) ?? null
    const take = (batch: ChangeBatch): void => void left.push(...leftRows(batch, output))
    const batch = rows.batch(start, end)
    if (operator === null) take(batch)
    else operator.onBatch(batch, { emit: take, filtered: () => undefined, dead: () => undefined })
    start = end
  }
  return { output, left }
}

function leftRows(batch: ChangeBatch, { columns }: SourceTable): LeftRow[] {
  return Array.from({ length: batch.rows }, (_, row): LeftRow => {
    const cells = batch.columns.map((column, at): [string, string] => {
      return [columns[at]?.name ?? '', valueText(column, row)]
    })
    return { op: OP_LETTERS[batch.ops[row] ?? 0] ?? '', cells: new Map(cells) }
  })
}
