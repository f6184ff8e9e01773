// A table of the tests of operators, and the entry of `transform` that changes nothing.

import type { TransformOptions } from '../../operators/transform/options.ts'
import type { SourceTable, TableSchema } from '../../runtime/data/schema.ts'
import type { ColumnType } from '../../runtime/data/type.ts'
import { field, schemaOf } from '../writer/batches.ts'

export const NONE: TransformOptions = {
  projection: null,
  filter: null,
  primaryKeys: null,
  cast: {},
  mask: {},
  softDelete: null,
  json: [],
  explode: null,
  onError: 'stop',
}

const LIST_ELEMENT_ID = 99

/** With the key `id`; of lists there is one at most. Identities are `c.NAME`. */
export function madeTable(
  name: string,
  types: Readonly<Record<string, ColumnType>>,
): { readonly table: SourceTable; readonly schema: TableSchema } {
  const columns = Object.entries(types).map(([column, type]) => {
    const rest = { comment: null, sourceType: 'x', existing: { kind: 'null' } } as const
    return { identity: `c.${column}`, name: column, type, nullable: column !== 'id', ...rest }
  })
  const fields = columns.map(({ name: column, type }, at) => {
    const elementId = type.kind === 'list' ? LIST_ELEMENT_ID : null
    return field(at + 1, column, type, { elementId })
  })
  const table: SourceTable = {
    namespace: 'shop',
    name,
    incarnation: '1',
    columns,
    key: ['c.id'],
    comment: null,
  }
  return { table, schema: schemaOf(`shop.${name}`, 0, fields) }
}
