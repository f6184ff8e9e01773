// A table of MySQL as a topic of Protobuf with a real registry: protobufjs, by the schemas that the
// registry gives, reads every version of every row, each value as the server says it.

import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { unframed } from './avro/avsc-reader.ts'
import type { NeutralRow } from './mysql-history.ts'
import type { GatedRegistry } from './registry/gated-registry.ts'
import { toldBy, withRegistryStand } from './sink-registry.ts'

const servers = ['mysql', 'kafka4', 'apicurio'] as const
const there = await Promise.all(servers.map(async (server) => available(server)))

/** @param bytes  the place of the message, which is the first, and the message */
function neutral(type: protobuf.Type, bytes: Buffer): NeutralRow {
  expect(bytes[0]).toBe(0)
  const read = type.toObject(type.decode(bytes.subarray(1)), { longs: String })
  const cells = type.fieldsArray.map(({ name }) => [name, cellOf(read[name])] as const)
  return Object.fromEntries(cells)
}

function cellOf(cell: unknown): string | null {
  if (cell === undefined) return null
  return Buffer.isBuffer(cell) ? cell.toString('hex') : `${cell as string | number}`
}

async function valueType(registry: GatedRegistry, version: number): Promise<protobuf.Type> {
  const path = `/subjects/shop.orders-value/versions/${version}`
  const { schema } = (await registry.ask(path)) as { schema: string }
  return protobuf.parse(schema, { keepCase: true }).root.lookupType('shop.orders.Value')
}

test.skipIf(there.includes(false))(
  'every version of every row is in its topic as Protobuf, through a registry that was away',
  { timeout: 300_000 },
  async () => {
    await withRegistryStand('protobuf', new Random(drawSeed('protobuf topics')), async (stand) => {
      const { registry, history } = stand
      const types = new Map<number, protobuf.Type>()
      const told = await toldBy(stand, async (side, bytes) => {
        const { id, payload } = unframed(bytes)
        let type = types.get(id)
        if (type === undefined) {
          const { schema } = (await registry.ask(`/schemas/ids/${id}`)) as { schema: string }
          const { root } = protobuf.parse(schema, { keepCase: true })
          type = root.lookupType(`shop.orders.${side === 'key' ? 'Key' : 'Value'}`)
          types.set(id, type)
        }
        return neutral(type, payload)
      })
      expect(told).toEqual(Object.fromEntries(history.byKey))
      expect(await registry.ask('/subjects/shop.orders-value/versions')).toEqual([1, 2, 3])
      expect(await registry.ask('/subjects/shop.orders-key/versions')).toEqual([1])
      const [before, after] = [await valueType(registry, 2), await valueType(registry, 3)]
      const gone = before.fields['small']?.id ?? 0
      expect([gone > 0, after.fieldsById[gone], after.fields['small']]).toEqual([
        true,
        undefined,
        undefined,
      ])
      expect([after.isReservedId(gone), after.isReservedName('small')]).toEqual([true, true])
    })
  },
)
