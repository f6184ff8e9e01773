// What npm offers for a topic of Protobuf: `kafkajs` and `protobufjs`, counting messages, or the
// same filter and expressions in JavaScript and `parquetjs-lite`. Reads `rows` messages from the
// given offsets on and prints {"rows":N,"seconds":S}; the seconds begin with the first message.
//
//   node bench/peers/kafkajs.ts '{"job":"count"|"parquet","brokers":[...],...}'

import kafkajs from 'kafkajs'
import { systemClock } from '../../runtime/base/clock.ts'
import { playType } from '../plays.ts'
import { openParquet } from './parquet-writer.ts'

interface Plan {
  readonly job: 'count' | 'parquet'
  readonly brokers: readonly string[]
  readonly topic: string
  /** By partition. */
  readonly offsets: readonly string[]
  readonly rows: number
  readonly output: string
}

interface Play {
  readonly title: string
  readonly duration_s: number
  readonly speed: number
  readonly city: string
  readonly net: string
  readonly referrer: string
}

const SCHEMA = {
  event_id: { type: 'INT64' },
  user_id: { type: 'INT64' },
  up_id: { type: 'INT64' },
  title: { type: 'UTF8' },
  duration_ms: { type: 'INT64' },
  at_ms: { type: 'INT64' },
  net: { type: 'UTF8' },
  device: { type: 'UTF8' },
  offline: { type: 'BOOLEAN' },
  speed_percent: { type: 'DOUBLE' },
  place: { type: 'UTF8' },
  position: { type: 'INT32' },
  build: { type: 'INT64' },
  offset: { type: 'INT32' },
  trace: { type: 'INT64' },
  session: { type: 'UTF8' },
  volume: { type: 'FLOAT' },
  paid: { type: 'BOOLEAN' },
  quality: { type: 'INT32' },
  referrer: { type: 'UTF8' },
} as const

const plan = JSON.parse(process.argv[2] ?? '') as Plan
const type = playType()
const kafka = new kafkajs.Kafka({ brokers: [...plan.brokers], logLevel: kafkajs.logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: `bench-${process.pid}` })
const writer = plan.job === 'parquet' ? await openParquet(SCHEMA, plan.output) : null
const done = Promise.withResolvers<void>()
let startMs = 0
let received = 0

/** @returns `null` for what the filter drops */
function transformed(play: Play): object | null {
  const { title, duration_s: seconds, speed, city, net, referrer } = play
  if (seconds <= 0) return null
  return {
    ...play,
    title: title.toUpperCase(),
    duration_ms: seconds * 1000,
    speed_percent: speed * 100,
    place: `${city}/${net}`,
    referrer: referrer === '' ? 'none' : referrer,
  }
}

async function take(value: Buffer): Promise<void> {
  const message = type.decode(value)
  if (writer === null) return
  const plain = type.toObject(message, { longs: Number, enums: String, defaults: true })
  const row = transformed(plain as Play)
  if (row !== null) await writer.appendRow(row)
}

await consumer.connect()
await consumer.subscribe({ topic: plan.topic, fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    startMs ||= systemClock.elapsedMs()
    for (const { value } of batch.messages) {
      if (received >= plan.rows) break
      if (value !== null) await take(value)
      received++
    }
    if (received >= plan.rows) done.resolve()
  },
})
for (const [partition, offset] of plan.offsets.entries()) {
  consumer.seek({ topic: plan.topic, partition, offset })
}
await done.promise
await writer?.close()
const seconds = (systemClock.elapsedMs() - startMs) / 1000
console.log(JSON.stringify({ rows: received, seconds }))
process.exit(0)
