// What the runtime is to a source, in memory: structures by the real rules of evolution, rows as
// plain values with the place that each has.

import { systemClock } from '../../runtime/base/clock.ts'
import { recordOf, type ErrorRecord, type PipelineError } from '../../runtime/base/errors.ts'
import { OP_LETTERS, transactionOrder, type ChangeBatch } from '../../runtime/data/batch.ts'
import type { EventTimes } from '../../runtime/data/event-times.ts'
import { isNull, type Column } from '../../runtime/data/column/column.ts'
import type { SourceElement } from '../../runtime/data/element.ts'
import { evolve, firstSchema } from '../../runtime/data/evolution.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import { tableKey, type SourceTable, type TableSchema } from '../../runtime/data/schema.ts'
import type { Source, SourceContext } from '../../runtime/source.ts'
import type { KafkaOptions } from '../../connectors/kafka/options.ts'
import { rawFormat } from '../../connectors/kafka/decode/raw.ts'

export interface PlayedRow {
  readonly op: string
  readonly table: string
  readonly version: number
  readonly values: Readonly<Record<string, unknown>>
  readonly order: Order
  readonly sequence: number
  readonly timeUs: bigint
}

const OPTIONS = { firstFieldId: 1, keyed: false }

export class PlayedContext implements SourceContext {
  readonly schemas = new Map<string, TableSchema>()
  readonly incarnations = new Map<string, string>()
  readonly parked = new Map<string, ErrorRecord>()
  readonly dropped: string[] = []
  readonly rows: PlayedRow[] = []
  readonly positions: Position[] = []
  /** As they were told, in order. */
  readonly times: EventTimes[] = []
  private readonly keyed: boolean

  constructor(keyed = false) {
    this.keyed = keyed
  }

  /** Rows before are too late. */
  lateUs: bigint | null = null

  lateBefore(): bigint | null {
    return this.lateUs
  }

  timesRead(times: EventTimes): void {
    this.times.push(times)
  }

  /** Tables whose updates come with the rows that they replace. */
  readonly withOldRows = new Set<string>()

  oldRows(table: string): boolean {
    return this.withOldRows.has(table)
  }

  schemaOf(table: string): TableSchema | null {
    return this.parked.has(table) ? null : (this.schemas.get(table) ?? null)
  }

  tableChanged(table: SourceTable): TableSchema | null {
    const name = tableKey(table)
    if (this.parked.has(name)) return null
    const before = this.schemas.get(name)
    const options = { ...OPTIONS, keyed: this.keyed }
    const reborn = this.incarnations.get(name) !== table.incarnation
    const evolution =
      before === undefined
        ? firstSchema(table, options)
        : evolve(before, table, reborn ? 'gone' : 'carried', options)
    this.incarnations.set(name, table.incarnation)
    if (evolution.kind === 'unmappable') throw new Error(evolution.reason)
    if (evolution.kind === 'evolved') this.schemas.set(name, evolution.schema)
    return this.schemas.get(name) ?? null
  }

  tableTruncated(): void {}

  tableDropped(table: string): void {
    this.dropped.push(table)
  }

  park(table: string, error: PipelineError): void {
    this.parked.set(table, recordOf(error))
  }

  countParked(): void {}

  take(element: SourceElement): void {
    if (element.kind === 'progress') this.positions.push(element.position)
    else this.takeBatch(element)
  }

  private takeBatch(batch: ChangeBatch): void {
    const schema = this.schemas.get(batch.table)
    if (schema?.version !== batch.schemaVersion) throw new Error('rows of another structure')
    for (let row = 0; row < batch.rows; row++) {
      const index = batch.transaction[row]!
      this.rows.push({
        op: OP_LETTERS[batch.ops[row]!]!,
        table: batch.table,
        version: batch.schemaVersion,
        values: Object.fromEntries(
          schema.fields.map(({ name }, at) => [name, valueOf(batch.columns[at]!, row)]),
        ),
        order: transactionOrder(batch.transactions, index),
        sequence: batch.sequence[row]!,
        timeUs: batch.transactions.timeUs[index]!,
      })
    }
  }
}

function valueOf(column: Column, row: number): unknown {
  if (isNull(column, row)) return null
  switch (column.layout) {
    case 'bytes':
      return Buffer.from(
        column.bytes.slice(column.offsets[row], column.offsets[row + 1]),
      ).toString()
    case 'list':
      throw new Error('no list here')
    default:
      return Number(column.values[row])
  }
}

/** Options of a source that reads everything raw, as text. */
export function playedOptions(changes: Partial<KafkaOptions> = {}): KafkaOptions {
  const raw = rawFormat({ as: 'text', readsNull: (changes.nullValue ?? 'row') === 'row' })
  return {
    cluster: {
      bootstrap: [{ host: 'played', port: 9092 }],
      clientId: 'test',
      tls: { mode: 'disabled', ca: null, client: null },
      sasl: null,
      silenceMs: 1000,
      clock: systemClock,
    },
    topics: (topic) => !topic.startsWith('other'),
    namespace: 'kafka',
    groupId: null,
    start: { at: 'earliest' },
    isolation: 'read_committed',
    nullValue: 'row',
    onRecreate: 'stop',
    metadata: ['__partition__', '__offset__'],
    primaryKeys: null,
    key: raw,
    value: raw,
    registries: [],
    onDecodeError: 'stop',
    deadLetters: null,
    eventTime: null,
    refreshMs: 1,
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined },
    ...changes,
  }
}

/**
 * Reads until the condition holds, asking for a position all the time.
 *
 * @param after  `null`: the very first start
 */
export async function readUntil(
  source: Source,
  context: PlayedContext,
  done: () => boolean | Promise<boolean>,
  { after = null, saved = null }: { after?: Position | null; saved?: Uint8Array | null } = {},
): Promise<{ readonly position: Position; readonly saved: Uint8Array }> {
  const opening = await source.open(saved, after, false)
  for (const table of opening.tables) context.tableChanged(table)
  const stopping = new AbortController()
  let last = { position: opening.position, saved: source.save() }
  const limit = setTimeout(() => stopping.abort(), 5000)
  const asking = setInterval(() => source.requestProgress(), 2)
  try {
    for await (const element of source.read(opening.position, context, stopping.signal)) {
      context.take(element)
      if (element.kind !== 'progress') continue
      last = { position: element.position, saved: source.save() }
      if (await done()) return last
    }
    throw new Error('the condition does not come to hold')
  } finally {
    clearTimeout(limit)
    clearInterval(asking)
    await source.close()
  }
}
