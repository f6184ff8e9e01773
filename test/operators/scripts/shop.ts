// Scripts as a user writes them, for the tests of the operator.

import { batchOperator, rowOperator, type ScriptRow } from '../../../runtime/script.ts'

/** Every value as it came. */
export const same = rowOperator((row) => ({ ...row }))

/** Every value through the script's own form of it. */
export const rebuilt = rowOperator((row) => {
  const copy = Object.entries(row).map(([name, value]) => {
    return [name, Array.isArray(value) ? [...(value as unknown[])] : value]
  })
  return Object.fromEntries(copy) as ScriptRow
})

export const scored = rowOperator(
  (row) => (row['amount'] === null ? null : { ...row, score: Number(row['amount']) / 2 }),
  { output: { add: { score: 'double' } } },
)

export function plain(row: ScriptRow): ScriptRow {
  return { ...row, note: String(row['note']).toUpperCase() }
}

export const dropping = rowOperator((row) => (Number(row['amount']) < 0 ? null : row))

export const twice = rowOperator((row) => [row, row])

export const rekeyed = rowOperator((row) => ({ ...row, id: 7n }))

export const unknown = rowOperator((row) => ({ ...row, scroe: 1 }))

export const throwing = rowOperator((row) => {
  if (row['amount'] === 13) throw new Error('thirteen')
  return { ...row, note: 'ok' }
})

export const wrong = rowOperator((row) => ({ ...row, amount: 'many' }))

export const endless = rowOperator((row) => {
  while (row['amount'] === 13);
  return { ...row, note: 'ok' }
})

export const clock = rowOperator((row) => ({ ...row, note: String(Date.now()) }))

export const chance = rowOperator((row) => ({ ...row, note: `${Math.random() < 2}` }), {
  deterministic: false,
})

export const later = rowOperator(async (row) => {
  await new Promise((resolve) => setImmediate(resolve))
  return { ...row, note: 'later' }
})

export const columns = batchOperator({
  output: { add: { double: 'long' }, drop: ['note'] },
  onBatch: ({ rows, columns: { amount } }) => {
    const values = (amount as { values: Int32Array }).values
    const doubled = Array.from({ length: rows }, (_, row) => BigInt((values[row] ?? 0) * 2))
    return {
      columns: { double: doubled },
      keep: Uint8Array.from(values, (one) => Number(one >= 0)),
    }
  },
})
