// Values of the binary protocol against their plain arithmetic: decimals in text against BigInt,
// dates against Date, lengths and packets against what was written.

import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { literalOf } from '../../connectors/mysql/chunk/key.ts'
import { daysOfDate, isCalendarDate, rowKernels } from '../../connectors/mysql/chunk/row-kernels.ts'
import { daysOf, NO_DAY } from '../../connectors/mysql/decode/temporal.ts'
import { LogPlace } from '../../connectors/mysql/log/place.ts'
import { makeType } from '../../connectors/mysql/types.ts'
import { PacketReader } from '../../connectors/mysql/wire/packets.ts'
import { systemClock } from '../../runtime/base/clock.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = {
  interruptAfterTimeLimit: seconds * 1000,
  numRuns: 20_000,
  markInterruptAsFailure: false,
}

function textOf(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const point = digits.length - scale
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return unscaled < 0n ? `-${text}` : text
}

const refuse = (): never => {
  throw new Error('refused')
}

test('decimal text of up to 18 digits becomes its unscaled integer', () => {
  const values = new BigInt64Array(2)
  const pairs = new Int32Array(values.buffer)
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 18n) + 1n, 10n ** 18n - 1n), fc.nat(18), (unscaled, scale) => {
      const bytes = Buffer.from(`xx${textOf(unscaled, scale)}`)
      rowKernels.decimal64(bytes, 2, bytes.length, scale, pairs, 1)
      expect(values[1]).toBe(unscaled)
    }),
    limits,
  )
})

test('decimal text of up to 38 digits becomes its unscaled integer', () => {
  const values = new BigInt64Array(4)
  const pairs = new Int32Array(values.buffer)
  fc.assert(
    fc.property(fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n), fc.nat(38), (unscaled, scale) => {
      const bytes = Buffer.from(`x${textOf(unscaled, scale)}`)
      rowKernels.decimal128(bytes, 1, bytes.length, scale, pairs, 1)
      expect((values[3]! << 64n) | BigInt.asUintN(64, values[2]!)).toBe(unscaled)
    }),
    limits,
  )
})

test('instants of years 1 to 9999 are exact microseconds, and days are those of the calendar', () => {
  const values = new BigInt64Array(2)
  const pairs = new Int32Array(values.buffer)
  const date = fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  })
  fc.assert(
    fc.property(date, fc.nat(999), (moment, extra) => {
      const [year, month, day] = [
        moment.getUTCFullYear(),
        moment.getUTCMonth() + 1,
        moment.getUTCDate(),
      ]
      expect(isCalendarDate(year, month, day)).toBe(true)
      expect(daysOfDate(year, month, day)).toBe(Math.floor(moment.getTime() / 86_400_000))
      const micros = moment.getUTCMilliseconds() * 1000 + extra
      const bytes = Buffer.alloc(11)
      bytes.writeUInt16LE(year, 0)
      bytes.set(
        [month, day, moment.getUTCHours(), moment.getUTCMinutes(), moment.getUTCSeconds()],
        2,
      )
      bytes.writeUInt32LE(micros, 7)
      rowKernels.instant(bytes, 0, 11, pairs, 1, 0, refuse)
      expect(values[1]).toBe(BigInt(moment.getTime()) * 1000n + BigInt(extra))
    }),
    limits,
  )
  for (const [year, month, day] of [
    [0, 0, 0],
    // The servers take it, also in strict mode; the log's calendar begins with the year 1.
    [0, 1, 1],
    [0, 2, 29],
    [2023, 2, 29],
    [2010, 0, 15],
    [1900, 2, 29],
    [2024, 4, 31],
  ] as const) {
    expect(isCalendarDate(year, month, day)).toBe(false)
    expect(daysOf(year, month, day)).toBe(NO_DAY)
  }
})

test('packets are read as they were written, wherever the stream is cut', async () => {
  const payload = fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.nat(3).map((n) => new Uint8Array(0xff_ff_ff + n - 1).fill(n)) },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(payload, { maxLength: 8 }),
      fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 30 }),
      async (payloads, cuts) => {
        const stream = Buffer.concat(framed(payloads))
        const socket = new Duplex({ read: () => undefined, write: () => undefined })
        const reader = new PacketReader(socket as unknown as Socket, 'test', systemClock)
        const found: Buffer[] = []
        let cut = 0
        for (let at = 0; at < stream.length;) {
          const size = stream.length > 1000 ? 5_000_000 : 1 + (cuts[cut++ % cuts.length] ?? 0)
          socket.push(stream.subarray(at, at + size))
          at += size
          await new Promise((resolve) => setImmediate(resolve))
          while (reader.next())
            found.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)))
        }
        expect(found.length).toBe(payloads.length)
        for (const [at, bytes] of payloads.entries()) expect(found[at]!.equals(bytes)).toBe(true)
        reader.close()
      },
    ),
    { interruptAfterTimeLimit: seconds * 1000, numRuns: 200, markInterruptAsFailure: false },
  )
})

function framed(payloads: readonly Uint8Array[]): Buffer[] {
  let sequence = 0
  return payloads.flatMap((payload) => {
    const parts: Buffer[] = []
    for (let at = 0; ; at += 0xff_ff_ff) {
      const piece = payload.subarray(at, at + 0xff_ff_ff)
      const header = Buffer.alloc(4)
      header.writeUIntLE(piece.length, 0, 3)
      header.writeUInt8(sequence++ & 0xff, 3)
      parts.push(header, Buffer.from(piece))
      if (piece.length < 0xff_ff_ff) return parts
    }
  })
}

test('a bound that is no value of its type never becomes SQL', () => {
  const types = ['int', 'varchar', 'date', 'double', 'enum', 'uuid', 'binary'].map((name) =>
    makeType(name, { charset: name === 'varchar' ? 'utf8mb4' : null }),
  )
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.string(), (type, text) => {
      let literal = ''
      try {
        literal = literalOf(text, { name: 'k', type })
      } catch (error) {
        expect((error as { error: string }).error).toBe('CHECKPOINT_CORRUPT')
      }
      expect(literal).toMatch(/^(_utf8mb4 )?X?'?[-\w:. ]*'?$/)
    }),
    limits,
  )
})

test('offsets are followed beyond 4 GiB, where those in events wrap', () => {
  const file = { file: 'b.000001', offset: 4, createdS: 1 }
  const token = { gtids: '', server: 's', ...file, epoch: 0 }
  const place = new LogPlace(token, 0n)
  const sizes = [1_000_000_000, 3_000_000_000, 1_500_000_000, 40, 4_000_000_000, 77]
  let end = 4
  for (const size of sizes) {
    const start = end
    end += size
    const event = { kind: 'gtid', flags: 0, size, endPos: end % 0x1_0000_0000 } as Parameters<
      LogPlace['advance']
    >[0]
    expect(place.advance(event)).toBe(start)
  }
  place.settle()
  expect(place.position('').order & 0xffff_ffff_ffff_ffffn).toBe(BigInt(end))
})
