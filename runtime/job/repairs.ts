// Serves the requests of `resync`: which tables are read again, under which structure of the lake,
// and when a request has had its effect. A request is removed only after a checkpoint that contains
// its effect; a crash before that serves it again, which costs time and changes nothing.

import type { Adoption, CommitQueue } from '../checkpoint/commit.ts'
import type { Checkpoint } from '../checkpoint/manifest.ts'
import type { ErrorName } from '../base/errors.ts'
import { shownTable } from '../data/schema.ts'
import type { TableRecord } from '../flow/tables.ts'
import type { ObjectStore } from '../object-store.ts'
import type { TableClaim } from '../sink.ts'
import type { Repair, Repairs } from './messages.ts'
import { readRequests, type PendingRequest } from './requests.ts'

/** Errors after which the lake table is not as we left it. */
const LAKE_ERRORS = new Set<ErrorName>([
  'TARGET_DIVERGED',
  'SCHEMA_DIVERGED',
  'TABLE_IDENTITY_CHANGED',
  'TIMELINE_AHEAD',
  'LAKE_FORMAT',
])

export class RepairRequests {
  private readonly state: ObjectStore
  /** Requests that the source has been told of since the last checkpoint. */
  private served: PendingRequest[] = []
  /** Requests served before that: the next durable checkpoint holds their effect for certain. */
  private settled: PendingRequest[] = []

  constructor(state: ObjectStore) {
    this.state = state
  }

  /** True when every table is to be read again. */
  async wantsAll(): Promise<boolean> {
    return (await readRequests(this.state)).some(({ tables }) => tables === null)
  }

  /**
   * At the start of an attempt, before anything is committed: every requested table is adopted, for
   * an intent that cannot be committed may be what the request is about.
   */
  async takeAtStart(
    last: Checkpoint | null,
    commits: CommitQueue,
    claim: TableClaim,
  ): Promise<Repairs> {
    this.served = [...(await readRequests(this.state))]
    this.settled = []
    const all = this.served.some(({ tables }) => tables === null)
    const known = (last?.source.tables ?? []).map(({ schema }) => schema.table)
    const wanted = all ? known : this.served.flatMap(({ tables }) => tables ?? [])
    const named = new Set(wanted.map((table) => wholeOf(table, last)))
    // The queue goes on between two adoptions: it must not meet those that are still to come.
    for (const table of named) commits.cancel(table)
    const tables: Repair[] = []
    for (const table of named) tables.push({ table, adoption: await commits.adopt(table, claim) })
    return { all, tables }
  }

  /**
   * While the pipeline runs.
   *
   * @returns repairs for the source thread; `all` asks for a new attempt, which serves it
   */
  async poll(last: Checkpoint | null, commits: CommitQueue, claim: TableClaim): Promise<Repairs> {
    const known = new Set([...this.served, ...this.settled].map(({ path }) => path))
    const fresh = (await readRequests(this.state)).filter(({ path }) => !known.has(path))
    if (fresh.some(({ tables }) => tables === null)) return { all: true, tables: [] }
    const repairs: Repair[] = []
    for (const request of fresh) {
      try {
        repairs.push(...(await this.repairsOf(request, last, commits, claim)))
      } catch (error) {
        // A catalog that is down: the request stays, and so do the repairs before it.
        if (repairs.length === 0) throw error
        break
      }
      // Only now: a request counts as served when the source is told of it.
      this.served.push(request)
    }
    return { all: false, tables: repairs }
  }

  private async repairsOf(
    { tables }: PendingRequest,
    last: Checkpoint | null,
    commits: CommitQueue,
    claim: TableClaim,
  ): Promise<readonly Repair[]> {
    const repairs: Repair[] = []
    for (const table of new Set((tables ?? []).map((each) => wholeOf(each, last)))) {
      repairs.push({ table, adoption: await this.adoption(table, last, commits, claim) })
    }
    return repairs
  }

  /** After a checkpoint is durable. */
  async afterCheckpoint(): Promise<void> {
    const { settled } = this
    this.settled = this.served
    this.served = []
    for (const { path } of settled) await this.state.delete(path)
  }

  /** A table whose epochs are on their way must not be adopted: they would find another marker. */
  private async adoption(
    table: string,
    last: Checkpoint | null,
    commits: CommitQueue,
    claim: TableClaim,
  ): Promise<Adoption | null> {
    const record = last?.source.tables.find(({ schema }) => schema.table === table)
    const reason = record?.phase === 'parked' ? record.reason : null
    if (reason === null || !LAKE_ERRORS.has(reason.error)) return null
    return commits.adopt(table, claim)
  }
}

/** @returns the table that is repaired for it: one of a union is not repaired alone */
function wholeOf(table: string, last: Checkpoint | null): string {
  const records = last?.source.tables ?? []
  const record = records.find(({ schema }) => schema.table === table)
  if (record?.united !== undefined) return record.united.table
  const isOfUnion = ({ schema }: TableRecord): boolean => shownTable(schema.table) === table
  return record?.schema.table ?? records.find(isOfUnion)?.schema.table ?? table
}
