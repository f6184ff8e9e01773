// The start of a source: who the server is and whether it is the one of the checkpoint, publication
// before slot, and every table as the log has it at the position from which it is read.

import type { Client } from 'pg'
import { PipelineError } from '../../runtime/base/errors.ts'
import { listTables, loadTypes, readTables, TypeCatalog, type Ask } from './catalog.ts'
import type { CatalogTable } from './catalog.ts'
import { LOCK_TIMEOUT, sqlStateOf } from './connect.ts'
import { formatLsn, parseLsn, type Lsn } from './lsn.ts'
import type { PostgresOptions } from './options.ts'
import {
  addTablesSql,
  createPublicationSql,
  hiddenRows,
  readPublication,
  requireUnchanged,
  requireWhole,
  unpublishable,
  unusableMembership,
  type Publication,
} from './publication.ts'
import {
  dropSlot,
  readServerFacts,
  requireSlotAt,
  requireSuitable,
  type ServerFacts,
} from './server.ts'
import { shapeOfCatalog } from './shape.ts'
import { adoptSlotAloud, createSlotAloud } from './slot-creation.ts'
import { freeSlot } from './slot-wait.ts'
import type { SavedState } from './state.ts'
import { connectLog, identifySystem, timelineEnd, type SystemIdentity } from './stream.ts'
import { nextXid } from './structure.ts'
import { NO_MEMBER, TableRegistry } from './tables.ts'

export interface Opened {
  readonly facts: ServerFacts
  readonly identity: SystemIdentity
  readonly registry: TableRegistry
  readonly position: Lsn
  readonly sourceEpoch: number
  /** Some transaction id of now. */
  readonly xid: number
}

/** Where the checkpoint ended. */
export interface Checkpoint {
  readonly state: SavedState
  readonly lsn: Lsn
  readonly sourceEpoch: number
}

/**
 * @param checkpoint  `null` at the very first start, or when the log begins anew
 * @param epochBefore  source epoch of the log before; `null`: there was none
 * @param renew  a slot that is there already is replaced
 */
export async function openSource(
  options: PostgresOptions,
  ask: Ask,
  checkpoint: Checkpoint | null,
  epochBefore: number | null,
  renew: boolean,
): Promise<Opened> {
  const facts = await readServerFacts(ask)
  requireSuitable(facts)
  const identity = await readIdentity(options, checkpoint)
  if (checkpoint !== null) requireSameServer(options, facts, identity, checkpoint)
  const types = new TypeCatalog()
  const captured = await readCaptured(options, ask, types)
  if (checkpoint === null) requireReadable(options, captured, types)
  const { publication, joined } = await openPublication(options, ask, facts, captured, checkpoint)
  const registry = new TableRegistry(options, types, publication)
  const position =
    checkpoint === null
      ? await openSlot(options, ask, facts, renew)
      : await resumeSlot(options, ask, facts, checkpoint.lsn)
  const xid = await nextXid(ask)
  if (checkpoint !== null) await restore(registry, ask, checkpoint.state, joined)
  if (checkpoint === null) admit(registry, captured, xid)
  // Another server may be at an earlier place of its log than the one before.
  const next = epochBefore === null ? 0 : epochBefore + 1
  const sourceEpoch = checkpoint?.sourceEpoch ?? next
  return { facts, identity, registry, position, sourceEpoch, xid }
}

async function readIdentity(
  options: PostgresOptions,
  checkpoint: Checkpoint | null,
): Promise<SystemIdentity> {
  const client = await connectLog(options)
  try {
    const identity = await identifySystem(client)
    if (checkpoint !== null && identity.timeline !== checkpoint.state.timeline) {
      await requireNotRewound(client, identity, checkpoint)
    }
    return identity
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * A promoted standby goes on from where it had got to. What we have read of the old timeline behind
 * that place does not exist any more, and rows of it may be in the lake.
 */
async function requireNotRewound(
  client: Client,
  identity: SystemIdentity,
  { state, lsn }: Checkpoint,
): Promise<void> {
  const end = await timelineEnd(client, identity.timeline, state.timeline)
  const read = Math.max(lsn, state.highest)
  if (end !== null && parseLsn(end) >= read) return
  throw new PipelineError('SOURCE_REWOUND', 'the server lacks changes that were read before', {
    detail:
      `Timeline ${state.timeline} was read up to ${formatLsn(read)}; ` +
      `timeline ${identity.timeline} left it at ${end ?? 'an unknown place'}.`,
  })
}

function requireSameServer(
  options: PostgresOptions,
  facts: ServerFacts,
  identity: SystemIdentity,
  { state, lsn }: Checkpoint,
): void {
  if (state.system !== identity.system || state.database !== facts.databaseOid) {
    const what = state.system === identity.system ? 'database' : 'database system'
    throw new PipelineError('SOURCE_CHANGED', `the checkpoint is of another ${what}`, {
      detail: `It was taken from system ${state.system}; this is system ${identity.system}.`,
    })
  }
  if (state.slot !== options.slot) {
    // The old slot is nobody's after a resync, and would keep the log until the disk is full.
    throw new PipelineError(
      'SOURCE_CHANGED',
      `the checkpoint is of replication slot "${state.slot}", not of "${options.slot}"`,
      {
        hint:
          `Set \`source.slot.name: ${state.slot}\` again; or run \`millrace resync FILE --all\`, and ` +
          `\`SELECT pg_drop_replication_slot('${state.slot}')\` on the server.`,
      },
    )
  }
  if (parseLsn(identity.end) < lsn) {
    throw new PipelineError('SOURCE_REWOUND', 'the log of the server ends before the checkpoint', {
      detail: `The log ends at ${identity.end}, the checkpoint at ${formatLsn(lsn)}.`,
    })
  }
}

async function readCaptured(
  options: PostgresOptions,
  ask: Ask,
  types: TypeCatalog,
): Promise<readonly CatalogTable[]> {
  const listed = await listTables(ask)
  const wanted = listed.filter(
    ({ namespace, name }) =>
      options.tables(namespace, name) && !options.tablesExclude(namespace, name),
  )
  const { tables } = await readTables(
    ask,
    wanted.map(({ oid }) => oid),
  )
  await loadTypes(types, ask, tables)
  return tables
}

/** Refuses a table that cannot be read before anything is created on the server. */
function requireReadable(
  options: PostgresOptions,
  captured: readonly CatalogTable[],
  types: TypeCatalog,
): void {
  const source = { options, lookup: types.lookup, generated: false, published: null }
  for (const table of captured) {
    const reason = unpublishable(table, options.keyed)
    if (reason !== null) throw reason
    if (table.hidesRows) throw hiddenRows(table, options.user)
    shapeOfCatalog(table, null, source)
  }
}

/**
 * The publication, made or completed, and the oids of the tables that joined it now.
 *
 * @throws PipelineError LOG_GAP when it is another one, or was altered
 */
async function openPublication(
  options: PostgresOptions,
  ask: Ask,
  facts: ServerFacts,
  captured: readonly CatalogTable[],
  checkpoint: Checkpoint | null,
): Promise<{ publication: Publication; joined: ReadonlySet<number> }> {
  const name = options.publication
  const before = await readPublication(ask, name, facts.version)
  if (checkpoint !== null) requireUnchanged(before, checkpoint.state.publication, name)
  const joining = captured.filter(
    (table) =>
      before?.members.has(table.oid) !== true && unpublishable(table, options.keyed) === null,
  )
  if (before === null) await ask(createPublicationSql(name, joining))
  else if (joining.length > 0) await joinPublication(ask, name, joining, checkpoint === null)
  const now = await readPublication(ask, name, facts.version)
  if (now === null) throw new PipelineError('SERVER_UNSUITABLE', `publication "${name}" vanished`)
  requireWhole(now, name)
  const joined = joining.filter(({ oid }) => now.members.has(oid))
  return { publication: now, joined: new Set(joined.map(({ oid }) => oid)) }
}

/**
 * @param first  a table that cannot join stops the pipeline; later it stays out alone, and the
 *   first poll of the catalog parks it or waits for its lock
 */
async function joinPublication(
  ask: Ask,
  name: string,
  joining: readonly CatalogTable[],
  first: boolean,
): Promise<void> {
  try {
    await ask(addTablesSql(name, joining))
  } catch (error) {
    if (first || !staysOut(error)) throw error
    // One of them took all others with it.
    if (joining.length === 1) return
    for (const table of joining) await joinPublication(ask, name, [table], false)
  }
}

function staysOut(error: unknown): boolean {
  if (!(error instanceof PipelineError)) return false
  return error.error !== 'CONNECT_FAILED' || sqlStateOf(error) === LOCK_TIMEOUT
}

/**
 * At the very first start: makes the slot, or takes over one that has not been read from.
 *
 * @param renew  makes it in any case: an old one may be invalidated, or stand before something that
 *   the server cannot decode
 */
async function openSlot(
  options: PostgresOptions,
  ask: Ask,
  { walSenderTimeoutMs }: ServerFacts,
  renew: boolean,
): Promise<Lsn> {
  const slot = await freeSlot(ask, options.clock, options.slot, walSenderTimeoutMs)
  if (slot === null || renew) {
    if (slot !== null) await dropSlot(ask, options.slot)
    return createSlotAloud(options, ask)
  }
  requireSlotAt(slot, options.slot, slot.confirmed)
  if (slot.plugin !== 'pgoutput' || !slot.own) {
    throw new PipelineError(
      'SERVER_UNSUITABLE',
      `replication slot "${options.slot}" is of plugin ${slot.plugin} in database ${slot.database}`,
      { hint: 'Choose another `slot`, or drop this one.' },
    )
  }
  return adoptSlotAloud(options, ask, slot.confirmed)
}

async function resumeSlot(
  options: PostgresOptions,
  ask: Ask,
  { walSenderTimeoutMs }: ServerFacts,
  ours: Lsn,
): Promise<Lsn> {
  const slot = await freeSlot(ask, options.clock, options.slot, walSenderTimeoutMs)
  requireSlotAt(slot, options.slot, ours)
  return ours
}

/** @param joined  tables that were not published until now: those we know had been out */
async function restore(
  registry: TableRegistry,
  ask: Ask,
  state: SavedState,
  joined: ReadonlySet<number>,
): Promise<void> {
  for (const table of state.tables) {
    const wasOut = joined.has(table.shape.oid)
    registry.set(wasOut ? { ...table, memberSince: NO_MEMBER } : table)
  }
  const oids = state.tables.flatMap(({ shape }) => shape.columns.map(({ type }) => type))
  await registry.types.load(ask, oids)
}

/**
 * Takes in all tables, at the very first start. Later the log stands before the catalog: a table
 * that the checkpoint does not know is taken in when the log, or a look at the catalog that it has
 * reached, shows it. What the log shows of it before would be its structure of earlier.
 */
function admit(registry: TableRegistry, captured: readonly CatalogTable[], xid: number): void {
  for (const table of captured) {
    if (!registry.publication.members.has(table.oid)) continue
    const reason =
      unpublishable(table, registry.options.keyed) ??
      unusableMembership(registry.publication, table)
    if (reason !== null) throw reason
    registry.set(registry.knownOf(table, registry.shapeNow(table, null), null, xid))
  }
}
