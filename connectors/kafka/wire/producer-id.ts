// Asks for the id under which batches are written, so that a broker takes each of them once however
// often it is sent; with a transactional id, it also ends whatever its last holder left open.

import { initProducerIdV3, initProducerIdV4, initProducerIdV5 } from '@platformatic/kafka'
import type { BrokerConnection } from './connection.ts'

export interface ProducerId {
  readonly id: bigint
  readonly epoch: number
}

const APIS = [initProducerIdV5.api, initProducerIdV4.api, initProducerIdV3.api]
const NONE = -1n

/**
 * @param transactional  `null`: for batches outside of transactions; any broker answers then, else
 *        the coordinator of the id
 * @returns with the answer's error code, which is 0 where the id may be used
 * @throws PipelineError CONNECT_FAILED
 */
export async function initProducerId(
  connection: BrokerConnection,
  transactional: { readonly id: string; readonly timeoutMs: number } | null,
): Promise<ProducerId & { readonly code: number }> {
  const name = transactional?.id ?? null
  const timeoutMs = transactional?.timeoutMs ?? 0
  // The library's type has no null, which it writes as the protocol wants it.
  const given = name as unknown as string
  const answer = await connection.call(APIS, given, timeoutMs, NONE, -1)
  return { id: answer.producerId, epoch: answer.producerEpoch, code: answer.errorCode }
}
