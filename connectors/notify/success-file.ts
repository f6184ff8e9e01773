// `_SUCCESS` in a partition's folder: what jobs wait for that look at files. It says which
// generation of the partition it stands for, and is written again with each.

import { recordOf } from '../../runtime/base/errors.ts'
import type { Delivery, Notifier, PartitionReady } from '../../runtime/notifier.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'
import { partitionData } from './cloud-event.ts'

export const SUCCESS_NAME = '_SUCCESS'

export interface SuccessFileOptions {
  /** Where the tables' files are. */
  readonly warehouse: ObjectStore
  /** The partition's folder, relative to the warehouse. */
  readonly folderOf: (event: PartitionReady) => string
}

export function successFile({ warehouse, folderOf }: SuccessFileOptions): Notifier {
  return {
    name: 'success_file',
    kind: 'success_file',
    async deliver(event): Promise<Delivery> {
      const { id, decidedAtMs } = event
      const content = { id, time: new Date(decidedAtMs).toISOString(), ...partitionData(event) }
      const bytes = Buffer.from(`${JSON.stringify(content)}\n`)
      try {
        await warehouse.put(`${folderOf(event)}/${SUCCESS_NAME}`, bytes)
        return { kind: 'delivered' }
      } catch (error) {
        return { kind: 'failed', error: recordOf(error), retryAfterMs: null }
      }
    },
    close: async () => undefined,
  }
}
