// What `source.event_time` says, with its defaults: when a row happened, and how long to wait for
// those before it. Of topics the columns are known here as far as the file declares them.

import type { z } from 'zod'
import { nearestName } from '../../base/nearest.ts'
import { TIME_KINDS, type EventTimeUnit } from '../../data/event-times.ts'
import { formatType, type ColumnType } from '../../data/type.ts'
import { COMMIT_TIME, type EventTimeOptions } from '../table-times.ts'
import type { ConfigDocument } from './document.ts'
import type { eventTimeKeys } from './schema-event-time.ts'
import type { RecordFormatInput } from './schema-formats.ts'
import type { KafkaInput } from './schema-kafka.ts'

type Written = z.output<z.ZodObject<typeof eventTimeKeys>>

/** @param written  `undefined`: a database goes by the time of its commits */
export function resolveEventTime(
  written: (Written & { readonly column?: string }) | undefined,
  document: ConfigDocument,
): EventTimeOptions {
  if (written === undefined) return COMMIT_TIME
  return { ...COMMIT_TIME, ...shared(written, document), column: written.column ?? null }
}

/** What tells when the rows of topics happened. */
export interface TopicTimeConfig {
  /** `null`: the timestamp of the record. */
  readonly field: string | null
  /** Of a column of numbers. */
  readonly unit: EventTimeUnit | null
  readonly future: 'pass' | 'dlq'
  /** Columns come with the records, so it may not be there yet. */
  readonly fieldMayCome: boolean
}

/** As a metadata column it is the timestamp of the record, carried along or not. */
const RECORD_TIME = '__timestamp__'

export function resolveTopicTime(
  input: KafkaInput,
  document: ConfigDocument,
): { readonly eventTime: EventTimeOptions; readonly rowTime: TopicTimeConfig | null } {
  const { event_time: written, watermark_alignment: alignment } = input
  const maxDriftMs = alignment?.max_drift ?? null
  const splits = { ...COMMIT_TIME, splits: true, maxDriftMs }
  if (written === undefined) {
    if (alignment !== undefined) {
      const message =
        'source.watermark_alignment needs source.event_time: what is ahead is not known else'
      const problem = { error: 'CONFIG_VALUE', message, atKey: true } as const
      document.report(['source', 'watermark_alignment'], problem)
    }
    return { eventTime: splits, rowTime: null }
  }
  const field = written.field === RECORD_TIME ? null : (written.field ?? null)
  const unit = written.unit ?? null
  if (field === null && unit !== null) {
    const message = 'source.event_time.unit is of a `field`; the timestamp of a record has its own'
    document.report(['source', 'event_time', 'unit'], { error: 'CONFIG_VALUE', message })
  } else if (field !== null) checkField(field, unit, input, document)
  const fieldMayCome = 'unknown' in input.value && input.value.unknown.kind === 'evolve'
  return {
    eventTime: { ...splits, ...shared(written, document) },
    rowTime: { field, unit, future: written.future, fieldMayCome },
  }
}

function shared(
  { time_zone, max_out_of_order, max_future, idle_partition, all_idle }: Written,
  document: ConfigDocument,
): Pick<EventTimeOptions, 'timeZone' | 'maxOutOfOrderMs' | 'maxFutureMs' | 'idleMs' | 'allIdle'> {
  if (all_idle === 'advance' && idle_partition === undefined) {
    const message =
      'source.event_time.all_idle: advance needs `idle_partition`: nothing is idle else'
    document.report(['source', 'event_time', 'all_idle'], { error: 'CONFIG_VALUE', message })
  }
  return {
    timeZone: time_zone,
    maxOutOfOrderMs: max_out_of_order,
    maxFutureMs: max_future,
    idleMs: idle_partition ?? null,
    allIdle: all_idle,
  }
}

function checkField(
  field: string,
  unit: EventTimeUnit | null,
  input: KafkaInput,
  document: ConfigDocument,
): void {
  const columns = declaredColumns(input)
  if (columns === null) return
  const report = (key: 'field' | 'unit', message: string, suggestion?: string): void => {
    const problem = {
      error: 'CONFIG_VALUE',
      message: `source.event_time.${key}: ${message}`,
    } as const
    const path = ['source', 'event_time', key]
    document.report(path, suggestion === undefined ? problem : { ...problem, suggestion })
  }
  const type = columns.get(field)
  if (type === undefined) {
    const near = nearestName(field, [...columns.keys()]) ?? undefined
    return report('field', `no column "${field}" is declared`, near)
  }
  const isNumber = type.kind === 'long' || type.kind === 'int'
  if (!isNumber && !TIME_KINDS.has(type.kind)) {
    return report('field', `column "${field}" is ${formatType(type)}, which tells no time`)
  }
  if (isNumber && unit === null) {
    return report('unit', `column "${field}" is ${formatType(type)} and needs one: s, ms or us`)
  }
  if (!isNumber && unit !== null) {
    report('unit', `column "${field}" is ${formatType(type)}, whose unit is known`)
  }
}

/** @returns columns of the rows, as far as the file says them all; `null`: it does not */
function declaredColumns(input: KafkaInput): ReadonlyMap<string, ColumnType> | null {
  const value = columnsOf(input.value, 'value')
  const key = input.key === undefined ? [] : columnsOf(input.key, 'key')
  return value === null || key === null ? null : new Map([...value, ...key])
}

function columnsOf(
  format: RecordFormatInput,
  part: 'key' | 'value',
): readonly (readonly [string, ColumnType])[] | null {
  switch (format.format) {
    case 'raw':
      return [[part, { kind: format.as === 'text' ? 'string' : 'binary' }]]
    case 'json':
      if (format.unknown.kind === 'evolve') return null
      return format.schema.map(({ name, type }) => [name, type] as const)
    case 'debezium-json':
    case 'canal-json':
    case 'maxwell-json':
      return format.columns?.map(({ name, type }) => [name, type] as const) ?? null
    case 'avro':
    case 'protobuf':
      return null
  }
}
