// What `source.event_time` says, with its defaults: when a row happened, and how long to wait for
// those before it.

import type { z } from 'zod'
import { COMMIT_TIME, type EventTimeOptions } from '../table-times.ts'
import type { ConfigDocument } from './document.ts'
import type { eventTimeKeys } from './schema.ts'

type Written = z.output<z.ZodObject<typeof eventTimeKeys>>

/** @param written  `undefined`: a database goes by the time of its commits */
export function resolveEventTime(
  written: (Written & { readonly column?: string }) | undefined,
  maxDriftMs: number | null,
  document: ConfigDocument,
): EventTimeOptions {
  if (written === undefined) return { ...COMMIT_TIME, maxDriftMs }
  const { column, time_zone, max_out_of_order, max_future, idle_partition, all_idle } = written
  if (all_idle === 'advance' && idle_partition === undefined) {
    const message =
      'source.event_time.all_idle: advance needs `idle_partition`: nothing is idle else'
    document.report(['source', 'event_time', 'all_idle'], { error: 'CONFIG_VALUE', message })
  }
  return {
    splits: false,
    column: column ?? null,
    timeZone: time_zone,
    maxOutOfOrderMs: max_out_of_order,
    maxFutureMs: max_future,
    idleMs: idle_partition ?? null,
    allIdle: all_idle,
    maxDriftMs,
  }
}
