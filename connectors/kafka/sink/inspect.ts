// What `check` asks of the cluster of a sink: whether its topics are there or can be made, whether
// this user may write and read them, and whether it may use the ids of its transactions. Asks only.

import { describeConfigsV4, metadataV10 } from '@platformatic/kafka'
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
  readonly timeoutMs: number
  readonly creates: boolean
  readonly targets: readonly CatalogTable[]
}

const TRANSACTION = 1
/** Kafka's number of this kind of resource. */
const BROKER = 4 as const
const TIMEOUT_MAX = 'transaction.max.timeout.ms'
const COORDINATOR_MS = 10_000
const POLL_MS = 200
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
    return [
      finding('sink.brokers', true, reached),
      ...(await checkTopics(cluster, check)),
      await checkId(cluster, check),
      ...(await checkTimeout(cluster, check, [...brokers.keys()])),
    ]
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
  const { clock } = cluster.options
  const endMs = clock.elapsedMs() + COORDINATOR_MS
  let code: number
  do {
    code = (await findCoordinator(await cluster.any(), TRANSACTION, id)).code
    // The first question of a cluster's life makes the topic of its transactions.
    if (code === KafkaCode.COORDINATOR_NOT_AVAILABLE) await clock.sleep(POLL_MS)
  } while (code === KafkaCode.COORDINATOR_NOT_AVAILABLE && clock.elapsedMs() < endMs)
  if (code === KafkaCode.NONE) return finding('sink.transactional_id', true, id)
  if (code !== KafkaCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED) {
    const message = `no broker coordinates transactions: error ${code}`
    const fix = 'set transaction.state.log.replication.factor to the number of brokers or less'
    return { ...finding('sink.transactional_id', false, message), fix }
  }
  const what =
    '--operation Write --operation Describe ' +
    `--resource-pattern-type prefixed --transactional-id ${id}`
  const message = `"${id}" may not be used by this user`
  return { ...finding('sink.transactional_id', false, message), fix: acl(check, what) }
}

/** Says nothing where this user may not ask. */
async function checkTimeout(
  cluster: Cluster,
  { timeoutMs }: SinkCheck,
  brokers: readonly number[],
): Promise<Finding[]> {
  const maxima: number[] = []
  for (const id of brokers) {
    const asked = [
      { resourceType: BROKER, resourceName: String(id), configurationKeys: [TIMEOUT_MAX] },
    ]
    const connection = await cluster.control(id)
    const { results } = await connection.call([describeConfigsV4.api], asked, false, false)
    const found = results.flatMap(({ configs }) => configs).find(({ name }) => name === TIMEOUT_MAX)
    if (typeof found?.value === 'string') maxima.push(Number(found.value))
  }
  const most = Math.min(...maxima)
  if (timeoutMs <= most) return []
  const message = `${timeoutMs / 1000} s, and the brokers allow ${most / 1000} s`
  const fix = `lower it, or raise ${TIMEOUT_MAX} of the brokers`
  return [{ ...finding('sink.transaction_timeout', false, message), fix }]
}

function acl({ user }: SinkCheck, what: string): string {
  return `kafka-acls.sh --add --allow-principal User:${user ?? 'NAME'} ${what}`
}

function finding(name: string, ok: boolean, message: string): Finding {
  return { name, ok, warning: false, message, fix: null }
}
