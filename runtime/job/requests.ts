// Requests that other processes leave for a pipeline in its state store, such as `resync`. A
// running instance looks every second; otherwise the next start finds them. A request is removed
// only after a checkpoint that contains its effect is durable.

import { randomUuid } from '../base/clock.ts'
import type { ObjectStore } from '../object-store.ts'

const FOLDER = 'requests'

/** Read these tables again and remove what differs; `tables: null` means all of them. */
export interface RepairRequest {
  readonly tables: readonly string[] | null
}

export interface PendingRequest extends RepairRequest {
  readonly path: string
}

export async function leaveRequest(state: ObjectStore, request: RepairRequest): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(request))
  await state.put(`${FOLDER}/repair-${randomUuid()}.json`, bytes)
}

export async function readRequests(state: ObjectStore): Promise<readonly PendingRequest[]> {
  const requests: PendingRequest[] = []
  for (const path of await state.list(FOLDER)) {
    const { tables } = JSON.parse(Buffer.from(await state.get(path)).toString()) as RepairRequest
    requests.push({ path, tables })
  }
  return requests
}
