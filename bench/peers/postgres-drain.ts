// Stands in for `pg_recvlogical` and `psql` where they cannot be had: receives a slot's log up to a
// place, or what a COPY ... TO STDOUT gives, and looks at nothing but message headers.
//
//   BENCH_URI=... PGPASSWORD=... node bench/peers/postgres-drain.ts \
//     '{"slot":"s","publication":"p","end":"0/16B3748"}' | '{"sql":"COPY ..."}'

import { Client } from 'pg'

interface SlotPlan {
  readonly slot: string
  readonly publication: string
  /** Where to stop. */
  readonly end: string
}

const COPY_DATA = 0x64
const ERROR = 0x45
const READY = 0x5a
const WAL = 0x77
const KEEPALIVE = 0x6b
const HEADER = 5

const plan = JSON.parse(process.argv[2] ?? '') as SlotPlan | { readonly sql: string }
const isSlot = 'slot' in plan
const uri = new URL(process.env['BENCH_URI'] ?? '')
uri.password = process.env['PGPASSWORD'] ?? ''
const client = new Client({
  connectionString: uri.href,
  ...(isSlot && { replication: 'database' }),
})
await client.connect()

const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadWriteStream } })
  .connection
const end = isSlot ? lsnOf(plan.end) : 0n
let rest: Buffer = Buffer.alloc(0)

stream.removeAllListeners('data')
stream.on('data', (chunk: Buffer) => {
  const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  let at = 0
  while (bytes.length - at >= HEADER) {
    const next = at + 1 + bytes.readUInt32BE(at + 1)
    if (next > bytes.length) break
    look(bytes, at)
    at = next
  }
  rest = bytes.subarray(at)
})
stream.write(queryMessage(isSlot ? replication(plan) : plan.sql))

function look(bytes: Buffer, at: number): void {
  const type = bytes[at]
  if (type === ERROR) {
    console.error(bytes.subarray(at + HEADER).toString())
    process.exit(1)
  }
  if (type === READY && !isSlot) process.exit(0)
  if (type !== COPY_DATA || !isSlot) return
  const kind = bytes[at + HEADER]
  // Both begin with where the log has been read up to.
  if (kind !== WAL && kind !== KEEPALIVE) return
  if (bytes.readBigUInt64BE(at + HEADER + 1) >= end) process.exit(0)
}

function replication({ slot, publication }: SlotPlan): string {
  const options = `proto_version '1', publication_names '"${publication}"'`
  return `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (${options})`
}

function queryMessage(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`)
  const message = Buffer.alloc(HEADER + text.length)
  message.write('Q')
  message.writeUInt32BE(text.length + 4, 1)
  text.copy(message, HEADER)
  return message
}

function lsnOf(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
