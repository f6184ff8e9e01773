// Builders with their decoders, kept from chunk to chunk: a decoder that is compiled anew for each
// chunk runs its first thousands of rows uncompiled, and builders that start small are grown and
// thrown away for each.

import type { TableSchema } from '../../../runtime/data/schema.ts'
import { ChangeBuilder } from '../decode/change-builder.ts'
import type { MysqlType } from '../types.ts'
import {
  bindRowDecoder,
  compileRowDecoder,
  rowDecoderSource,
  type RowDecoder,
} from './row-decoder.ts'

/** More than chunks are read at once: of one table, as a rule. */
const SPARE_MAX = 8

export interface RowBuilder {
  readonly builder: ChangeBuilder
  readonly decoder: RowDecoder
  /** What the decoder was compiled from. */
  readonly source: string
}

export class RowBuilders {
  /** The one that was given last at the end. */
  private spare: readonly RowBuilder[] = []

  /** @returns an empty builder of the schema; the caller owns it until it gives it back */
  take(schema: TableSchema, types: readonly MysqlType[]): RowBuilder {
    const source = rowDecoderSource(schema, types)
    const known = this.spare.find(
      (candidate) => candidate.builder.schema === schema && candidate.source === source,
    )
    if (known !== undefined) {
      this.spare = this.spare.filter((candidate) => candidate !== known)
      return known
    }
    const builder = new ChangeBuilder(schema)
    return { builder, decoder: bindRowDecoder(compileRowDecoder(source), builder), source }
  }

  /** Takes one back whose rows have been packed, or are of no use. */
  give(row: RowBuilder): void {
    row.builder.reset()
    this.spare = [...this.spare, row].slice(-SPARE_MAX)
  }
}
