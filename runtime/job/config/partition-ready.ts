// `partition_ready` of a pipeline file: whose partitions are announced, when, and to whom. What a
// table's columns decide is looked at when the table is there.

import { z } from 'zod'
import { parsePartitionField, TransformFault } from '../../data/partition/transform.ts'
import type { PartitionField, TimeUnit } from '../../data/partition/transform.ts'
import { isTimeZone } from '../../data/time-zone.ts'
import { resolveSecret, type ConnectionContext } from './connection.ts'
import { lateFault } from './late.ts'
import type { KafkaEndpointConfig, PipelineConfig, SinkConfig } from './pipeline-config.ts'
import { formatPath, type Path } from './problems.ts'
import { resolveEndpoint } from './resolve-kafka-endpoint.ts'
import { brokers, endpointKeys, kafkaTls } from './schema-kafka-endpoint.ts'
import { duration, secret, text, type SecretInput } from './schema-values.ts'
import type { Secret } from './secret.ts'

const MONTH_MS = 31 * 86_400_000

const timeout = duration(100, 3_600_000)
const receiver = text('a name that stays when the rest changes')
  .optional()
  .describe('What the receiver has heard is remembered under it; default: where it is.')

const action = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('success_file').describe('Writes _SUCCESS into the folder of the partition.'),
  }),
  z.strictObject({
    type: z
      .literal('iceberg_property')
      .describe('Sets millrace.ready.<partition> on the lake table; the last 1,000 are kept.'),
  }),
  z.strictObject({
    type: z.literal('http').describe('Posts a CloudEvents message.'),
    name: receiver,
    url: z.url({ protocol: /^https?$/, error: 'a URL that begins with http:// or https://' }),
    secret: secret.optional().describe('Signs the message as Standard Webhooks say.'),
    auth: z.strictObject({ bearer: secret }).optional().describe('Authorization header.'),
    timeout: timeout.prefault('10s').describe('How long an answer is waited for.'),
  }),
  z.strictObject({
    type: z.literal('exec').describe('Runs a command with the message on its standard input.'),
    name: receiver,
    command: z
      .array(text('a word'), 'a list of words such as ["./notify.sh"]')
      .min(1, 'a list of words such as ["./notify.sh"]')
      .describe('Program and arguments; no shell reads them.'),
    timeout: timeout.prefault('1m').describe('How long it may run.'),
  }),
  z.strictObject({
    type: z.literal('kafka').describe('Writes a CloudEvents message to a topic.'),
    name: receiver,
    ...endpointKeys,
    brokers: brokers.optional().describe('Default: the cluster of the source, where it has one.'),
    tls: kafkaTls.optional(),
    topic: text('the name of a topic').max(249, 'a name of up to 249 characters'),
    timeout: timeout.prefault('10s').describe('How long an answer is waited for.'),
  }),
])

const table = z.strictObject({
  event_time: text('the name of a column')
    .optional()
    .describe('Column that the partition is of; only to be compared with `partition`.'),
  partition: text('an expression such as "hour(ts)"').describe(
    'One of the fields of `sink.partition_by`, by hour, day, month or year.',
  ),
  time_zone: z
    .string('a time zone such as Europe/Berlin')
    .refine(isTimeZone, 'a time zone such as Europe/Berlin')
    .prefault('UTC')
    .describe('Where a partition begins and ends: of dates, and of times without a zone.'),
  delay: duration(0, MONTH_MS)
    .prefault('0s')
    .describe('Between the end of a partition and its announcement.'),
  late: z
    .enum(['reopen', 'dlq', 'drop'])
    .prefault('reopen')
    .describe(
      'Rows of a partition that was announced: reopen announces it again, dlq makes dead letters ' +
        'of them, drop counts them.',
    ),
  actions: z
    .array(action, 'a list of actions such as [{ type: success_file }]')
    .min(1, 'a list of at least one action such as [{ type: success_file }]')
    .describe('Who is told, in this order.'),
})

const TABLE = 'a table of the lake such as lake.orders'

export const partitionReadySchema = z
  .record(text(TABLE), table, 'a block of tables')
  .prefault({})
  .describe('Announces partitions that are whole, by the names of the tables in the lake.')

export type PartitionReadyInput = z.output<typeof partitionReadySchema>

export type ReadyAction =
  | { readonly type: 'success_file' }
  | { readonly type: 'iceberg_property' }
  | {
      readonly type: 'http'
      readonly name: string
      readonly url: string
      readonly secret: Secret | null
      readonly bearer: Secret | null
      readonly timeoutMs: number
    }
  | {
      readonly type: 'exec'
      readonly name: string
      readonly command: readonly [string, ...string[]]
      readonly timeoutMs: number
    }
  | {
      readonly type: 'kafka'
      readonly name: string
      readonly endpoint: KafkaEndpointConfig
      readonly topic: string
      readonly timeoutMs: number
    }

export interface PartitionReadyConfig {
  /** Name in the lake: `namespace.name`. */
  readonly table: string
  readonly column: string
  readonly unit: TimeUnit
  /** The field is the column itself, a date. */
  readonly isDate: boolean
  readonly timeZone: string
  readonly delayMs: number
  /** What becomes of rows of a partition that was announced. */
  readonly late: 'reopen' | 'dlq' | 'drop'
  readonly actions: readonly ReadyAction[]
}

/** What else of the file has a say. */
export interface ReadyContext
  extends ConnectionContext, Pick<PipelineConfig, 'source' | 'sink' | 'transforms' | 'scripts'> {
  /** By table of the lake: fields of its partitioning. */
  partitionBy(table: string): readonly PartitionField[]
}

/** Reports what is wrong; what is returned has no faults where none was reported. */
export function resolvePartitionReady(
  input: PartitionReadyInput,
  context: ReadyContext,
): readonly PartitionReadyConfig[] {
  const { document, source } = context
  const tables = Object.entries(input).flatMap(([name, written]) => {
    const resolved = resolveTable(name, written, context)
    return resolved === null ? [] : [resolved]
  })
  if (tables.length === 0) return tables
  const isTopic = source.type === 'kafka'
  const hasRowTime = isTopic ? source.rowTime !== null : source.eventTime.column !== null
  if (isTopic && !hasRowTime) {
    const message =
      'partition_ready of topics needs source.event_time: when rows happened is not known else'
    document.report(['partition_ready'], { error: 'CONFIG_VALUE', message, atKey: true })
  } else if (hasRowTime && source.eventTime.allIdle === 'hold') {
    const message =
      'without `source.event_time.all_idle: advance` no partition is announced while no rows come'
    const problem = { error: 'CONFIG_VALUE', message, severity: 'warning', atKey: true } as const
    document.report(['partition_ready'], problem)
  }
  return tables
}

function resolveTable(
  name: string,
  written: PartitionReadyInput[string],
  context: ReadyContext,
): PartitionReadyConfig | null {
  const path = ['partition_ready', name]
  const { document, sink } = context
  const report = (key: string, message: string, isLater = false): void => {
    const error = isLater ? 'CONFIG_UNSUPPORTED' : 'CONFIG_VALUE'
    document.report([...path, key], { error, message: `${[...path, key].join('.')}: ${message}` })
  }
  const partition = parsePartition(written.partition)
  if (partition === null) {
    report('partition', `"${written.partition}" is not hour, day, month or year of a column`)
    return null
  }
  const { column } = partition
  if (written.late !== 'reopen') {
    const fault = lateFault(written.late, column, context)
    if (fault !== null) report('late', fault.message, fault.isLater)
  }
  if (written.event_time !== undefined && written.event_time !== column) {
    report('event_time', `the partition is of column ${column}, not ${written.event_time}`)
  }
  const fields = context.partitionBy(name)
  const place = fields.findIndex((field) => isSame(partitionOf(field), partition))
  if (place < 0) {
    const where = sink.type === 'parquet' ? 'sink.layout' : 'sink.partition_by'
    report('partition', `${written.partition} is no field of ${where} of ${name}`)
  }
  return {
    table: name,
    ...partition,
    timeZone: written.time_zone,
    delayMs: written.delay,
    late: written.late,
    actions: resolveActions(written.actions, [...path, 'actions'], place, context),
  }
}

type ParsedPartition = Pick<PartitionReadyConfig, 'column' | 'unit' | 'isDate'>

function parsePartition(written: string): ParsedPartition | null {
  const field = parsePartitionField(written)
  return field instanceof TransformFault ? null : partitionOf(field)
}

/** @returns `null`: the field parts by something else than time */
function partitionOf({ column, transform }: PartitionField): ParsedPartition | null {
  switch (transform.kind) {
    case 'hour':
    case 'day':
    case 'month':
    case 'year':
      return { column, unit: transform.kind, isDate: false }
    case 'identity':
      // Whether it is a date is seen when the table is there.
      return { column, unit: 'day', isDate: true }
    default:
      return null
  }
}

function isSame(left: ParsedPartition | null, right: ParsedPartition): boolean {
  return (
    left !== null &&
    left.column === right.column &&
    left.unit === right.unit &&
    left.isDate === right.isDate
  )
}

function resolveActions(
  written: PartitionReadyInput[string]['actions'],
  path: Path,
  place: number,
  context: ReadyContext,
): ReadyAction[] {
  const { document } = context
  const names = new Set<string>()
  return written.flatMap((one, index): ReadyAction[] => {
    const at = [...path, index]
    const resolved = resolveAction(one, at, place, context)
    if (resolved === null) return []
    const name = 'name' in resolved ? resolved.name : resolved.type
    if (names.has(name)) {
      const message = `${name} is told twice: give one of them another \`name\``
      document.report(at, { error: 'CONFIG_VALUE', message })
    }
    names.add(name)
    return [resolved]
  })
}

function resolveAction(
  written: PartitionReadyInput[string]['actions'][number],
  path: Path,
  place: number,
  context: ReadyContext,
): ReadyAction | null {
  const { document } = context
  switch (written.type) {
    case 'success_file':
      if (place > 0 && !hasFolder(place, context.sink)) {
        const message =
          context.sink.type === 'parquet'
            ? 'success_file needs the folders above the partition to be of the same column'
            : 'success_file needs the partition to be the first field: it has no folder else'
        document.report(path, { error: 'CONFIG_VALUE', message })
      }
      return written
    case 'iceberg_property':
      if (context.sink.type === 'parquet') {
        const message = 'action iceberg_property is not supported: a directory has no properties'
        document.report([...path, 'type'], { error: 'CONFIG_UNSUPPORTED', message })
      }
      return written
    case 'http': {
      const { url, auth, timeout: timeoutMs } = written
      return {
        type: 'http',
        name: written.name ?? `http ${withoutQuery(url)}`,
        url,
        secret: secretOf(written.secret, [...path, 'secret'], context),
        bearer: secretOf(auth?.bearer, [...path, 'auth', 'bearer'], context),
        timeoutMs,
      }
    }
    case 'exec': {
      const [program, ...args] = written.command
      if (program === undefined) return null
      const command: [string, ...string[]] = [program, ...args]
      const name = written.name ?? `exec ${program}`
      return { type: 'exec', name, command, timeoutMs: written.timeout }
    }
    case 'kafka':
      return resolveTopic(written, path, context)
  }
}

type TopicInput = Extract<PartitionReadyInput[string]['actions'][number], { type: 'kafka' }>

function resolveTopic(written: TopicInput, path: Path, context: ReadyContext): ReadyAction | null {
  const { document, source } = context
  const { topic, timeout: timeoutMs, brokers: own, tls = {}, sasl } = written
  const name = written.name ?? `kafka ${topic}`
  if (own !== undefined) {
    const given = { brokers: own, tls, ...(sasl !== undefined && { sasl }) }
    const endpoint = resolveEndpoint(given, path, context)
    return { type: 'kafka', name, endpoint, topic, timeoutMs }
  }
  for (const key of ['tls', 'sasl'] as const) {
    if (written[key] === undefined) continue
    const message = `${formatPath([...path, key])} is of the brokers, which are not given here`
    document.report([...path, key], { error: 'CONFIG_VALUE', message, atKey: true })
  }
  if (source.type === 'kafka') {
    return { type: 'kafka', name, endpoint: source, topic, timeoutMs }
  }
  const message = `${formatPath([...path, 'brokers'])} is missing: the source is no cluster`
  document.report(path, { error: 'CONFIG_VALUE', message })
  return null
}

/** In a directory the time of a partition tells the folders above it, if they are of that time. */
function hasFolder(place: number, sink: SinkConfig): boolean {
  if (sink.type !== 'parquet') return false
  const above = sink.layout.partitions.slice(1, place + 1)
  return above.every(({ short }) => short)
}

function secretOf(
  written: SecretInput | undefined,
  path: Path,
  context: ConnectionContext,
): Secret | null {
  return written === undefined ? null : resolveSecret(written, path, context)
}

/** Keys often stand in the query of a webhook's address. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}
