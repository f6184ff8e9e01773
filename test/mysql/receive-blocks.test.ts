// What lies in the blocks of a packet reader stays until it has been read, whatever the sizes.

import { createServer, type Socket } from 'node:net'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ReceiveBlocks } from '../../connectors/mysql/wire/receive-blocks.ts'
import { PacketReader } from '../../connectors/mysql/wire/packets.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { SharedReadSocket } from '../../runtime/base/shared-read-socket.ts'

const READ_BYTES_MAX = 256 * 1024

test('chunks keep their bytes until what is behind them is read', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 1, max: READ_BYTES_MAX }),
  )
  // Each step receives some chunks, then reads some.
  const step = fc.tuple(fc.array(size, { maxLength: 12 }), fc.nat(12))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const blocks = new ReceiveBlocks()
      const source = Buffer.alloc(READ_BYTES_MAX)
      const queue: { chunk: Buffer; mark: number; length: number }[] = []
      let current: Buffer = Buffer.alloc(0)
      let mark = 0
      for (const [sizes, reads] of steps) {
        for (const length of sizes) {
          source.fill(++mark & 0xff, 0, length)
          queue.push({ chunk: blocks.keep(source.subarray(0, length)), mark, length })
        }
        for (const { chunk, mark: wanted, length } of queue.splice(0, reads)) {
          blocks.free(current, chunk)
          current = chunk
          expect(chunk.length).toBe(length)
          expect(chunk.every((byte) => byte === (wanted & 0xff))).toBe(true)
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('packets of every size arrive over a socket with a shared buffer as they were sent', async () => {
  const lengths = Array.from({ length: 4000 }, (_, at) =>
    at % 97 === 0 ? 600_000 + at : (at * 7919) % (at % 5 === 0 ? 40_000 : 90),
  )
  const packets = lengths.map((length, at) => {
    const packet = Buffer.alloc(4 + length, at & 0xff)
    packet.writeUIntLE(length, 0, 3)
    packet.writeUInt8(at & 0xff, 3)
    return packet
  })
  const server = createServer((peer) => peer.end(Buffer.concat(packets)))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as { port: number }
  const socket: Socket = new SharedReadSocket().connect(port, '127.0.0.1')
  const reader = new PacketReader(socket, 'cannot read', systemClock)
  for (const [at, length] of lengths.entries()) {
    while (!reader.next()) await reader.fill()
    const { bytes, start, end } = reader
    expect(end - start).toBe(length)
    expect(bytes.subarray(start, end).every((byte) => byte === (at & 0xff))).toBe(true)
  }
  reader.close()
  server.close()
})
