import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyOrders } from '../../runtime/flow/key-orders.ts'

const action = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({ kind: fc.constant('put'), key: fc.nat(5000), step: fc.nat(9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('forget'), key: fc.nat(), step: fc.nat(9) }),
  },
)

test('the last order of a key is remembered as far back as was asked for', () => {
  fc.assert(
    fc.property(
      fc.array(action, { minLength: 3000, maxLength: 8000 }),
      fc.constantFrom(2, 4),
      (actions, words) => {
        const orders = new KeyOrders()
        const model = new Map<number, bigint>()
        let order = 1n << 64n
        let forgotten = 0n
        const hashOf = (key: number): Int32Array =>
          Int32Array.from([key * 7, key, ~key, key << 3]).subarray(0, words)
        for (const { kind, key, step } of actions) {
          order += BigInt(step) << BigInt(step * 7)
          if (kind === 'put') {
            orders.put(hashOf(key), 0, words, order)
            model.set(key, order)
          } else {
            forgotten = order
            orders.forgetBefore(order)
          }
        }
        for (const [key, last] of model) {
          if (last < forgotten) continue
          expect(orders.changedSince(hashOf(key), 0, words, last)).toBe(true)
          expect(orders.changedSince(hashOf(key), 0, words, last + 1n)).toBe(false)
        }
        expect(orders.changedSince(hashOf(5001), 0, words, 0n)).toBe(false)
      },
    ),
    { numRuns: 30 },
  )
})
