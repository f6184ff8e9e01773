// What npm offers for PostgreSQL: `pg-logical-replication` with its pgoutput parser, counting row
// changes. Prints {"rows":N,"seconds":S}, where the seconds begin with the first message.
//
//   BENCH_PASSWORD=... node bench/peers/pg-logical-replication.ts '{"uri":...,"slot":...}'

import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication'
import { systemClock } from '../../runtime/base/clock.ts'

interface Plan {
  readonly uri: string
  readonly slot: string
  readonly publication: string
  readonly rows: number
}

const plan = JSON.parse(process.argv[2] ?? '') as Plan
const { slot, publication } = plan
const uri = new URL(plan.uri)
uri.password = process.env['BENCH_PASSWORD'] ?? ''
// By default it acknowledges each message, which makes it slower still.
const service = new LogicalReplicationService(
  { connectionString: uri.href },
  { acknowledge: { auto: false, timeoutSeconds: 10 } },
)
const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] })
const done = Promise.withResolvers<void>()
let startMs = 0
let rows = 0

service.on('data', (_lsn: string, message: { readonly tag: string }) => {
  startMs ||= systemClock.elapsedMs()
  const { tag } = message
  if (tag !== 'insert' && tag !== 'update' && tag !== 'delete') return
  rows++
  if (rows === plan.rows) done.resolve()
})
service.on('error', (error: Error) => done.reject(error))
service.subscribe(plugin, slot).catch((error: unknown) => done.reject(error))
await done.promise
const seconds = (systemClock.elapsedMs() - startMs) / 1000
console.log(JSON.stringify({ rows, seconds }))
process.exit(0)
