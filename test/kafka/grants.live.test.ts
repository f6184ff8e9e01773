// A user that may do little, on a cluster that asks who one is: what `check` says is missing, word
// by word, and that what `init` grants is enough.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pipeline, spawnMillrace } from '../acceptance/pipeline.ts'
import { edit } from '../acceptance/refusal.ts'
import { available } from '../servers/available.ts'
import { KAFKA_USERS, startKafka, type KafkaServer } from '../servers/kafka.ts'
import { createTopic, produce, withAdmin } from '../servers/kafka-client.ts'
import { consoleRecords } from '../servers/kafka-console.ts'

const ready = await available('kafka4')
let server: KafkaServer

beforeAll(async () => {
  if (ready) server = await startKafka({ secured: true })
}, 180_000)

afterAll(async () => {
  await server?.stop()
})

interface Finding {
  readonly name: string
  readonly ok: boolean
  readonly warning: boolean
  readonly message: string
  readonly fix: string | null
}

/** Kafka's own program takes the words of our script. */
async function acls(words: string): Promise<void> {
  const args = words.split(/\s+/).filter((word) => word !== '')
  const where = ['--bootstrap-server', server.brokers[0] ?? '']
  await server.tool('org.apache.kafka.tools.AclCommand', [...where, ...args])
}

test.skipIf(!ready)(
  'check names what a user lacks, what it names is enough, and a wrong password is said',
  { timeout: 180_000 },
  async () => {
    await createTopic(server, 'clicks', { config: { 'retention.ms': '3600000' } })
    await createTopic(server, 'secret')
    await produce(server, 'clicks', [{ value: 'a' }])
    const folder = await mkdtemp(join(tmpdir(), 'millrace-secured-'))
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, server.ca)
    const source = {
      brokers: server.tlsBrokers,
      tls: { mode: 'verify-full', ca },
      sasl: { mechanism: 'SCRAM-SHA-512', username: 'alice', password: { from_env: 'KAFKA_PW' } },
      topics: ['clicks'],
      group_id: 'millrace-shop',
    }
    const pipeline = await Pipeline.create({ server, mode: 'append', source })
    const env = { KAFKA_PW: KAFKA_USERS.alice }
    const check = async (): Promise<{ ready: boolean; findings: Finding[] }> => {
      const exit = await pipeline.command(['check', pipeline.file, '--json'], { env })
      return JSON.parse(exit.stdout) as { ready: boolean; findings: Finding[] }
    }
    const failed = ({ findings }: { findings: Finding[] }): Finding[] =>
      findings.filter(({ ok, warning }) => !ok && !warning)
    try {
      const wrong = await pipeline.command(['check', pipeline.file], { env: { KAFKA_PW: 'no' } })
      expect(wrong.stderr).toContain('MR-2002')
      const blind = await check()
      expect(failed(blind).map(({ name }) => name)).toEqual([
        'tables',
        'group millrace-shop',
        'source.topics[0]',
      ])
      expect(failed(blind)[0]?.fix).toContain('--allow-principal User:alice')
      await letDescribe('clicks')
      const denied = failed(await check())
      expect(denied.map(({ name, message }) => `${name} ${message}`)).toContain(
        'read topic "clicks" may not be read',
      )
      // What runs nevertheless says it, too.
      const run = await pipeline.command(['run', pipeline.file, '--once'], { env })
      expect(run.code).toBe(3)
      expect(run.stdout + run.stderr).toContain('MR-2005')
      await grantAsInitSays(folder)
      const granted = await check()
      expect(failed(granted)).toEqual([])
      const retention = granted.findings.find(({ name }) => name === 'retention clicks')
      expect(retention?.message).toContain('records are kept for 1 h')
      const discovered = await pipeline.command(['discover', pipeline.file], { env })
      expect(discovered.stdout).toContain('kafka.clicks  ~1 rows; no key')
      expect(discovered.stdout).not.toContain('secret')
      await pipeline.once({ env })
      const [group] = await groups()
      expect(group).toContain('millrace-shop')
      const dropped = await pipeline.command(['drop', pipeline.file, '--yes'], { env })
      expect(dropped.stdout).toContain('kept offsets of group "millrace-shop"')
    } finally {
      await pipeline.remove()
    }
  },
)

test.skipIf(!ready)(
  'what check names for a sink into topics is enough to write them',
  { timeout: 120_000 },
  async () => {
    for (const topic of ['orders', 'told.orders']) await createTopic(server, topic)
    await produce(server, 'orders', [{ value: 'a' }, { value: 'b' }])
    const source = {
      brokers: server.brokers,
      topics: ['orders'],
      value: { format: 'raw', as: 'text' },
    }
    const pipeline = await Pipeline.create({ server, mode: 'append', source })
    const env = { KAFKA_PW: KAFKA_USERS.bob }
    await edit(pipeline, (file) => {
      file['sink'] = {
        type: 'kafka',
        brokers: server.saslBrokers,
        sasl: { mechanism: 'SCRAM-SHA-256', username: 'bob', password: { from_env: 'KAFKA_PW' } },
        topic: 'told.{table}',
      }
    })
    const lacking = async (): Promise<Finding[]> => {
      const exit = await pipeline.command(['check', pipeline.file, '--json'], { env })
      const { findings } = JSON.parse(exit.stdout) as { findings: Finding[] }
      return findings.filter(({ ok, warning }) => !ok && !warning)
    }
    try {
      const blind = await lacking()
      expect(blind.map(({ name }) => name)).toEqual(['topic told.orders', 'sink.transactional_id'])
      const run = await pipeline.command(['run', pipeline.file, '--once'], { env })
      expect([run.code, run.stdout + run.stderr]).toEqual([3, expect.stringContaining('MR-2005')])
      for (const { fix } of blind) await acls((fix ?? '').replace('kafka-acls.sh', ''))
      expect(await lacking()).toEqual([])
      await pipeline.once({ env })
      const records = await consoleRecords(server, 'told.orders')
      expect(records.map(({ key, value }) => [key, JSON.parse(value ?? '') as object])).toEqual([
        [null, { key: null, value: 'a' }],
        [null, { key: null, value: 'b' }],
      ])
    } finally {
      await pipeline.remove()
    }
  },
)

async function letDescribe(topic: string): Promise<void> {
  const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
  const acl = {
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:alice',
    host: '*',
    operation: AclOperationTypes.DESCRIBE,
    permissionType: AclPermissionTypes.ALLOW,
  }
  await withAdmin(server, async (admin) => admin.createAcls({ acl: [acl] }))
}

async function grantAsInitSays(folder: string): Promise<void> {
  const file = join(folder, 'shop.yaml')
  await spawnMillrace(['init', file, '--from', 'kafka']).exit
  const script = await readFile(file.replace('.yaml', '.sh'), 'utf8')
  const commands = script.replaceAll('\\\n', ' ').split('\n')
  for (const command of commands) {
    if (!command.startsWith('kafka-acls.sh')) continue
    const words = command.replace(/kafka-acls\.sh --bootstrap-server \S+/, '')
    await acls(words.replace('User:millrace', 'User:alice'))
  }
}

async function groups(): Promise<string[]> {
  return withAdmin(server, async (admin) => {
    const { groups: all } = await admin.listGroups()
    return all.map(({ groupId }) => groupId)
  })
}
