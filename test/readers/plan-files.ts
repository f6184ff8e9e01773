// Which data files a reader opens for a filter: whether it skips partitions, and none too many.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { serverFolder } from '../servers/process.ts'
import { planIcebergWithJava } from './java.ts'
import { runReaderScript } from './python.ts'

export interface FilterRequest {
  /** `namespace.name`. */
  table: string
  column: string
  /** `null`: the column is null, whatever the value. */
  operation: '=' | '<' | '>=' | 'null'
  /** Numbers in digits, all else as Iceberg's libraries read it from text. */
  value: string
}

/** @returns the URIs of the files for each filter, one process for all of them */
export async function planWithPyiceberg(
  catalog: string,
  filters: readonly FilterRequest[],
): Promise<string[][]> {
  const folder = await serverFolder('pyiceberg-plan')
  try {
    const output = join(folder, 'plan')
    await runReaderScript('pyiceberg_plan.py', [
      output,
      catalog,
      'lake',
      ...filters.flatMap(argsOf),
    ])
    return linesOf(await readFile(output, 'utf8'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** @returns as `planWithPyiceberg` */
export async function planWithJava(
  catalog: string,
  filters: readonly FilterRequest[],
): Promise<string[][]> {
  return linesOf(await planIcebergWithJava([catalog, 'lake', ...filters.flatMap(argsOf)]))
}

function argsOf({ table, column, operation, value }: FilterRequest): string[] {
  return [table, column, operation, value]
}

function linesOf(text: string): string[][] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string[])
}
