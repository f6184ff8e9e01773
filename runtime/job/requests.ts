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

/** @returns those that can be read; the others wait for `moveDamagedAside` */
export async function readRequests(state: ObjectStore): Promise<readonly PendingRequest[]> {
  const requests: PendingRequest[] = []
  for (const path of await state.list(FOLDER)) {
    const request = parseRequest(await state.get(path))
    if (request !== null) requests.push({ path, ...request })
  }
  return requests
}

/**
 * A request that cannot be read must not end every start: it is kept for whoever wants to know.
 * Only while no instance runs.
 *
 * @returns where they are now
 */
export async function moveDamagedAside(state: ObjectStore): Promise<readonly string[]> {
  const moved: string[] = []
  for (const path of await state.list(FOLDER)) {
    const bytes = await state.get(path)
    if (parseRequest(bytes) !== null) continue
    const aside = `damaged-${path}`
    await state.put(aside, bytes)
    await state.delete(path)
    moved.push(aside)
  }
  return moved
}

function parseRequest(bytes: Uint8Array): RepairRequest | null {
  try {
    const request = JSON.parse(Buffer.from(bytes).toString()) as Partial<RepairRequest> | null
    const tables: unknown = request?.tables
    if (tables === null) return { tables }
    if (!Array.isArray(tables) || !tables.every(isTable)) return null
    return { tables }
  } catch {
    return null
  }
}

/** `namespace.name`, as `tableKey` makes it. */
function isTable(name: unknown): name is string {
  return typeof name === 'string' && /^.+\../s.test(name)
}
