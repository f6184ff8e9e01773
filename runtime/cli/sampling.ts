// What a pipeline makes of some rows of its source: they pass the structures, operators and checks
// that the rows of a run pass, and end in memory instead of a writer. Nothing is written anywhere.

import { systemClock } from '../base/clock.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import { nearestName } from '../base/nearest.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Element } from '../data/element.ts'
import type { Order } from '../data/position.ts'
import { namesOf, tableKey, type SourceTable, type TableSchema } from '../data/schema.ts'
import { lakeSchema, type TableRecord } from '../flow/tables.ts'
import type { ExchangeOutput } from '../flow/exchange.ts'
import { Corridor } from '../job/corridor.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { sourceSelector, tableSelector } from '../job/config/selector.ts'
import type { SourceInspector } from '../source.ts'
import { lakeColumnsOf } from './committer-connector.ts'
import { operatorPlans } from './operator-plans.ts'

/** Where a filter leaves rows out, so many are read for those that are wanted. */
const READ_ROWS_MAX = 10_000
/** Where only records tell the columns, so many are looked at. */
const SHAPE_ROWS = 100
/** A topic that waits for something would never end. */
const SAMPLE_MS_MAX = 30_000

/** Errors that are the server's, not the table's: no other table would fare better. */
const SERVER_ERRORS = new Set(['CONNECT_FAILED', 'AUTH_FAILED', 'TLS_FAILED', 'DATABASE_MISSING'])

/** Rows as they would be written, under the structure that the lake's table has for them. */
export interface SampledBatch {
  readonly schema: TableSchema
  readonly batch: ChangeBatch
}

/** What was seen of one table. */
export interface TableSample {
  /** `tableKey` in the source. */
  readonly table: string
  /** Name in the lake. */
  readonly into: string
  /** As the source has it; `null`: its columns are not known. */
  readonly source: SourceTable | null
  /** As what leaves the operators has it; `null`: nothing leaves them. */
  readonly output: SourceTable | null
  /** Structure of the lake's table, without columns of the sink's own; `null`: there is none. */
  readonly lake: TableSchema | null
  readonly batches: readonly SampledBatch[]
  readonly rowsRead: number
  /** What keeps the table from being carried, or a row of those that were read. */
  readonly error: ErrorRecord | null
  /** Not all rows that were wanted were read: time was up. */
  readonly cut: boolean
}

export interface Sampling {
  readonly samples: readonly TableSample[]
  /** Tables of the pipeline that were left out, since there are many. */
  readonly more: number
}

export interface SampleWish {
  /** `tableKey`; `null`: all that the pipeline has. */
  readonly tables: readonly string[] | null
  readonly tablesMax: number
  /** Rows of each table that leave the operators; 0: only structures are wanted. */
  readonly rows: number
  /** Where only records tell a structure, some are read for it. Default: true. */
  readonly readsForShape?: boolean
}

/** @throws PipelineError TABLE_MISSING, CONNECT_FAILED, ... */
export async function sampleTables(
  config: PipelineConfig,
  inspector: SourceInspector,
  { tables, tablesMax, rows, readsForShape = true }: SampleWish,
): Promise<Sampling> {
  const selects = sourceSelector(config.source)
  const known = (await inspector.discover())
    .filter(({ namespace, name }) => selects(namespace, name))
    .map(tableKey)
    .sort()
  const missing = tables?.find((table) => !known.includes(table))
  if (missing !== undefined) throw missingTable(missing, known)
  if (known.length === 0) throw new PipelineError('NO_TABLES', 'no table of the source matches')
  const wanted = tables ?? known
  const sampler = new Sampler(config, inspector)
  for (const table of wanted.slice(0, tablesMax)) await sampler.sample(table, rows, readsForShape)
  const more = Math.max(0, wanted.length - tablesMax)
  return { samples: sampler.samples(wanted.slice(0, tablesMax)), more }
}

function missingTable(table: string, known: readonly string[]): PipelineError {
  const near = nearestName(table, known)
  const hint = near === null ? 'Correct `--table`.' : `Correct \`--table\`: there is "${near}".`
  return new PipelineError('TABLE_MISSING', `the pipeline selects no table "${table}"`, { hint })
}

/** Takes what would go to the writers. */
class Capture implements ExchangeOutput {
  readonly batches = new Map<string, SampledBatch[]>()
  private readonly schemas = new Map<string, TableSchema>()

  send(element: Element): void {
    if (element.kind === 'schema') this.schemas.set(element.schema.table, element.schema)
    if (element.kind !== 'changes') return
    const schema = this.schemas.get(element.table)
    if (schema === undefined) throw new PipelineError('INTERNAL', 'rows come behind their schema')
    const table = element.origin ?? element.table
    const own = this.batches.get(table) ?? []
    own.push({ schema, batch: element })
    this.batches.set(table, own)
  }

  ready(): undefined {
    return undefined
  }

  rowsOf(table: string): number {
    return (this.batches.get(table) ?? []).reduce((sum, { batch }) => sum + batch.rows, 0)
  }
}

class Sampler {
  private readonly config: PipelineConfig
  private readonly inspector: SourceInspector
  private readonly plans: ReturnType<typeof operatorPlans>
  private readonly capture = new Capture()
  private readonly corridor: NotingCorridor
  private readonly read = new Map<string, number>()
  private readonly errors = new Map<string, ErrorRecord>()
  private readonly cut = new Set<string>()

  constructor(config: PipelineConfig, inspector: SourceInspector) {
    this.config = config
    this.inspector = inspector
    this.plans = operatorPlans(config)
    const { mode } = config.sink
    const options = { keyed: mode === 'upsert', ...lakeColumnsOf(config) }
    this.corridor = new NotingCorridor([this.capture], options, this.plans)
    this.corridor.newTables = 'park'
  }

  async sample(table: string, rows: number, readsForShape: boolean): Promise<void> {
    const read = this.rowsToRead(table, rows)
    try {
      await this.sampleRows(table, rows, read)
      const reads = rows === 0 && readsForShape && this.config.source.type === 'kafka'
      if (reads && !this.corridor.shapes.has(table)) await this.sampleRows(table, 1, SHAPE_ROWS)
    } catch (error) {
      if (!(error instanceof PipelineError) || SERVER_ERRORS.has(error.error)) throw error
      this.errors.set(table, recordOf(error))
    }
  }

  /** @param wanted  rows that leave; where none is, the rest of what may be read is not */
  private async sampleRows(table: string, wanted: number, rowsMax: number): Promise<void> {
    const stop = new AbortController()
    const cancel = systemClock.after(SAMPLE_MS_MAX, () => stop.abort())
    const { corridor, inspector } = this
    let read = 0
    try {
      for await (const batch of inspector.sample(table, rowsMax, corridor, stop.signal)) {
        this.read.set(batch.table, (this.read.get(batch.table) ?? 0) + batch.rows)
        await corridor.send(batch)
        read += batch.rows
        if (this.capture.rowsOf(table) >= wanted || read >= rowsMax) break
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
    } finally {
      cancel()
      if (stop.signal.aborted) this.cut.add(table)
    }
  }

  private rowsToRead(table: string, rows: number): number {
    const { namespace, name } = namesOf(table)
    const entry = this.config.transforms.find(({ from }) => tableSelector([from])(namespace, name))
    return rows > 0 && entry !== undefined && entry.filter !== null
      ? Math.max(rows, READ_ROWS_MAX)
      : rows
  }

  /** @returns those that were wanted, and dead letters, if some came */
  samples(wanted: readonly string[]): TableSample[] {
    const names = new Set([...wanted, ...this.read.keys()])
    return [...names].sort().map((table) => this.sampleOf(table))
  }

  private lakeOf(record: TableRecord | undefined): TableSchema | null {
    if (record === undefined) return null
    const union = this.corridor.tables.get(record.united?.table ?? '')
    return lakeSchema(union ?? record)
  }

  private sampleOf(table: string): TableSample {
    const record = this.corridor.tables.get(table)
    const refused = this.corridor.refused.get(table) ?? record?.reason ?? null
    const source = this.corridor.shapes.get(table) ?? null
    const carried = source !== null && refused === null
    return {
      table,
      into: this.plans.target(namesOf(table)),
      source,
      output: carried ? (this.plans.of(source)?.plan(source).output ?? source) : null,
      lake: carried ? this.lakeOf(record) : null,
      batches: this.capture.batches.get(table) ?? [],
      rowsRead: this.read.get(table) ?? 0,
      error: refused ?? this.errors.get(table) ?? null,
      cut: this.cut.has(table),
    }
  }
}

/** Notes the structures that it is told. */
class NotingCorridor extends Corridor {
  readonly shapes = new Map<string, SourceTable>()

  override tableChanged(table: SourceTable, order: Order): TableSchema | null {
    this.shapes.set(tableKey(table), table)
    return super.tableChanged(table, order)
  }
}
