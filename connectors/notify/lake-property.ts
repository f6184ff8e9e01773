// `millrace.ready.<partition>` as a property of the lake table: whoever reads the table's metadata
// finds what is whole, without being told. The last of them are kept; older ones are taken away.

import { recordOf } from '../../runtime/base/errors.ts'
import type { Delivery, Notifier, PartitionReady } from '../../runtime/notifier.ts'
import type { PropertyChange } from '../../runtime/sink.ts'
import { isoTime } from './cloud-event.ts'

export const READY_PREFIX = 'millrace.ready.'
const KEPT_MAX = 1000

/** @returns false when the lake has no such table (yet) */
export type ChangeProperties = (change: PropertyChange) => Promise<boolean>

export function lakeProperty(change: ChangeProperties): Notifier {
  return {
    name: 'iceberg_property',
    kind: 'iceberg_property',
    async deliver(event, signal): Promise<Delivery> {
      const stopped = Promise.withResolvers<never>()
      const stop = (): void => stopped.reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      try {
        // It waits for commits, and those for a catalog that may be down. A table that is not there
        // has no partitions that somebody could look up.
        await Promise.race([
          change((properties) => propertiesOf(event, properties)),
          stopped.promise,
        ])
        return { kind: 'delivered' }
      } catch (error) {
        return { kind: 'failed', error: recordOf(error), retryAfterMs: null }
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
    close: async () => undefined,
  }
}

export function propertiesOf(
  event: PartitionReady,
  properties: Readonly<Record<string, string>>,
): Record<string, string | null> {
  const name = `${READY_PREFIX}${event.field}=${event.value}`
  const { id, generation, rows, files } = event
  const watermark = isoTime(event.watermarkUs)
  const changes: Record<string, string | null> = {
    [name]: JSON.stringify({ generation, watermark, rows, files, id }),
  }
  const others = Object.keys(properties).filter(
    (other) => other.startsWith(READY_PREFIX) && other !== name,
  )
  // Their values are times of one unit, so their texts are in the order of time.
  others.sort()
  for (const old of others.slice(0, Math.max(0, others.length + 1 - KEPT_MAX))) changes[old] = null
  return changes
}
