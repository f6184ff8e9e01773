// A reading of several tables of the source as the one that they are in the lake: each in a
// snapshot of its own, in the columns and types of the whole.

import { decodedSchema } from '../../job/structures.ts'
import type { ChangeBatch } from '../../data/batch.ts'
import type { Order } from '../../data/position.ts'
import type { SourceTable, TableSchema } from '../../data/schema.ts'
import { columnOf, keyNames, uniteAll } from '../../data/union.ts'
import { UnionRows } from '../../data/union-rows.ts'
import type { TableScan } from '../../source.ts'
import { StructureDifference } from './comparison.ts'

/**
 * @param union  as the lake has it
 * @param scans  of its tables, through their operators
 * @param passedOver  columns that are left out: a table had them once, and what the lake has of its
 *   rows in them is of then
 * @throws StructureDifference where the tables of now are not those of the lake
 */
export function unionScan(
  union: TableSchema,
  scans: readonly TableScan[],
  passedOver: ReadonlySet<string>,
): TableScan {
  const [first] = scans
  if (first === undefined) throw new StructureDifference(['the source has none of its tables'])
  const kept = [first.table, ...scans.slice(1).map(({ table }) => table)]
  const wanted = uniteAll(union, [tableOf(union, first.table), ...kept], {
    firstFieldId: 1,
    keyed: true,
  })
  if (wanted.kind === 'unmappable') throw new StructureDifference([wanted.reason])
  const schema = wanted.kind === 'same' ? union : wanted.schema
  const table = tableOf(schema, first.table)
  const columns = table.columns.filter(({ name }) => !passedOver.has(name))
  return {
    table: { ...table, columns },
    batches: rowsOf(schema, scans, passedOver),
    high: () => highest(scans),
  }
}

/** The whole, as one table of the source. */
function tableOf(union: TableSchema, { namespace, name }: SourceTable): SourceTable {
  const columns = union.fields.map(columnOf)
  const { comment } = union
  return { namespace, name, incarnation: 'union', columns, key: keyNames(union), comment }
}

async function* rowsOf(
  union: TableSchema,
  scans: readonly TableScan[],
  passedOver: ReadonlySet<string>,
): AsyncGenerator<ChangeBatch> {
  const isCompared = union.fields.map(({ name }) => !passedOver.has(name))
  for (const { table, batches } of scans) {
    const rows = new UnionRows(decodedSchema(table), union)
    for await (const batch of batches) {
      const { columns, ...united } = rows.apply(batch)
      yield { ...united, columns: columns.filter((_, index) => isCompared[index]) }
    }
  }
}

/** After all rows: each table was read in a snapshot of its own. */
async function highest(scans: readonly TableScan[]): Promise<Order> {
  let high = 0n
  for (const scan of scans) {
    const order = await scan.high()
    if (order > high) high = order
  }
  return high
}
