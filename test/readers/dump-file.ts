// Reads the file that the Python and Java dumps write: a line with an object opens a table, each
// line with an array is a row of it.
import { createReadStream } from 'node:fs'
import type { TableDump } from './canonical.ts'

/** A table as read from a lake; `snapshot` is null for a table without any. */
export interface LakeDump extends TableDump {
  snapshot: string | null
}

/** One table to read; without `snapshot` its current state. */
export interface TableRequest {
  table: string
  /** Decimal text or bigint: snapshot ids exceed what a double holds. */
  snapshot?: bigint | string
}

/** Where the tables are: an SQLite catalog, as our product, pyiceberg and Java share it. */
export interface CatalogRequest {
  /** Path of the SQLite file. */
  catalog: string
  /** Needed only if the file holds several catalogs. */
  catalogName?: string
  /** All tables in their current state, if not given. */
  tables?: readonly TableRequest[]
}

export function requestText({ table, snapshot }: TableRequest): string {
  return snapshot === undefined ? table : `${table}@${snapshot}`
}

/** @returns tables in the order of the file; a table that the reader refused throws */
export async function readDumpFile(path: string): Promise<LakeDump[]> {
  const dumps: LakeDump[] = []
  for await (const line of linesOf(path)) {
    const last = dumps.at(-1)
    if (line.startsWith('[') && last) {
      // Parsed and printed again, for each language escapes JSON in its own way.
      last.rows.push(JSON.stringify(JSON.parse(line)))
      continue
    }
    const head = JSON.parse(line) as Omit<LakeDump, 'rows'> & { error?: string }
    if (head.error) throw new Error(`${head.table}: ${head.error}`)
    dumps.push({ ...head, rows: [] })
  }
  for (const dump of dumps) dump.rows.sort()
  return dumps
}

/** Splits at line feeds only: node:readline would also split at U+2028 inside a JSON string. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(path, { encoding: 'utf8' })) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}
