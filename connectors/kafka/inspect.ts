// What the command line asks of a cluster: its topics as tables, and whether they can be read, and
// for how long. Reads only, and joins no group.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import { namesOf } from '../../runtime/data/schema.ts'
import { formatType } from '../../runtime/data/type.ts'
import type {
  DiscoveredTable,
  Finding,
  Removal,
  SourceContext,
  SourceInspector,
  TableScan,
} from '../../runtime/source.ts'
import { TopicRows } from './decode/topic-rows.ts'
import { selectedTopics, type Topic } from './discovery.ts'
import type { KafkaOptions } from './options.ts'
import { sampleTopic } from './sample.ts'
import { Cluster, type FoundOffset, type PartitionName } from './wire/cluster.ts'
import { openReader } from './wire/reader.ts'
import { topicSettings, type TopicSettings } from './wire/topic-settings.ts'

/** A pipeline that stands still over a weekend should lose nothing. */
const RETENTION_WARN_MS = 3 * 86_400_000
const READ_TRIAL_MS = 5000
const HOUR_MS = 3_600_000

/** @param user  named in the commands that grant; `null`: the connection has no name */
export function createKafkaInspector(options: KafkaOptions, user: string | null): SourceInspector {
  return new KafkaInspector(options, user)
}

class KafkaInspector implements SourceInspector {
  private readonly options: KafkaOptions
  private readonly user: string | null
  private cluster: Promise<Cluster> | null = null

  constructor(options: KafkaOptions, user: string | null) {
    this.options = options
    this.user = user
  }

  async check(): Promise<readonly Finding[]> {
    const cluster = await this.opened()
    const { clusterId, brokers } = await cluster.metadata([])
    const findings = [pass('cluster', `${clusterId ?? 'no id'}, ${brokers.size} brokers`)]
    const topics = await selectedTopics(cluster, this.options.topics)
    findings.push(this.checkTopics(topics), ...(await this.checkRegistries()))
    const partitions = topics.flatMap(partitionsOf)
    findings.push(...(await this.checkRead(cluster, topics)))
    findings.push(...(await this.checkGroups(cluster, partitions)))
    findings.push(...(await this.checkRetention(cluster, topics)))
    if (partitions.length > 0) findings.push(await this.checkIsolation(cluster, partitions))
    return findings
  }

  async discover(): Promise<readonly DiscoveredTable[]> {
    const cluster = await this.opened()
    const topics = await selectedTopics(cluster, this.options.topics)
    const partitions = topics.flatMap(partitionsOf)
    const first = await this.offsetsOf(cluster, partitions, 'earliest')
    const last = await this.offsetsOf(cluster, partitions, 'latest')
    return topics.map((topic) => this.tableOf(topic, recordsOf(topic, first, last)))
  }

  async scan(): Promise<TableScan | null> {
    return null
  }

  sample(
    table: string,
    rowsMax: number,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncIterable<ChangeBatch> {
    return sampleTopic(this.options, namesOf(table).name, rowsMax, context, signal)
  }

  async drop(): Promise<readonly Removal[]> {
    const { groupId } = this.options
    if (groupId === null) return []
    const kept = 'nothing reads them: `kafka-consumer-groups.sh --delete` removes them'
    return [{ what: `offsets of group "${groupId}"`, kept }]
  }

  async close(): Promise<void> {
    const { cluster } = this
    this.cluster = null
    await (await cluster?.catch(() => null))?.close()
  }

  private async opened(): Promise<Cluster> {
    this.cluster ??= Cluster.open(this.options.cluster)
    return this.cluster
  }

  private async offsetsOf(
    cluster: Cluster,
    partitions: readonly PartitionName[],
    wanted: 'earliest' | 'latest',
  ): Promise<readonly FoundOffset[]> {
    return partitions.length === 0 ? [] : cluster.offsets(partitions, wanted, 'read_uncommitted')
  }

  private tableOf(topic: Topic, records: number | null): DiscoveredTable {
    const { namespace } = this.options
    const base = { namespace, name: topic.name, estimatedRows: records }
    try {
      const shape = new TopicRows(topic, this.options, null, () => undefined).nextShape()
      if (shape === null) return { ...base, key: null, columns: [] }
      const { columns, key } = shape.table
      return {
        ...base,
        key: key?.map((identity) => nameOf(columns, identity)) ?? null,
        columns: columns.map(({ name, sourceType, nullable, type }) => ({
          name,
          sourceType,
          nullable,
          lakeType: formatType(type),
          note: null,
        })),
      }
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      const note = { sourceType: '', nullable: true, lakeType: null, note: error.message }
      return { ...base, key: null, columns: [{ name: '', ...note }] }
    }
  }

  private async checkRegistries(): Promise<Finding[]> {
    const findings: Finding[] = []
    for (const registry of this.options.registries) {
      try {
        const subjects = await registry.subjects(new AbortController().signal)
        findings.push(pass('registry', `${registry.name} has ${subjects.length} subjects`))
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error
        findings.push({ ...fail('registry', error.message, error.hint), fix: null })
      }
    }
    return findings
  }

  private checkTopics(topics: readonly Topic[]): Finding {
    const partitions = topics.reduce((sum, topic) => sum + topic.partitions, 0)
    if (topics.length > 0)
      return pass('tables', `${topics.length} topics, ${partitions} partitions`)
    const fix = this.grant('--operation Describe --operation Read --topic NAME')
    return fail('tables', 'no topic matches, or this user may describe none', fix)
  }

  /** Only reading tells whether one may: every topic is tried at the end of a partition. */
  private async checkRead(cluster: Cluster, topics: readonly Topic[]): Promise<Finding[]> {
    if (topics.length === 0) return []
    const denied = await deniedTopics(cluster, topics)
    if (denied.length === 0) return [pass('read', 'all topics may be read')]
    return denied.map((topic) =>
      fail(
        'read',
        `topic "${topic}" may not be read`,
        this.grant(`--operation Read --topic ${topic}`),
      ),
    )
  }

  private async checkGroups(
    cluster: Cluster,
    partitions: readonly PartitionName[],
  ): Promise<Finding[]> {
    const { groupId, start } = this.options
    const groups = [
      ...(groupId === null ? [] : [groupId]),
      ...(start.at === 'group' ? [start.group] : []),
    ]
    const findings: Finding[] = []
    for (const group of new Set(groups)) {
      const name = `group ${group}`
      try {
        const found = await cluster.groupOffsets(group, partitions)
        findings.push(
          pass(name, `has offsets of ${found.length} of ${partitions.length} partitions`),
        )
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error
        const fix = this.grant(`--operation Read --group ${group}`)
        findings.push(fail(name, error.message, fix))
      }
    }
    return findings
  }

  private async checkRetention(cluster: Cluster, topics: readonly Topic[]): Promise<Finding[]> {
    const names = topics.map(({ name }) => name)
    const settings = await topicSettings(cluster, names).catch(
      () => new Map<string, TopicSettings>(),
    )
    return names.flatMap((topic) => retentionOf(topic, settings.get(topic)))
  }

  private async checkIsolation(
    cluster: Cluster,
    partitions: readonly PartitionName[],
  ): Promise<Finding> {
    const { isolation } = this.options
    if (isolation === 'read_uncommitted') {
      const message = 'read_uncommitted: records of aborted transactions are read as well'
      return warning('isolation', message)
    }
    const stable = await cluster.offsets(partitions, 'latest', 'read_committed')
    const all = await cluster.offsets(partitions, 'latest', 'read_uncommitted')
    const open = stable.filter(
      ({ offset }, index) => (all[index]?.offset ?? 0) > (offset ?? Infinity),
    )
    if (open.length === 0) return pass('isolation', 'read_committed, and no transaction is open')
    const { topic, partition, offset } = open[0] ?? { topic: '', partition: 0, offset: 0 }
    const message =
      `read_committed: ${open.length} partitions wait for open transactions, ` +
      `partition ${partition} of topic "${topic}" at offset ${offset}`
    return warning('isolation', message)
  }

  private grant(what: string): string {
    const user = this.user ?? 'NAME'
    return `kafka-acls.sh --add --allow-principal User:${user} ${what}`
  }
}

function partitionsOf({ name: topic, partitions }: Topic): PartitionName[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
}

function recordsOf(
  { name }: Topic,
  first: readonly FoundOffset[],
  last: readonly FoundOffset[],
): number | null {
  let records = 0
  for (const [index, { topic, offset }] of last.entries()) {
    if (topic !== name) continue
    const start = first[index]?.offset ?? null
    if (start === null || offset === null) return null
    records += offset - start
  }
  return records
}

/** @returns topics of which the leader of a partition says that this user may not read them */
async function deniedTopics(
  cluster: Cluster,
  topics: readonly Topic[],
): Promise<readonly string[]> {
  const partitions = topics.map(({ name: topic }) => ({ topic, partition: 0 }))
  const ends = await cluster.offsets(partitions, 'latest', 'read_uncommitted')
  const reader = openReader(cluster, { isolation: 'read_uncommitted', maxWaitMs: 1 })
  const denied: string[] = []
  const { clock } = cluster.options
  const untilMs = clock.elapsedMs() + READ_TRIAL_MS
  try {
    reader.assign(
      topics.map(({ name: topic, id: topicId }, index) => {
        const offset = ends[index]?.offset ?? 0
        return { topic, topicId, partition: 0, offset, leaderEpoch: -1 }
      }),
    )
    const open = new Set(topics.map(({ name }) => name))
    while (open.size > 0 && clock.elapsedMs() < untilMs) {
      for (let next = reader.take(); next !== null; next = reader.take()) {
        open.delete(next.topic)
        if (next.kind === 'records') reader.remove(next.topicId, next.partition)
        else if (next.problem === 'unauthorized') denied.push(next.topic)
      }
      for (const { topic, highWatermark } of reader.states())
        if (highWatermark >= 0) open.delete(topic)
      if (open.size > 0) await reader.wait(20, new AbortController().signal)
    }
    return denied
  } finally {
    await reader.close()
  }
}

function retentionOf(topic: string, settings: TopicSettings | undefined): Finding[] {
  const name = `retention ${topic}`
  if (settings === undefined) {
    return [warning(name, 'is not known: the user lacks DescribeConfigs on the topic')]
  }
  const { retentionMs, retentionBytes, compacted } = settings
  const findings: Finding[] = []
  if (retentionMs !== null && retentionMs < RETENTION_WARN_MS) {
    const hours = Math.round((retentionMs / HOUR_MS) * 10) / 10
    findings.push(
      warning(
        name,
        `records are kept for ${hours} h: a pipeline that stands still longer loses some`,
      ),
    )
  }
  if (retentionBytes !== null) {
    findings.push(
      warning(name, `${retentionBytes} bytes of a partition are kept, however old they are`),
    )
  }
  if (compacted) {
    findings.push(warning(name, 'is compacted: only the last record of a key is sure to be read'))
  }
  return findings.length > 0 ? findings : [pass(name, 'leaves time')]
}

function nameOf(
  columns: readonly { readonly identity: string; readonly name: string }[],
  identity: string,
): string {
  return columns.find((column) => column.identity === identity)?.name ?? identity
}

function pass(name: string, message: string): Finding {
  return { name, ok: true, warning: false, message, fix: null }
}

function warning(name: string, message: string): Finding {
  return { name, ok: false, warning: true, message, fix: null }
}

function fail(name: string, message: string, fix: string): Finding {
  return { name, ok: false, warning: false, message, fix }
}
