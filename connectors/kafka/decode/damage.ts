// Errors of what brokers send: bytes that fail their checksum or their grammar, and forms that this
// version does not read. They name topic, partition and offset, and end reading there: nothing is
// skipped.

import { PipelineError } from '../../../runtime/base/errors.ts'

/** Where in a log a batch lies. */
export interface BatchPlace {
  readonly topic: string
  readonly partition: number
  /** First offset of the batch. */
  readonly offset: number
}

function nameOf({ topic, partition, offset }: BatchPlace): string {
  return `topic "${topic}" partition ${partition} offset ${offset}`
}

export function damaged(place: BatchPlace, what: string, cause?: unknown): PipelineError {
  return new PipelineError('LOG_CORRUPT', `record batch at ${nameOf(place)}: ${what}`, { cause })
}

export function unreadable(place: BatchPlace, what: string, hint: string): PipelineError {
  return new PipelineError('LOG_UNKNOWN_EVENT', `record batch at ${nameOf(place)}: ${what}`, {
    hint,
  })
}
