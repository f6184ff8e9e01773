// `source.limits` of a pipeline file: how fast the source may be read.

import { z } from 'zod'
import type { Limits, RateLimit } from '../limits.ts'
import type { ConfigDocument } from './document.ts'
import { checkPattern } from './pattern-check.ts'
import { integer, size, text } from './schema-values.ts'
import { TABLE_SHAPE } from './selector.ts'

const ROWS_MAX = 1_000_000_000

const rate = {
  rows_per_second: integer(1, ROWS_MAX, 'rows').optional().describe('Rows a second, on average.'),
  bytes_per_second: size(1024).optional().describe('Bytes of rows a second, uncompressed.'),
}

export const limitsSchema = z
  .strictObject({
    ...rate,
    tables: z
      .record(
        text('a table or pattern such as shop.orders'),
        z.strictObject(rate, 'a block with rows_per_second or bytes_per_second'),
        'a block of tables, each with its limits',
      )
      .prefault({})
      .describe('Of each single table; the first pattern that has it counts.'),
  })
  .prefault({})
  .describe(
    'How fast the source is read, log and first copy together. Default: as fast as it goes.',
  )

type LimitsInput = z.output<typeof limitsSchema>

/** Reports patterns that are none. */
export function resolveLimits(input: LimitsInput, document: ConfigDocument): Limits {
  const { tables, ...own } = input
  for (const pattern of Object.keys(tables)) {
    checkPattern(pattern, TABLE_SHAPE, ['source', 'limits', 'tables', pattern], document)
  }
  const rules = Object.entries(tables).map(([pattern, limit]) => {
    return { pattern, ...rateOf(limit) }
  })
  return { ...rateOf(own), tables: rules }
}

function rateOf({
  rows_per_second: rows,
  bytes_per_second: bytes,
}: Omit<LimitsInput, 'tables'>): RateLimit {
  return { rowsPerSecond: rows ?? null, bytesPerSecond: bytes ?? null }
}
