// Structures under which readers see rows of before them until a repair ends, which may take hours:
// with another key, or of another table that was adopted. Each reader must go on reading, with
// nulls where the rows have no value.

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SourceColumn, SourceTable, TableSchema } from '../../runtime/data/schema.ts'
import { Corridor } from '../../runtime/job/corridor.ts'
import { readIcebergWithDuckdb } from '../readers/duckdb.ts'
import { readIcebergWithJava } from '../readers/java.ts'
import { readIcebergWithPyiceberg } from '../readers/pyiceberg.ts'
import { Lake, targetOf } from './lake.ts'

const TABLE = 'shop.orders'

let lake: Lake

beforeEach(async () => {
  lake = await Lake.open()
})

afterEach(async () => {
  await lake.close()
})

function column(identity: string, name: string, more: Partial<SourceColumn> = {}): SourceColumn {
  return {
    identity,
    name,
    type: { kind: 'long' },
    nullable: false,
    comment: null,
    sourceType: 'bigint',
    existing: { kind: 'unknown' },
    ...more,
  }
}

function source(key: string, ...columns: SourceColumn[]): SourceTable {
  const [namespace, name] = ['shop', 'orders']
  return { namespace, name, incarnation: '1', columns, key: [key], comment: null }
}

const id = column('1', 'id')
const token = column('2', 'token', { type: { kind: 'string' } })

function corridorOf(): Corridor {
  return new Corridor([{ send: () => undefined, ready: () => undefined }], {
    keyed: true,
    firstFieldId: 1,
  })
}

function schemaOf(corridor: Corridor): TableSchema {
  return corridor.tables.get(TABLE)!.schema
}

async function expectRows(columns: readonly string[], rows: readonly string[]): Promise<void> {
  const request = { catalog: lake.catalogPath, catalogName: 'lake', tables: [{ table: TABLE }] }
  const location = (await lake.catalog.load(targetOf(TABLE)))!
  const dumps = {
    duckdb: await readIcebergWithDuckdb(location, { table: TABLE }),
    pyiceberg: (await readIcebergWithPyiceberg(request))[0]!,
    java: (await readIcebergWithJava(request))[0]!,
  }
  for (const [reader, dump] of Object.entries(dumps)) {
    expect({ reader, columns: dump.columns, rows: dump.rows }).toEqual({ reader, columns, rows })
  }
}

test('a table is readable while a repair brings another key, and has it at its end', async () => {
  const corridor = corridorOf()
  corridor.tableChanged(source('1', id), 1n)
  const committer = lake.committer()
  const before = schemaOf(corridor)
  const old = await lake.file(before, [{ id: 1n }])
  await lake.commit(committer, { table: TABLE, schemas: [before], files: [old] })
  expect(corridor.tableChanged(source('2', id, token), 2n)).toBeNull()
  corridor.rebuild(corridor.tables.get(TABLE)!, null)
  const after = schemaOf(corridor)
  await lake.commit(committer, { table: TABLE, schemas: [after] })
  await expectRows(['id', 'token'], ['["1",null]'])
  const files = [await lake.file(after, [{ id: 1n, token: 'one' }])]
  await lake.commit(committer, { table: TABLE, truncated: true, files })
  await expectRows(['id', 'token'], ['["1","one"]'])
})

test('an adopted table is readable until its repair ends', async () => {
  const corridor = corridorOf()
  corridor.tableChanged(source('1', id), 1n)
  const committer = lake.committer()
  const before = schemaOf(corridor)
  const old = await lake.file(before, [{ id: 1n }])
  await lake.commit(committer, { table: TABLE, schemas: [before], files: [old] })
  const adoption = { lastSchemaId: before.version, lastColumnId: 1, renumber: true }
  corridor.rebuild(corridor.tables.get(TABLE)!, adoption)
  const after = schemaOf(corridor)
  await lake.commit(committer, { table: TABLE, schemas: [after] })
  await expectRows(['id'], ['[null]'])
})
