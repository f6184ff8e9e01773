// The part of a pipeline file that is about event time: what tells when a row happened, and how
// long is waited for rows that happened before.

import { z } from 'zod'
import type { EventTimeUnit } from '../../data/event-times.ts'
import { UNIT_US } from '../../data/event-times.ts'
import { isTimeZone } from '../../data/time-zone.ts'
import { duration, text } from './schema-values.ts'

const WEEK_MS = 7 * 86_400_000

/** What every source knows of event time, whatever tells it. */
export const eventTimeKeys = {
  time_zone: z
    .string('a time zone such as Europe/Berlin')
    .refine(isTimeZone, 'a time zone such as Europe/Berlin')
    .prefault('UTC')
    .describe('IANA name: of times that are written without a zone.'),
  max_out_of_order: duration(0, WEEK_MS)
    .prefault('0s')
    .describe('Rows may come by this much later than rows with a later time.'),
  max_future: duration(0, WEEK_MS)
    .prefault('10m')
    .describe('A time that is further ahead of the source moves no watermark.'),
  idle_partition: duration(1000, WEEK_MS)
    .optional()
    .describe('What has had no row for so long is not waited for; default: it always is.'),
  all_idle: z
    .enum(['hold', 'advance'])
    .prefault('hold')
    .describe('Where nothing has rows: wait, or follow the clock of the source.'),
}

/** Databases go by the time of their commits unless a column is named. */
export const databaseEventTime = z
  .strictObject({
    column: text('the name of a column').describe(
      'Column of type timestamp, timestamptz or date; tables without it go by commit time.',
    ),
    ...eventTimeKeys,
  })
  .optional()
  .describe('What tells the time of a row. Default: when it was committed.')

const UNITS = Object.keys(UNIT_US) as [EventTimeUnit, ...EventTimeUnit[]]

/** Without the block the rows of topics have no event time. */
export const topicEventTime = z
  .strictObject({
    field: text('the name of a column')
      .optional()
      .describe('Column that tells the time; default: the timestamp of the record.'),
    unit: z
      .enum(UNITS)
      .optional()
      .describe('What a column of whole numbers counts since 1970; times and dates know theirs.'),
    ...eventTimeKeys,
    future: z
      .enum(['pass', 'dlq'])
      .prefault('pass')
      .describe('A row that is further ahead than `max_future`: written, or a dead letter.'),
  })
  .optional()
  .describe('What tells the time of a row, for `partition_ready` and `watermark_alignment`.')

export const watermarkAlignment = z
  .strictObject({
    max_drift: duration(1, WEEK_MS).describe(
      'A partition that is further ahead of the last one is not read until the others follow.',
    ),
  })
  .optional()
  .describe('Reads the partitions of all topics in the order of their event time.')

export type TopicEventTimeInput = z.output<typeof topicEventTime>
