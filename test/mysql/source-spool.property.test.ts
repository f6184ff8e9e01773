// The spool against a plain list: the same appends and cuts, the same events.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventSpool, sealedEvents } from '../../connectors/mysql/spool.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ append: fc.uint8Array({ maxLength: 300 }) }) },
  { weight: 2, arbitrary: fc.record({ large: fc.integer({ min: 1, max: 9_000_000 }) }) },
  { weight: 2, arbitrary: fc.record({ cut: fc.nat(100) }) },
)

test('a spool holds what was appended and not cut, in memory, in a file and after sealing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-spool-'))
  try {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const spool = new EventSpool(folder)
        const model: { mark: number; bytes: Uint8Array }[] = []
        for (const one of steps) {
          if ('cut' in one) {
            const keep = Math.min(one.cut, model.length)
            spool.truncate(model[keep]?.mark ?? spool.bytes)
            model.length = keep
            continue
          }
          const bytes =
            'append' in one ? one.append : new Uint8Array(one.large).fill(one.large & 0xff)
          model.push({ mark: spool.bytes, bytes })
          const padded = new Uint8Array(bytes.length + 5)
          padded.set(bytes, 2)
          spool.append(padded, 2, 2 + bytes.length)
        }
        const same = (events: Iterable<Uint8Array>): void => {
          const found = [...events].map((event) => Buffer.from(event))
          expect(found.length).toBe(model.length)
          for (const [at, { bytes }] of model.entries()) {
            expect(found[at]!.equals(bytes)).toBe(true)
          }
        }
        same(spool.events())
        const sealed = spool.seal()
        same(sealedEvents(folder, sealed))
        expect(sealed.kind === 'file').toBe(readdirSync(folder).length === 1)
        for (const name of readdirSync(folder)) rmSync(join(folder, name))
      }),
      { interruptAfterTimeLimit: seconds * 1000, numRuns: 1000, markInterruptAsFailure: false },
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('sealed events that were cut short are reported, never half read', () => {
  const events = Buffer.from([3, 0, 0, 0, 1, 2]).toString('base64')
  expect(() => [...sealedEvents('', { kind: 'inline', base64: events })]).toThrow('damaged')
  const missing = { kind: 'file', name: 'none.events', bytes: 5 } as const
  expect(() => [...sealedEvents(tmpdir(), missing)]).toThrow('cannot open')
})
