// What every played run has in common: a task of the smallest steps, and a committer without a
// lake.

import { NO_LIMITS } from '../../runtime/job/limits.ts'
import type { PipelineParts } from '../../runtime/job/run.ts'
import { COMMIT_TIME } from '../../runtime/job/table-times.ts'
import type { Committer } from '../../runtime/sink.ts'

export const PLAYED_TASK: PipelineParts['task'] = {
  backfills: true,
  rereads: true,
  once: false,
  backfillParallelism: 1,
  chunkRows: 1,
  keyed: true,
  appends: false,
  eventTime: COMMIT_TIME,
  limits: NO_LIMITS,
  firstFieldId: 1,
  reservedNames: [],
}

export const idleCommitter: Committer<unknown> = {
  commit: async () => [],
  adopt: async () => null,
  changeProperties: async () => false,
  sweep: async () => 0,
  close: async () => undefined,
}
