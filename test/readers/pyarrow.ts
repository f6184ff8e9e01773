// Reads plain Parquet files with Arrow's C++ reader, by way of pyarrow.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { serverFolder } from '../servers/process.ts'
import type { TableDump } from './canonical.ts'
import { readDumpFile } from './dump-file.ts'
import { runReaderScript } from './python.ts'

/** One process for all files; a dump's `table` is the path. */
export async function readParquetWithPyarrow(paths: readonly string[]): Promise<TableDump[]> {
  const folder = await serverFolder('pyarrow')
  try {
    const output = join(folder, 'dump')
    await runReaderScript('pyarrow_dump.py', [output, ...paths])
    return await readDumpFile(output)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
