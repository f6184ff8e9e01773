// What is said when a partition cannot be gone on with: which records are needed, and what there
// is. Records that are gone are never passed over in silence.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { SplitProblem } from './wire/delivery.ts'

type Gone = Extract<SplitProblem, { problem: 'out-of-range' | 'truncated' }>

export function positionGone(problem: Gone): PipelineError {
  const { topic, partition, offset } = problem
  const name = `partition ${partition} of topic "${topic}"`
  if (problem.problem === 'truncated') {
    const detail =
      `Needed: offset ${offset}, behind records of an epoch that ends at ${problem.endOffset} now. ` +
      `Records from there on were lost by the cluster after they had been read.`
    const hint =
      'Find out whether brokers elected a leader that lacked them (unclean election). The lake ' +
      'has rows that the topic no longer has: run a pipeline of another name over it.'
    return new PipelineError('POSITION_GONE', `${name} was truncated`, { detail, hint })
  }
  const { logStartOffset, highWatermark } = problem
  const lost = Math.max(0, logStartOffset - offset)
  const fate =
    offset < logStartOffset
      ? `Retention removed ${lost} before they were read.`
      : `Its log ends before that.`
  return new PipelineError('POSITION_GONE', `${name} no longer has offset ${offset}`, {
    detail:
      `Needed: offset ${offset}. First available: offset ${logStartOffset}; ` +
      `the log ends at ${highWatermark}. ${fate}`,
  })
}

export function topicRecreated(topic: string, oldId: string, newId: string): PipelineError {
  return new PipelineError('POSITION_GONE', `topic "${topic}" was deleted and made again`, {
    detail: `It was ${oldId} and is ${newId}: no offset of the one means anything in the other.`,
    hint:
      'Set `source.on_recreate: from_beginning` and start again: the table is emptied (append and ' +
      'changelog keep its rows) and the new topic is read from its first record.',
  })
}

export function partitionsFewer(topic: string, partition: number): PipelineError {
  return new PipelineError('POSITION_GONE', `topic "${topic}" has no partition ${partition} now`, {
    detail: 'Kafka never takes a partition from a topic, so this cluster is another one.',
  })
}
