// `parquetjs-lite`, which has no types: a file that takes row objects one by one.

// @ts-expect-error the package has no types
import parquet from 'parquetjs-lite'

export interface RowWriter {
  appendRow(row: object): Promise<void>
  close(): Promise<void>
}

/** @param schema  by column, as the library has it */
export async function openParquet(schema: object, file: string): Promise<RowWriter> {
  const own = new parquet.ParquetSchema(schema)
  return parquet.ParquetWriter.openFile(own, file) as Promise<RowWriter>
}
