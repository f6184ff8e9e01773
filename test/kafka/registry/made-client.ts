// Clients of registries for tests, on a clock whose waits cost nothing.
import { RegistryClient } from '../../../connectors/kafka/registry/client.ts'
import type { RegistryOptions } from '../../../connectors/kafka/registry/options.ts'
import { type Clock, systemClock } from '../../../runtime/base/clock.ts'

/** Waits cost nothing and are added up; requests take real time. */
export class SkippingClock implements Clock {
  readonly sleeps: number[] = []
  private skippedMs = 0

  nowMs = (): number => systemClock.nowMs()
  nowUs = (): bigint => systemClock.nowUs()
  after = (ms: number, task: () => void): (() => void) => systemClock.after(ms, task)
  every = (ms: number, task: () => void): (() => void) => systemClock.every(ms, task)

  elapsedMs = (): number => this.skippedMs + systemClock.elapsedMs()

  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    this.sleeps.push(ms)
    this.skippedMs += ms
    await systemClock.sleep(0, signal)
  }
}

export interface MadeClient {
  readonly client: RegistryClient
  readonly clock: SkippingClock
  readonly warnings: unknown[]
}

export function clientOf(
  urls: readonly string[],
  options: Partial<RegistryOptions> = {},
): MadeClient {
  const clock = new SkippingClock()
  const warnings: unknown[] = []
  const client = new RegistryClient({
    urls,
    credentials: { kind: 'none' },
    tls: { ca: null, verify: true, identity: null },
    timeoutMs: 5000,
    store: null,
    clock,
    log: { warn: (message, facts) => void warnings.push([message, facts]) },
    ...options,
  })
  return { client, clock, warnings }
}

/** A signal that does not abort. */
export const never: AbortSignal = new AbortController().signal
