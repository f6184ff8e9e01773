// How the readers of whole tables that npm offers are started.

import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Reference } from '../engine.ts'

/** They are slow; a part of the table shows their rates. */
const COUNTING_ROWS_MAX = 500_000
const PARQUET_ROWS_MAX = 100_000
const SHARED_MEMORY = '/dev/shm'
const PEER = fileURLToPath(new URL('table-stream.ts', import.meta.url))

export interface StreamPlan {
  readonly library: string
  readonly uri: string
  readonly password: string
  readonly table: string
  /** That the table has. */
  readonly rows: number
  /** The Parquet file. */
  readonly output: string
  /** The usual table's columns are written into the program that makes Parquet of them. */
  readonly isUsual: boolean
}

export function streamReferences(plan: StreamPlan): readonly Reference[] {
  const { library, rows, isUsual } = plan
  const counting = reference(plan, `${library}, counting`, 'count', COUNTING_ROWS_MAX)
  if (!isUsual) return [counting]
  const some = Math.min(rows, PARQUET_ROWS_MAX)
  return [counting, reference(plan, `${library} + parquetjs-lite`, 'parquet', some)]
}

function reference(
  { uri, password, table, rows, output }: StreamPlan,
  name: string,
  job: 'count' | 'parquet',
  most: number,
): Reference {
  const some = Math.min(rows, most)
  const sql = `SELECT * FROM ${table} WHERE id <= ${some}`
  const command = {
    program: process.execPath,
    args: [PEER, JSON.stringify({ job, uri, sql, output })],
    env: { BENCH_PASSWORD: password },
    stdout: 'keep',
  } as const
  return { name, kind: 'alternative', commands: [command], rows: some, reportsItself: true }
}

/** A new folder, in memory where there is a place for that: their disk is not what is measured. */
export function memoryFolder(): string {
  const base = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()
  return mkdtempSync(join(base, 'millrace-bench-'))
}
