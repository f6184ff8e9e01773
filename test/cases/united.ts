// Tables of one source that are one table of the lake, and what that table must hold: the rows of
// all of them as the source has them, each with the name of its table.
import { expect } from 'vitest'
import { readLake, readSource, type Reader } from '../acceptance/lake.ts'
import { edit } from '../acceptance/refusal.ts'
import {
  differenceOf,
  project,
  tableDump,
  type Cell,
  type TableDump,
} from '../readers/canonical.ts'
import type { Scene } from './each-server.ts'

export const UNION = 'ods.orders'

/** Tables `o_*` go into one, with their names in the key. */
export async function unite({ pipeline, name }: Scene): Promise<void> {
  const [namespace = ''] = name('o').split('.')
  await edit(pipeline, (file) => {
    const { source } = file
    if (source !== undefined) source['tables'] = [`${namespace}.o_*`]
    Object.assign(file, {
      transform: [
        { from: '*.*', projection: '*, __table__ AS shard', primary_keys: ['shard', 'id'] },
      ],
      route: [{ from: `${namespace}.o_*`, into: UNION, union: 'widen' }],
    })
  })
}

/** @param absent  what rows of tables without a column have in it; null where it says nothing */
export async function expectUnited(
  { pipeline, server, name }: Scene,
  tables: readonly string[],
  absent: Readonly<Record<string, string>> = {},
  readers: readonly Reader[] = ['duckdb'],
): Promise<void> {
  const dumps = await readSource(server, tables.map(name))
  for (const reader of readers) {
    const [lake] = await readLake(pipeline, [UNION], reader)
    if (lake === undefined) throw new Error('the lake has the table')
    const source = united(tables, dumps, lake.columns, absent)
    expect([reader, differenceOf(source, lake, 5)]).toEqual([reader, { missing: [], extra: [] }])
  }
}

function united(
  tables: readonly string[],
  dumps: readonly TableDump[],
  columns: string[],
  absent: Readonly<Record<string, string>>,
): TableDump {
  const rows = dumps.flatMap((dump, index) => {
    expect(dump.columns.filter((column) => !columns.includes(column))).toEqual([])
    const own = project(dump, dump.columns).rows.map((row) => JSON.parse(row) as Cell[])
    return own.map((row) =>
      columns.map((column) => {
        if (column === 'shard') return tables[index] ?? null
        const at = dump.columns.indexOf(column)
        return at < 0 ? (absent[column] ?? null) : (row[at] ?? null)
      }),
    )
  })
  return tableDump(UNION, columns, rows)
}
