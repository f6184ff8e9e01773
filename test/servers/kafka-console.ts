// Records of a topic as Kafka's own console consumer prints them: Java's client, which hands out
// what is committed and nothing else.

import type { KafkaServer } from './kafka.ts'

export interface ConsoleRecord {
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  /** `null`: there is none. */
  readonly key: string | null
  readonly value: string | null
  /** `name:value,name:value`, or `NO_HEADERS`. */
  readonly headers: string
}

const SEPARATOR = '\u0001'
const NULL = '\u0002'

export interface ConsoleOptions {
  readonly isolation?: 'read_committed' | 'read_uncommitted'
  /** How long nothing new has to come. */
  readonly idleMs?: number
}

/** All records from the beginning on, in the order of each partition. Their texts have one line. */
export async function consoleRecords(
  server: KafkaServer,
  topic: string,
  { isolation = 'read_committed', idleMs = 3000 }: ConsoleOptions = {},
): Promise<ConsoleRecord[]> {
  const show = ['key', 'offset', 'partition', 'headers', 'timestamp']
  const properties = [
    ...show.map((name) => `print.${name}=true`),
    `key.separator=${SEPARATOR}`,
    `null.literal=${NULL}`,
  ]
  const [option, flag] = server.version.startsWith('3')
    ? ['--property', '--consumer-property']
    : ['--formatter-property', '--command-property']
  const text = await server.tool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
    '--bootstrap-server',
    server.brokers.join(','),
    '--topic',
    topic,
    '--from-beginning',
    '--isolation-level',
    isolation,
    '--timeout-ms',
    String(idleMs),
    ...properties.flatMap((property) => [option ?? '', property]),
    flag ?? '',
    'enable.auto.commit=false',
  ])
  return text
    .split('\n')
    .filter((line) => line.includes(SEPARATOR))
    .map((line) => {
      const [time = '', partition = '', offset = '', headers = '', key = '', value = ''] =
        line.split(SEPARATOR)
      return {
        timestamp: numberOf(time),
        partition: numberOf(partition),
        offset: numberOf(offset),
        headers,
        key: key === NULL ? null : key,
        value: value === NULL ? null : value,
      }
    })
}

/** `CreateTime:17`, `Partition:0`, `Offset:3`. */
function numberOf(text: string): number {
  return Number(text.slice(text.indexOf(':') + 1))
}
