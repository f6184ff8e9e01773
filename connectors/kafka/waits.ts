// What partitions of a topic wait for, in words for whoever looks at the pipeline. The others go
// on meanwhile, so it is said of the table only once it has lasted.

import type { TopicState } from './topic-state.ts'
import type { SplitState, StallReason } from './wire/delivery.ts'

/** Transactions are open most of the time, and leaders move within seconds. */
const TOLD_AFTER_MS = 10_000

const WORDS: Readonly<Record<StallReason, string>> = {
  'no-leader': 'a leader of',
  'broker-unreachable': 'the broker of',
  'broker-error': 'the broker of',
  'open-transaction': 'the end of a transaction in',
  metadata: 'the cluster to name the leader of',
}

/**
 * @param states  of its partitions
 * @returns the end of "the table waits for ..."; `null`: nothing
 */
export function waitsOf(
  topic: TopicState,
  states: readonly SplitState[],
  nowMs: number,
): string | null {
  const waits = states.flatMap(({ partition, stalled }) => {
    if (stalled === null) return []
    if (nowMs - stalled.sinceMs < TOLD_AFTER_MS) return []
    return [`${WORDS[stalled.reason]} partition ${partition}`]
  })
  for (const [partition, sinceMs] of topic.waiting) {
    if (nowMs - sinceMs < TOLD_AFTER_MS) continue
    waits.push(`the schema of a record in partition ${partition}`)
  }
  const [first, ...more] = waits
  if (first === undefined) return null
  return more.length === 0 ? first : `${first}, and ${more.length} more partitions wait`
}
