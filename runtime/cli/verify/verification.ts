// `millrace verify`, from a pipeline's configuration to one verdict a table. It only reads, beside
// the running pipeline or without one.

import { localStore } from '../../../connectors/storage/local.ts'
import { present } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { PipelineError, recordOf, type ErrorRecord } from '../../base/errors.ts'
import type { Catalog } from '../../catalog.ts'
import type { CheckpointRecord } from '../../checkpoint/manifest.ts'
import type { CheckpointStore } from '../../checkpoint/store.ts'
import { formatOrder, type PositionType } from '../../console/status.ts'
import { POSITION_TYPES } from '../position-types.ts'
import type { Order, Position } from '../../data/position.ts'
import { isUnion, shownTable, type TableSchema } from '../../data/schema.ts'
import { lakeSchema, type TableRecord } from '../../flow/tables.ts'
import type { IcebergSinkConfig, PipelineConfig } from '../../job/config/pipeline-config.ts'
import type { SourceInspector, TableScan } from '../../source.ts'
import { openExistingCatalog } from '../lake-catalog.ts'
import { lakeTargets } from '../lake-target.ts'
import { operatorPlans } from '../operator-plans.ts'
import { checkpointsOf, partOfType } from '../sink-parts.ts'
import type { Repair, TableVerdict } from '../wiring.ts'
import { compareRows, StructureDifference, type Comparison } from './comparison.ts'
import { derivedScan } from './derived-scan.ts'
import { LakeProgress, type Arrival } from './lake-progress.ts'
import { openReading } from './table-reading.ts'
import { unionScan } from './union-scan.ts'

/** A change of structure that the log does not show is found by a poll of the catalog: 10 s. */
const STRUCTURE_MS = 12_000
/** Each has its hashes in memory; the source's connections bound how many are read at a time. */
const TABLES_AT_ONCE = 8
/** Errors that are the server's, not the table's: no other table would fare better. */
const SERVER_ERRORS = new Set(['CONNECT_FAILED', 'AUTH_FAILED', 'TLS_FAILED', 'SOURCE_CHANGED'])

export interface VerificationParts {
  readonly config: PipelineConfig
  readonly inspector: SourceInspector
  readonly clock: Clock
  isRunning(): Promise<boolean>
  notice(text: string): void
}

/**
 * @param tables  `null`: all that the pipeline has and the source has not dropped
 * @throws PipelineError CONFIG_UNSUPPORTED, STATE_MISSING, TABLE_MISSING, CONNECT_FAILED, ...
 */
export async function verifyPipeline(
  parts: VerificationParts,
  tables: readonly string[] | null,
): Promise<readonly TableVerdict[]> {
  const { inspector } = parts
  try {
    const config = compared(parts)
    const { sink } = config
    if (sink.type === 'kafka') throw notOfTopics()
    requireComparable(config)
    if (sink.type === 'parquet') throw notOfDirectories()
    const checkpoints = checkpointsOf(config)
    const catalog = await openCatalogOf(config, sink, checkpoints)
    try {
      const warehouse = localStore(sink.warehouse.path)
      const lake = { catalog, warehouse, targetOf: lakeTargets(config) }
      const verification = new Verification({ ...parts, config }, lake, checkpoints)
      return await verification.verdicts(await verification.tables(tables))
    } finally {
      await catalog.close()
    }
  } finally {
    await inspector.close()
  }
}

/** Of several sinks the one that can be compared. */
function compared(parts: VerificationParts): PipelineConfig {
  const { config } = parts
  if (config.parts === undefined) return config
  const lake = partOfType(config, 'iceberg')
  if (lake === null) return config.parts[0] ?? config
  for (const { part, sink } of config.parts) {
    if (part === lake.part) continue
    parts.notice(`sink "${part}" is not compared: verify reads no sink of type ${sink.type}`)
  }
  return lake
}

/** A pipeline that has never run has no catalog yet, and looking for one must not make it. */
async function openCatalogOf(
  { name }: PipelineConfig,
  sink: IcebergSinkConfig,
  checkpoints: CheckpointStore,
): Promise<Catalog> {
  const catalog = await openExistingCatalog(sink)
  if (catalog !== null) return catalog
  if ((await checkpoints.epochs()).length === 0) {
    throw new PipelineError('STATE_MISSING', `pipeline "${name}" has no checkpoint yet`)
  }
  throw new PipelineError('CATALOG_UNAVAILABLE', `catalog ${sink.catalog.path} does not exist`, {
    detail: 'The state folder knows of tables in it.',
    hint: 'Restore the file, or correct `sink.catalog.uri`; `millrace resync FILE --all` fills anew.',
  })
}

function requireComparable({ sink, source }: PipelineConfig): void {
  if (source.type === 'kafka') {
    throw new PipelineError('CONFIG_UNSUPPORTED', 'verify has nothing to compare a topic with', {
      detail: 'A topic keeps changes for a while, and has no table that says how rows are now.',
      hint: 'Carry `__partition__` and `__offset__` in `source.metadata` and look for gaps by SQL.',
    })
  }
  if (sink.mode === 'upsert') return
  throw new PipelineError(
    'CONFIG_UNSUPPORTED',
    `verify cannot compare tables of mode ${sink.mode}`,
    {
      detail: 'Such a table holds the history of its rows; the source holds only the rows of now.',
      hint: 'Verify a pipeline of `mode: upsert` over the same tables.',
    },
  )
}

function notOfTopics(): PipelineError {
  return new PipelineError('CONFIG_UNSUPPORTED', 'verify cannot compare topics', {
    detail: 'They hold what happened to rows; the source holds only the rows of now.',
    hint: 'Verify a pipeline of `sink.type: iceberg` and `mode: upsert` over the same tables.',
  })
}

/** Neither of its formats says how rows are now. */
function notOfDirectories(): PipelineError {
  return new PipelineError('CONFIG_UNSUPPORTED', 'verify cannot compare a directory', {
    detail: 'It holds the history of rows; the source holds only the rows of now.',
    hint: 'Verify a pipeline of `sink.type: iceberg` and `mode: upsert` over the same tables.',
  })
}

class Verification {
  private readonly parts: VerificationParts
  private readonly lake: ConstructorParameters<typeof LakeProgress>[0]['lake']
  private readonly progress: LakeProgress
  private readonly positionType: PositionType
  private readonly stopping = new AbortController()

  constructor(parts: VerificationParts, lake: Verification['lake'], checkpoints: CheckpointStore) {
    const { config, clock } = parts
    this.parts = parts
    this.lake = lake
    this.positionType = POSITION_TYPES[config.source.type]
    this.progress = new LakeProgress({
      pipeline: config.name,
      checkpoints,
      lake,
      clock,
      isRunning: () => parts.isRunning(),
      onWait: (table, at, wanted) =>
        parts.notice(
          `${table}: waiting for the lake, which is at ${this.format(at)} of ${this.format(wanted)}`,
        ),
    })
  }

  async tables(wanted: readonly string[] | null): Promise<readonly string[]> {
    const { source } = await this.progress.checkpoint()
    // Tables that are one in the lake are compared as that one, by any of their names or its own.
    const wholes = new Map<string, string>()
    for (const { schema, united } of source.tables) {
      wholes.set(shownTable(schema.table), united?.table ?? schema.table)
    }
    for (const { schema, united } of source.tables) {
      if (!isUnion(schema.table)) wholes.set(schema.table, united?.table ?? schema.table)
    }
    const known = [...wholes.keys()]
    const unknown = (wanted ?? []).filter((table) => !wholes.has(table))
    if (unknown.length > 0) {
      throw new PipelineError(
        'TABLE_MISSING',
        `the pipeline has no table "${unknown.join('", "')}"`,
        {
          detail: `It has ${known.join(', ')}.`,
          hint: 'Correct `--table`; `millrace status FILE` lists the tables of the pipeline.',
        },
      )
    }
    if (wanted !== null) return [...new Set(wanted.map((table) => wholes.get(table) ?? table))]
    const kept = source.tables.filter(
      ({ phase, united }) => phase !== 'dropped' && united === undefined,
    )
    return kept.map(({ schema }) => schema.table).sort()
  }

  /** In the order of `tables`; most of the time is spent waiting for the lake, so some at once. */
  async verdicts(tables: readonly string[]): Promise<readonly TableVerdict[]> {
    const verdicts: TableVerdict[] = []
    let next = 0
    const work = async (): Promise<void> => {
      for (let at = next++; at < tables.length; at = next++) {
        verdicts[at] = await this.verdictOf(present(tables[at], 'a table is in the list'))
      }
    }
    try {
      await Promise.all(Array.from({ length: TABLES_AT_ONCE }, work))
      return verdicts
    } finally {
      this.stopping.abort()
    }
  }

  private async verdictOf(table: string): Promise<TableVerdict> {
    const arrivals: { high: Order; arrival: Arrival; lake: Order }[] = []
    try {
      const comparison = await compareRows(async () => {
        const checkpoint = await this.progress.checkpoint()
        const schema = lakeSchema(this.progress.recordIn(checkpoint, table))
        const { position } = checkpoint.source
        const parts = isUnion(table) ? partsOf(table, checkpoint) : null
        return openReading({
          table,
          lake: this.lake,
          schema,
          scan:
            parts === null
              ? await this.scan(table, position)
              : await this.scanUnion(schema, parts, position),
          passedOver: goneOf(parts ?? []),
          arrive: async (high) => {
            const arrival = await this.progress.waitFor(table, high)
            const now = await this.progress.checkpoint()
            arrivals.push({ high, arrival, lake: now.source.position.order })
          },
          settle: () => this.settle(),
        })
      })
      return await this.verdict(table, comparison, arrivals.at(-1) ?? null)
    } catch (error) {
      if (!(error instanceof PipelineError) || SERVER_ERRORS.has(error.error)) throw error
      return notComparable(table, recordOf(error))
    }
  }

  private async scan(table: string, near: Position): ReturnType<SourceInspector['scan']> {
    const scan = await this.parts.inspector.scan(table, near, this.stopping.signal)
    return scan === null ? null : derivedScan(scan, operatorPlans(this.parts.config))
  }

  private async scanUnion(
    schema: TableSchema,
    parts: readonly TableRecord[],
    near: Position,
  ): Promise<TableScan> {
    const scans: TableScan[] = []
    for (const part of parts) {
      const scan = await this.scan(part.schema.table, near)
      if (scan !== null) scans.push(scan)
      // Rows of a table that has just gone are in the lake, and nowhere to be compared with.
      else throw new StructureDifference([`the source has no table ${part.schema.table}`])
    }
    return unionScan(schema, scans, goneOf(parts))
  }

  private async settle(): Promise<void> {
    const { clock, config } = this.parts
    if (await this.parts.isRunning())
      await clock.sleep(STRUCTURE_MS + 2 * config.checkpoint.intervalMs)
  }

  private async verdict(
    table: string,
    comparison: Comparison,
    last: { high: Order; arrival: Arrival; lake: Order } | null,
  ): Promise<TableVerdict> {
    const { differences, undecided, sourceRows, lakeRows } = comparison
    const equal = differences === 0
    const behind = last?.arrival === 'behind' ? last.lake : null
    const repair = equal ? null : await this.repairOf(table, comparison, behind !== null)
    const notes = [
      ...(behind === null ? [] : [this.behindNote(behind, repair)]),
      ...(!equal && this.lacksHistory(comparison) ? [NO_HISTORY] : []),
    ]
    return {
      table: shownTable(table),
      equal,
      sourceRows,
      lakeRows,
      differences,
      undecided,
      examples: comparison.examples,
      verifiedThrough: last === null ? null : this.format(last.high),
      note: notes.length === 0 ? null : notes.join('; '),
      repair,
      reason: null,
    }
  }

  private async repairOf(table: string, comparison: Comparison, behind: boolean): Promise<Repair> {
    // No log brings back a table that somebody took away.
    if (await this.isGone(table)) return 'resync'
    // The server's log moves by itself, so being behind says nothing about the rows that differ.
    if (behind) return (await this.parts.isRunning()) ? 'wait' : 'run'
    return this.lacksHistory(comparison) ? 'history' : 'resync'
  }

  private async isGone(table: string): Promise<boolean> {
    const { lake } = await this.progress.checkpoint()
    const was = lake.find((entry) => entry.table === table)?.metadataLocation ?? null
    return was !== null && (await this.lake.catalog.load(this.lake.targetOf(table))) === null
  }

  /** Such a pipeline was told to leave the rows out that were there before it. */
  private lacksHistory({ sourceRows, lakeRows }: Comparison): boolean {
    const { source } = this.parts.config
    return source.type !== 'kafka' && source.startup === 'latest' && lakeRows < sourceRows
  }

  private behindNote(lake: Order, repair: Repair | null): string {
    const who = repair === 'wait' ? 'the pipeline does not move' : 'no pipeline moves it on'
    return `the lake has followed the log up to ${this.format(lake)} only, and ${who}`
  }

  private format(order: Order): string {
    return formatOrder(order, this.positionType)
  }
}

/** @throws PipelineError CONFIG_UNSUPPORTED when the lake has rows of a table that is gone */
function partsOf(union: string, { source }: CheckpointRecord): readonly TableRecord[] {
  const parts = source.tables.filter(({ united }) => united?.table === union)
  const gone = parts.filter(({ phase }) => phase === 'dropped').map(({ schema }) => schema.table)
  if (gone.length === 0) return parts
  const message = `${shownTable(union)} has rows of ${gone.join(', ')}, which the source has dropped`
  throw new PipelineError('CONFIG_UNSUPPORTED', message, {
    detail: 'Its rows stay in the lake, and there is nothing to compare them with.',
    hint: 'Compare by SQL; `millrace resync FILE --table TABLE` removes them from the lake.',
  })
}

/** Columns whose values of before the lake has kept. */
function goneOf(parts: readonly TableRecord[]): ReadonlySet<string> {
  return new Set(parts.flatMap(({ united }) => united?.gone ?? []))
}

const NO_HISTORY =
  'startup: latest copies no history, so rows from before the first start are missing in the lake'

function notComparable(table: string, reason: ErrorRecord): TableVerdict {
  return {
    table: shownTable(table),
    equal: false,
    sourceRows: 0,
    lakeRows: 0,
    differences: 0,
    undecided: 0,
    examples: [],
    verifiedThrough: null,
    note: null,
    repair: null,
    reason,
  }
}
