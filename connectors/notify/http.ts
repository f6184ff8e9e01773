// A webhook: one POST for each announcement, signed so that the receiver can tell who sends it.
//
// What an answer means:
//   2xx              it was taken
//   409              it is known already: taken
//   429, 503         not now; Retry-After says when
//   3xx, other 4xx   the address, the authorisation or the receiver is wrong: somebody has to
//                    correct it, and until then it is told again like after a 5xx. Nothing is left
//                    out: an announcement that is given up is a partition that nobody ever reads
//   5xx, no answer   told again
//
// Source: Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks

import { createHmac } from 'node:crypto'
import type { Clock } from '../../runtime/base/clock.ts'
import { PipelineError, recordOf } from '../../runtime/base/errors.ts'
import type { Delivery, Notifier, PartitionReady } from '../../runtime/notifier.ts'
import { cloudEvent, EVENT_CONTENT_TYPE } from './cloud-event.ts'

export interface HttpNotifierOptions {
  readonly name: string
  readonly url: string
  /** Asked at each delivery, so that a rotated secret counts; `null`: not signed. */
  readonly secret: (() => string) | null
  /** `Authorization: Bearer ...`; `null`: none. */
  readonly bearer: (() => string) | null
  readonly timeoutMs: number
  readonly clock: Clock
}

export function httpNotifier(options: HttpNotifierOptions): Notifier {
  return {
    name: options.name,
    kind: 'http',
    deliver: (event, signal) => post(options, event, signal),
    close: async () => undefined,
  }
}

async function post(
  options: HttpNotifierOptions,
  event: PartitionReady,
  signal: AbortSignal,
): Promise<Delivery> {
  const { url, clock, timeoutMs } = options
  const timeout = new AbortController()
  const cancel = clock.after(timeoutMs, () => timeout.abort())
  try {
    const body = cloudEvent(event)
    const response = await fetch(url, {
      method: 'POST',
      headers: headersOf(options, event, body),
      body,
      // A signature is for the address that was configured.
      redirect: 'manual',
      signal: AbortSignal.any([signal, timeout.signal]),
    })
    // The connection is free again once the answer has been read; nobody needs its text.
    await response.body?.cancel().catch(() => undefined)
    return judge(response, options)
  } catch (error) {
    if (error instanceof PipelineError) return failed(error, null)
    const why = timeout.signal.aborted ? `no answer within ${timeoutMs} ms` : causeOf(error)
    return failed(failure(options, why, error), null)
  } finally {
    cancel()
  }
}

function headersOf(
  { secret, bearer, clock }: HttpNotifierOptions,
  { id }: PartitionReady,
  body: string,
): Record<string, string> {
  const timestamp = String(Math.floor(clock.nowMs() / 1000))
  const headers: Record<string, string> = {
    'content-type': EVENT_CONTENT_TYPE,
    'user-agent': 'millrace',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
  }
  if (secret !== null) headers['webhook-signature'] = signature(secret(), id, timestamp, body)
  if (bearer !== null) headers['authorization'] = `Bearer ${bearer()}`
  return headers
}

const SECRET_PREFIX = 'whsec_'

/**
 * @param secret  `whsec_` and base64, as the standard spells it, or any text
 * @returns the value of `webhook-signature`
 */
export function signature(secret: string, id: string, timestamp: string, body: string): string {
  const isEncoded = secret.startsWith(SECRET_PREFIX)
  const key = isEncoded ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64') : secret
  const digest = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return `v1,${digest}`
}

function judge(response: Response, options: HttpNotifierOptions): Delivery {
  const { ok, status } = response
  if (ok || status === 409) return { kind: 'delivered' }
  const after = retryAfterMs(response.headers.get('retry-after'), options.clock.nowMs())
  return failed(failure(options, `it answered ${status}`), after)
}

/** @returns milliseconds, from seconds or from a date; `null`: neither */
function retryAfterMs(value: string | null, nowMs: number): number | null {
  if (value === null) return null
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs)
}

function failed(error: PipelineError, after: number | null): Delivery {
  return { kind: 'failed', error: recordOf(error), retryAfterMs: after }
}

/** The address without what may be secret in it. */
function failure({ url }: HttpNotifierOptions, why: string, cause?: unknown): PipelineError {
  const { origin, pathname } = new URL(url)
  const message = `webhook ${origin}${pathname} was not reached: ${why}`
  return new PipelineError('NOTIFICATION_FAILED', message, { cause })
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : null
  return code ?? (cause instanceof Error ? cause.message : error.message)
}
