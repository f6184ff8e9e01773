// What `check` asks of the cluster of a sink: whether its topics are there or can be made, whether
// this user may write and read them, and whether it may use the ids of its transactions. Asks only.

import { metadataV10 } from '@platformatic/kafka'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { CatalogTable } from '../../../runtime/catalog.ts'
import type { Finding } from '../../../runtime/source.ts'
import { Cluster } from '../wire/cluster.ts'
import { KafkaCode } from '../wire/failure.ts'
import { findCoordinator } from '../wire/group.ts'
import type { ClusterOptions } from '../wire/options.ts'
import { topicName } from './topics.ts'

export interface SinkCheck {
  readonly cluster: ClusterOptions
  /** Named in the commands that grant. */
  readonly user: string | null
  readonly topic: string
  readonly transactionalId: string
  readonly creates: boolean
  readonly targets: readonly CatalogTable[]
}

const TRANSACTION = 1
/** Of the bits that a broker answers with, by Kafka's numbers of operations. */
const READ = 1 << 3
const WRITE = 1 << 4
/** The broker does not say. */
const UNKNOWN = -2_147_483_648

export async function checkKafkaSink(check: SinkCheck): Promise<readonly Finding[]> {
  let cluster: Cluster
  try {
    cluster = await Cluster.open(check.cluster)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return [finding('sink.brokers', false, error.message)]
  }
  try {
    const { clusterId, brokers } = await cluster.metadata([])
    const reached = `${clusterId ?? 'no id'}, ${brokers.size} brokers`
    const topics = await checkTopics(cluster, check)
    return [finding('sink.brokers', true, reached), ...topics, await checkId(cluster, check)]
  } finally {
    await cluster.close()
  }
}

async function checkTopics(cluster: Cluster, check: SinkCheck): Promise<Finding[]> {
  const names = new Map<string, string>()
  const findings: Finding[] = []
  for (const target of check.targets) {
    const table = `${target.namespace}.${target.name}`
    try {
      const topic = topicName(check.topic, target)
      const other = names.get(topic)
      if (other === undefined) names.set(topic, table)
      else findings.push(finding(table, false, `topic "${topic}" is that of ${other} already`))
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      findings.push(finding(table, false, error.message))
    }
  }
  const connection = await cluster.any()
  const wanted = [...names.keys()]
  // Of one version with the list of what this user may do.
  const { topics } =
    wanted.length === 0
      ? { topics: [] }
      : await connection.call([metadataV10.api], wanted, false, true)
  for (const { name, errorCode, topicAuthorizedOperations: may, partitions } of topics) {
    const topic = name ?? ''
    findings.push(topicFinding(check, topic, errorCode, may, partitions.length))
  }
  return findings
}

function topicFinding(
  check: SinkCheck,
  topic: string,
  code: number,
  may: number,
  partitions: number,
): Finding {
  const name = `topic ${topic}`
  const operations = '--operation Write --operation Read --operation Describe'
  const grant = acl(check, `${operations} --topic ${topic}`)
  if (code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION) {
    if (check.creates) return finding(name, true, 'will be made')
    const fix = `kafka-topics.sh --create --topic ${topic}`
    return { ...finding(name, false, 'does not exist, and `create_topics` is false'), fix }
  }
  if (code === KafkaCode.TOPIC_AUTHORIZATION_FAILED) {
    return { ...finding(name, false, 'may not be seen by this user'), fix: grant }
  }
  if (may !== UNKNOWN && ((may & READ) === 0 || (may & WRITE) === 0)) {
    const lacking = (may & WRITE) === 0 ? 'written' : 'read, which tells how transactions ended'
    return { ...finding(name, false, `may not be ${lacking}`), fix: grant }
  }
  return finding(name, true, `${partitions} partitions`)
}

async function checkId(cluster: Cluster, check: SinkCheck): Promise<Finding> {
  const { transactionalId: id } = check
  const { code } = await findCoordinator(await cluster.any(), TRANSACTION, id)
  if (code !== KafkaCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED) {
    return finding('sink.transactional_id', true, id)
  }
  const what =
    '--operation Write --operation Describe ' +
    `--resource-pattern-type prefixed --transactional-id ${id}`
  const message = `"${id}" may not be used by this user`
  return { ...finding('sink.transactional_id', false, message), fix: acl(check, what) }
}

function acl({ user }: SinkCheck, what: string): string {
  return `kafka-acls.sh --add --allow-principal User:${user ?? 'NAME'} ${what}`
}

function finding(name: string, ok: boolean, message: string): Finding {
  return { name, ok, warning: false, message, fix: null }
}
