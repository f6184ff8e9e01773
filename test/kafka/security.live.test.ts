// Connections to brokers that ask who comes: every mechanism with and without TLS, and what a wrong
// password, a wrong certificate and a missing ACL are told as.

import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { Cluster } from '../../connectors/kafka/wire/cluster.ts'
import type { ClusterOptions, KafkaSasl, KafkaTls } from '../../connectors/kafka/wire/options.ts'
import kafkajs from 'kafkajs'
import { available } from '../servers/available.ts'
import { createTopic, produce, withAdmin } from '../servers/kafka-client.ts'
import { KAFKA_USERS, type KafkaServer, startKafka } from '../servers/kafka.ts'
import { clusterOptions, placesOf, Reading } from './reading.ts'

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const

function sasl(mechanism: (typeof MECHANISMS)[number], password: string): KafkaSasl {
  if (mechanism !== 'OAUTHBEARER') return { mechanism, user: 'alice', password: () => password }
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: 'alice', iat: now, exp: now + (password === 'wrong' ? -60 : 600) }
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return { mechanism, token: async () => `${part({ alg: 'none' })}.${part(claims)}.` }
}

/** `tls: null`: the listener without. @returns the error's name, or what was read */
async function outcome(
  server: KafkaServer,
  sasl: KafkaSasl | null,
  tls: Partial<KafkaTls> | null,
): Promise<string> {
  const brokers = tls === null ? server.saslBrokers : server.tlsBrokers
  const secured = { mode: 'verify-full', ca: server.ca, client: null, ...tls } as const
  const options: Partial<ClusterOptions> = tls === null ? { sasl } : { sasl, tls: secured }
  let cluster: Cluster | null = null
  try {
    cluster = await Cluster.open(clusterOptions(brokers, options))
    const reading = new Reading(cluster)
    reading.reader.assign(await placesOf(cluster, 'open'))
    await reading.until('a record', () => reading.of(0).length > 0)
    await reading.reader.close()
    return reading.values(0).join()
  } catch (error) {
    if (error instanceof PipelineError) return error.error
    throw error
  } finally {
    await cluster?.close()
  }
}

async function allow(
  server: KafkaServer,
  topic: string,
  operations: readonly string[],
): Promise<void> {
  const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
  const acl = operations.map((operation) => ({
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:alice',
    host: '*',
    operation: AclOperationTypes[operation as keyof typeof AclOperationTypes],
    permissionType: AclPermissionTypes.ALLOW,
  }))
  await withAdmin(server, async (admin) => admin.createAcls({ acl }))
}

test.skipIf(!(await available('kafka4')))(
  'every mechanism logs in, and what refuses it is told apart',
  async () => {
    const server = await startKafka({ secured: true })
    try {
      for (const topic of ['open', 'shown', 'hidden']) {
        await createTopic(server, topic)
        await produce(server, topic, [{ value: topic }])
      }
      await allow(server, 'open', ['READ', 'DESCRIBE'])
      await allow(server, 'shown', ['DESCRIBE'])
      for (const mechanism of MECHANISMS) {
        const right = sasl(mechanism, KAFKA_USERS.alice)
        const wrong = sasl(mechanism, 'wrong')
        expect([mechanism, await outcome(server, right, null)]).toEqual([mechanism, 'open'])
        expect([mechanism, await outcome(server, right, {})]).toEqual([mechanism, 'open'])
        expect([mechanism, await outcome(server, wrong, null)]).toEqual([mechanism, 'AUTH_FAILED'])
      }
      await certificates(server)
      await withoutAcl(server)
    } finally {
      await server.stop()
    }
  },
)

async function certificates(server: KafkaServer): Promise<void> {
  const right = sasl('PLAIN', KAFKA_USERS.alice)
  expect(await outcome(server, right, { ca: null })).toBe('TLS_FAILED')
  expect(await outcome(server, right, { mode: 'verify-ca', ca: null })).toBe('TLS_FAILED')
  expect(await outcome(server, right, { mode: 'required', ca: null })).toBe('open')
  // Plain bytes to a listener that speaks TLS.
  const { tlsBrokers } = server
  const plain = clusterOptions(tlsBrokers, { sasl: right })
  await expect(Cluster.open(plain)).rejects.toMatchObject({ error: 'TLS_FAILED' })
}

async function withoutAcl(server: KafkaServer): Promise<void> {
  const options = { sasl: sasl('PLAIN', KAFKA_USERS.alice) }
  const cluster = await Cluster.open(clusterOptions(server.saslBrokers, options))
  const { topics } = await cluster.metadata(['open', 'shown', 'hidden'])
  expect([...topics.values()].map(({ name, problem }) => [name, problem])).toEqual([
    ['open', null],
    ['shown', null],
    ['hidden', 'unauthorized'],
  ])
  expect([...(await cluster.metadata(null)).topics.keys()].sort()).toEqual(['open', 'shown'])
  const reading = new Reading(cluster)
  const [hidden] = await placesOf(cluster, 'open')
  const unknown = { ...hidden!, topic: 'hidden', topicId: '11111111-2222-3333-4444-555555555555' }
  reading.reader.assign([...(await placesOf(cluster, 'shown')), unknown])
  await reading.until('both problems', () => reading.problems.length === 2)
  expect(reading.problems.map(({ problem }) => problem)).toEqual(['unauthorized', 'unauthorized'])
  await expect(cluster.groupOffsets('g', [{ topic: 'open', partition: 0 }])).rejects.toMatchObject({
    error: 'PRIVILEGE_MISSING',
  })
  await reading.reader.close()
  await cluster.close()
}
