// A table of MySQL as a topic of Avro with a real registry: avsc, by the schemas that the registry
// gives, reads every version of every row, each value as the server says it; the newest schema
// reads them all.

import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { drawSeed, Random } from '../workload/random.ts'
import { avscOf, unframed, unscaledOf } from './avro/avsc-reader.ts'
import { HISTORY_COLUMNS, type NeutralRow } from './mysql-history.ts'
import { decimalText, toldBy, withRegistryStand } from './sink-registry.ts'

const servers = ['mysql', 'kafka4', 'apicurio'] as const
const there = await Promise.all(servers.map(async (server) => available(server)))

interface Told {
  readonly text: string
  readonly row: Record<string, unknown>
}

function neutral({ text, row }: Told): NeutralRow {
  const { fields } = JSON.parse(text) as { fields: { name: string; type: unknown }[] }
  const cells = fields.map(({ name, type }) => {
    const scale = /"scale":(\d+)/.exec(JSON.stringify(type))?.[1]
    return [name, cellOf(name, row[name], Number(scale ?? 0))] as const
  })
  return Object.fromEntries(cells)
}

function cellOf(name: string, cell: unknown, scale: number): string | null {
  if (cell === null) return null
  const { kind } = HISTORY_COLUMNS[name] ?? { kind: 'text' }
  if (kind === 'decimal') return decimalText(unscaledOf(cell as Buffer), scale)
  if (kind === 'binary') return (cell as Buffer).toString('hex')
  return `${cell as bigint | number | string}`
}

test.skipIf(there.includes(false))(
  'every version of every row is in its topic as Avro, through a registry that was away',
  { timeout: 300_000 },
  async () => {
    await withRegistryStand('avro', new Random(drawSeed('avro topics')), async (stand) => {
      const { registry, history } = stand
      const texts = new Map<number, string>()
      const textOf = async (id: number): Promise<string> => {
        const known = texts.get(id)
        if (known !== undefined) return known
        const { schema } = (await registry.ask(`/schemas/ids/${id}`)) as { schema: string }
        texts.set(id, schema)
        return schema
      }
      const latest = (await registry.ask('/subjects/shop.orders-value/versions/latest')) as {
        schema: string
      }
      const newest = avscOf(latest.schema)
      let isOlder = 0
      const told = await toldBy(stand, async (side, bytes) => {
        const { id, payload } = unframed(bytes)
        const text = await textOf(id)
        const type = avscOf(text)
        const row = neutral({ text, row: type.fromBuffer(payload) as Record<string, unknown> })
        if (side === 'value') {
          const read = newest.fromBuffer(payload, newest.createResolver(type)) as object
          const later = neutral({ text: latest.schema, row: { ...read } })
          // As the server has it for rows of before.
          const { small: _, ...rest } = row
          expect(later).toEqual({ extra: '7', ...rest })
          if (!('extra' in row)) isOlder++
        }
        return row
      })
      expect(told).toEqual(Object.fromEntries(history.byKey))
      expect(isOlder).toBeGreaterThan(0)
      expect(await registry.ask('/subjects/shop.orders-value/versions')).toEqual([1, 2, 3])
      expect(await registry.ask('/subjects/shop.orders-key/versions')).toEqual([1])
      const check = await stand.pipeline.command(['check', stand.pipeline.file])
      expect(check.stdout).toMatch(/✔ sink.registry +the schema registry .* has 2 subjects/)
    })
  },
)
