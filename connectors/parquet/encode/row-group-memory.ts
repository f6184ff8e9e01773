// Column builders of row groups whose file is finished, for the next file of the same columns. To
// grow new ones to the size of a row group means to copy everything twice, and leaves as much
// memory again to the garbage collector, for each file.

import { columnBuilder, type ColumnBuilder } from '../../../runtime/data/column/builder.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'

/** One full row group of usual rows, as builders that grow by doubling hold it. */
const MEMORY_BYTES_MAX = 96 * 1024 * 1024

interface Spare {
  readonly builders: readonly ColumnBuilder[]
  readonly bytes: number
}

export class RowGroupMemory {
  private readonly bytesMax: number
  private readonly rowsAtStart: number | undefined
  /** By the types of the columns, the one that was given last at the end. */
  private readonly spares = new Map<string, Spare>()
  private bytes = 0

  /** @param rowsAtStart  as of `columnBuilder`, of the builders that are made here */
  constructor(bytesMax: number = MEMORY_BYTES_MAX, rowsAtStart?: number) {
    this.bytesMax = bytesMax
    this.rowsAtStart = rowsAtStart
  }

  /** @returns an empty builder a type; the caller owns them */
  take(types: readonly ColumnType[]): readonly ColumnBuilder[] {
    const key = JSON.stringify(types)
    const spare = this.spares.get(key)
    if (spare === undefined) return types.map((type) => columnBuilder(type, this.rowsAtStart))
    this.forget(key, spare)
    return spare.builders
  }

  /** Takes over builders that nobody looks at any more. */
  give(builders: readonly ColumnBuilder[]): void {
    for (const builder of builders) builder.reset()
    const key = JSON.stringify(builders.map(({ type }) => type))
    const bytes = builders.reduce((sum, builder) => sum + memoryOf(builder), 0)
    const before = this.spares.get(key)
    if (before !== undefined) this.forget(key, before)
    this.spares.set(key, { builders, bytes })
    this.bytes += bytes
    for (const [oldest, spare] of this.spares) {
      if (this.bytes <= this.bytesMax) break
      this.forget(oldest, spare)
    }
  }

  private forget(key: string, { bytes }: Spare): void {
    this.spares.delete(key)
    this.bytes -= bytes
  }
}

function memoryOf(builder: ColumnBuilder): number {
  switch (builder.layout) {
    case 'bytes':
      return builder.offsets.byteLength + builder.bytes.byteLength
    case 'list':
      return builder.offsets.byteLength + memoryOf(builder.child)
    default:
      return builder.values.byteLength
  }
}
