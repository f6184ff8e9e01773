// The packet layer on a socket that breaks where it likes: whoever waits for a packet must hear it.

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { connectionLost } from '../../connectors/mysql/wire/failure.ts'
import { PacketReader } from '../../connectors/mysql/wire/packets.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import type { PipelineError } from '../../runtime/base/errors.ts'

class FakeSocket extends EventEmitter {
  pause(): void {}
  resume(): void {}
  destroy(): void {}
}

/** Bytes of `count` packets of 5,000 bytes each. */
function packets(count: number): Buffer {
  const whole = Array.from({ length: count }, (_, sequence) => {
    const packet = Buffer.alloc(5004, sequence)
    packet.writeUIntLE(5000, 0, 3)
    packet.writeUInt8(sequence, 3)
    return packet
  })
  return Buffer.concat(whole)
}

/** Reads on until the reader throws. @returns what it threw; `null` when it never would */
async function readOn(reader: PacketReader, seen: number[]): Promise<PipelineError | null> {
  let waits = 0
  try {
    for (;;) {
      if (reader.next()) seen.push(reader.end - reader.start)
      else if (++waits > 1000) return null
      else await reader.fill()
    }
  } catch (error) {
    return error as PipelineError
  }
}

test('a connection that ends inside of a packet is an error, however the packet was cut', async () => {
  const bytes = packets(3)
  for (const segment of [1, 1460, 2502, 5004, 6000, 16_384]) {
    for (const length of [0, 3, 5003, 5004, 5007, 9000, 12_000, bytes.length]) {
      for (const early of [0, 1, 2]) {
        const socket = new FakeSocket()
        const reader = new PacketReader(socket as unknown as Socket, 'cannot read', systemClock)
        const seen: number[] = []
        const sent = bytes.subarray(0, length)
        const cut: Buffer[] = []
        for (let at = 0; at < sent.length; at += segment) cut.push(sent.subarray(at, at + segment))
        for (const part of cut.splice(0, early)) socket.emit('data', part)
        const reading = readOn(reader, seen)
        for (const part of cut) socket.emit('data', part)
        reader.fail(connectionLost('cannot read', 'the server closed the connection'))
        const place = { segment, length, early }
        expect({ ...place, error: (await reading)?.error }).toEqual({
          ...place,
          error: 'CONNECT_FAILED',
        })
        // All that was complete has been read before.
        expect(seen.length).toBe(Math.floor(length / 5004))
      }
    }
  }
})
