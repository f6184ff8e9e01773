// The usual table as `parquetjs-lite` writes it, for the readers that hand it rows.

import { openParquet } from './parquet-writer.ts'

/** As the readers of npm give it: one object, its values as their libraries parse them. */
export type OrderRow = Record<string, unknown>

export interface OrderWriter {
  append(row: OrderRow): Promise<void>
  close(): Promise<void>
}

const SCHEMA = {
  id: { type: 'INT64' },
  customer: { type: 'INT32' },
  status: { type: 'UTF8' },
  amount: { type: 'INT64' },
  price: { type: 'DOUBLE' },
  note: { type: 'UTF8', optional: true },
  created: { type: 'TIMESTAMP_MILLIS' },
  updated: { type: 'TIMESTAMP_MILLIS', optional: true },
  flag: { type: 'BOOLEAN' },
  payload: { type: 'BYTE_ARRAY' },
} as const

export async function openOrders(file: string): Promise<OrderWriter> {
  const writer = await openParquet(SCHEMA, file)
  return {
    append: async (row) => {
      const { id, amount, note, updated, flag } = row
      await writer.appendRow({
        ...row,
        id: Number(id),
        // Decimals as whole cents: exact, and the cheapest that the library has.
        amount: Math.round(Number(amount) * 100),
        note: note ?? undefined,
        updated: updated ?? undefined,
        flag: flag === 1 || flag === true,
      })
    },
    close: () => writer.close(),
  }
}
