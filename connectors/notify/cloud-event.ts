// A partition that is ready as a CloudEvents 1.0 message in JSON. Its bytes are the same whenever
// it is told again, but for the snapshot, which may be a later one that shows the partition as
// well. Source: CloudEvents 1.0.2, "JSON Event Format", https://github.com/cloudevents/spec

import type { PartitionReady } from '../../runtime/notifier.ts'

export const EVENT_TYPE = 'millrace.partition.ready.v1'
export const EVENT_CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8'

/** What is said of the partition, by everybody who writes it down. */
export function partitionData(event: PartitionReady): Record<string, unknown> {
  return {
    table: event.table,
    partition: { [event.field]: event.value },
    generation: event.generation,
    watermark: isoTime(event.watermarkUs),
    rows: event.rows,
    files: event.files,
    bytes: event.bytes,
    late_rows: event.lateRows,
    epoch: event.epoch,
    // As text: a reader whose numbers are doubles would round it.
    snapshot_id: event.snapshotId?.toString() ?? null,
    completeness: event.completeness,
  }
}

/** @returns the text of the message, without a line feed */
export function cloudEvent(event: PartitionReady): string {
  return JSON.stringify({
    specversion: '1.0',
    type: EVENT_TYPE,
    id: event.id,
    source: `/pipelines/${event.pipeline}`,
    subject: subjectOf(event),
    time: new Date(event.decidedAtMs).toISOString(),
    datacontenttype: 'application/json',
    data: partitionData(event),
  })
}

/**
 * The message as a record of a topic, whole in its value (structured mode of the Kafka protocol
 * binding). The key is the partition: its generations are in one partition of the topic, in order.
 */
export function cloudEventRecord(event: PartitionReady): {
  readonly key: string
  readonly value: string
  readonly headers: readonly { readonly name: string; readonly value: string }[]
} {
  return {
    key: subjectOf(event),
    value: cloudEvent(event),
    headers: [{ name: 'content-type', value: EVENT_CONTENT_TYPE }],
  }
}

function subjectOf({ table, field, value }: PartitionReady): string {
  return `${table}/${field}=${value}`
}

/** ISO 8601 with the microseconds that there are. */
export function isoTime(us: bigint): string {
  const ms = us / 1000n
  const rest = us - ms * 1000n
  // Times before 1970 count down.
  const [whole, micros] = rest < 0n ? [ms - 1n, rest + 1000n] : [ms, rest]
  const text = new Date(Number(whole)).toISOString()
  const digits = micros === 0n ? '' : String(micros).padStart(3, '0')
  return text.replace(/Z$/, `${digits}Z`).replace(/\.000Z$/, 'Z')
}
