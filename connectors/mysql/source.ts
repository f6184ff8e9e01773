// MySQL and MariaDB as a Source: one connection reads the log, one answers questions, some read
// chunks. The log is read as a replica does; nothing is written to the server and nothing locked.

import { present } from '../../runtime/base/assert.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { SourceElement } from '../../runtime/data/element.ts'
import type { Order, Position } from '../../runtime/data/position.ts'
import type { TableSchema } from '../../runtime/data/schema.ts'
import type { CommitReceipt } from '../../runtime/sink.ts'
import type {
  Chunk,
  ChunkRead,
  LogLink,
  Source,
  SourceContext,
  SourceOpening,
} from '../../runtime/source.ts'
import { Backfill, controlTimeUs } from './chunk/backfill.ts'
import { chooseServerId, eventError, openDump, silentMsMax, type Dump } from './dump.ts'
import { fileCreatedS, type FileBirths } from './log/file-birth.ts'
import { LogOutput } from './log/output.ts'
import { LogPlace } from './log/place.ts'
import { PreparedTransactions } from './log/prepared.ts'
import { processedGtids, type ProcessedGtids } from './log/processed.ts'
import { LogReader } from './log/reader.ts'
import { logEndToken, openingPosition, resumeToken } from './log/resume.ts'
import { RowRoutes } from './log/routes.ts'
import { Statements } from './log/statements.ts'
import type { MysqlOptions } from './options.ts'
import { fileNumber, formatToken, LOG_SPLIT, type LogToken, parseToken } from './position.ts'
import { NOTHING_SAVED, readState, StateWriter, type SavedState } from './saved.ts'
import { identify, logFindings, readLogEnd, refuseUnsuitable, textOf } from './server.ts'
import type { ServerFacts } from './server.ts'
import { MariadbPosition } from './gtid.ts'
import { listTables, readCharsets, structuresAt } from './structure.ts'
import { TableTracker } from './tables.ts'
import { openControl, type ControlConnection } from './wire/connect.ts'
import { orderOf, reachesInOrder } from '../../runtime/data/position.ts'
import { readPrepared, waitForDecided, type EarlyXa } from './xa.ts'

/** An XA COMMIT is in the log for so long before the engine has it, at the very most. */
const DECIDED_WAIT_MS = 2000

export function createMysqlSource(options: MysqlOptions): Source {
  return new MysqlSource(options)
}

/** Everything that exists between `open` and `close`. */
interface Session {
  readonly control: ControlConnection
  readonly facts: ServerFacts
  readonly token: LogToken
  readonly position: Position
  readonly tracker: TableTracker
  readonly prepared: PreparedTransactions
  readonly processed: ProcessedGtids
  readonly dump: Dump
  readonly backfill: Backfill
  readonly timeUs: bigint
  readonly serverTimeUs: () => bigint
  readonly xa: EarlyXa
}

class MysqlSource implements Source {
  readonly reaches = reachesInOrder
  private readonly options: MysqlOptions
  private readonly writer = new StateWriter()
  private session: Session | null = null
  private reader: LogReader | null = null

  constructor(options: MysqlOptions) {
    this.options = options
  }

  async open(saved: Uint8Array | null, after: Position | null): Promise<SourceOpening> {
    await this.close()
    const control = await openControl(this.options)
    try {
      this.session = await this.openSession(control, saved, after)
    } catch (error) {
      await control.close()
      throw error
    }
    const { position, tracker } = this.session
    return { position, tables: tracker.sourceTables() }
  }

  private async openSession(
    control: ControlConnection & Parameters<typeof identify>[0],
    saved: Uint8Array | null,
    after: Position | null,
  ): Promise<Session> {
    const { options } = this
    const facts = await identify(control)
    if (!facts.mariadb) await control.query('SET SESSION information_schema_stats_expiry = 0')
    refuseUnsuitable(await logFindings(control, facts))
    const state = saved === null ? NOTHING_SAVED : readState(saved)
    const serverId = await chooseServerId(control, facts, options)
    const createdS = async (file: string): Promise<number | null> =>
      fileCreatedS(options, serverId, file)
    // Without a state the log begins anew, whatever was read before.
    const goesOn = saved === null ? null : after
    const { token, tracker, xa } =
      goesOn === null
        ? await this.beginAnew(control, facts, after, createdS)
        : await this.goOn(control, facts, { after: goesOn, state, createdS })
    const prepared = new PreparedTransactions(options.spillFolder, state.prepared)
    const processed = processedGtids(facts.mariadb, token.gtids)
    const startUs = await controlTimeUs(control)
    const startMs = options.clock.elapsedMs()
    const dump = await firstAnswer(await openDump(options, serverId, processed.dumpStart()))
    const { epoch: sourceEpoch } = token
    const backfill = new Backfill(options, {
      facts,
      sourceEpoch,
      control,
      witness: () => this.reader,
      structureOf: (table) => tracker.structureOf(table),
    })
    options.log.info('the log is open', { version: facts.versionText, file: token.file, serverId })
    return {
      control,
      facts,
      token,
      position: openingPosition(token, goesOn),
      tracker,
      prepared,
      processed,
      dump,
      backfill,
      timeUs: state.timeUs,
      serverTimeUs: () => {
        const passedMs = options.clock.elapsedMs() - startMs
        return startUs + BigInt(Math.round(passedMs * 1000))
      },
      xa,
    }
  }

  /** @param before  of the log that was read before, which may have been another server's */
  private async beginAnew(
    control: ControlConnection,
    facts: ServerFacts,
    before: Position | null,
    createdS: FileBirths,
  ): Promise<{ token: LogToken; tracker: TableTracker; xa: EarlyXa }> {
    const { options } = this
    const { structures, place } = await structuresAt(control, options, facts.mariadb, () =>
      logEndToken(control, facts),
    )
    // All that follows lies above all that was read, however far its log had come.
    const epoch = before === null ? 0 : parseToken(before.token).epoch + 1
    const token = { ...place, createdS: await createdS(place.file), epoch }
    const tracker = new TableTracker(options, facts, control, token.epoch, NOTHING_SAVED.tables)
    tracker.adopt(structures, await readCharsets(control))
    const preparedBefore = await readPrepared(control, facts.mariadb, options)
    const { file, offset } = await readLogEnd(control, facts)
    const decidedBefore = orderOf(token.epoch, fileNumber(file), offset)
    return { token, tracker, xa: { preparedBefore, decidedBefore } }
  }

  private async goOn(
    control: ControlConnection,
    facts: ServerFacts,
    from: { after: Position; state: SavedState; createdS: FileBirths },
  ): Promise<{ token: LogToken; tracker: TableTracker; xa: EarlyXa }> {
    const { after, state, createdS } = from
    const { log } = this.options
    const token = await resumeToken(control, facts, after, { createdS, log })
    const tracker = new TableTracker(this.options, facts, control, token.epoch, state.tables)
    await tracker.joinNew(await listTables(control, this.options))
    if (facts.mariadb) await this.waitForXa(control, state)
    return { token, tracker, xa: state.xa }
  }

  /**
   * A decision may have been read before the restart while the engine does not have it yet. Which
   * ones is forgotten, so all that are listed and not known to be prepared get a while.
   */
  private async waitForXa(control: ControlConnection, state: SavedState): Promise<void> {
    const known = new Set([...state.prepared.map(([xid]) => xid), ...state.xa.preparedBefore])
    const decided = (xid: string): boolean => !known.has(xid)
    await waitForDecided(control, this.options, decided, DECIDED_WAIT_MS, null)
  }

  read(after: Position, context: SourceContext, signal: AbortSignal): AsyncIterable<SourceElement> {
    const session = this.opened()
    if (parseToken(after.token).gtids !== session.processed.format()) {
      throw new PipelineError('INTERNAL', 'the log is read from where it was opened')
    }
    const { options } = this
    session.tracker.tellRefused(context)
    session.tracker.tellSelection(context, session.position.order)
    const output = new LogOutput(options.clock)
    const reader = new LogReader({
      ...session,
      options,
      mariadb: session.facts.mariadb,
      place: new LogPlace(session.token, session.position.order),
      output,
      routes: new RowRoutes(session.tracker, output, context),
      statements: new Statements(options, session.tracker, context, {
        ...session,
        sourceEpoch: session.token.epoch,
      }),
      logEnd: async () => {
        const { file, offset } = await readLogEnd(session.control, session.facts)
        const rows = await session.control.query('SELECT @@global.gtid_binlog_pos AS gtids')
        const gtids = MariadbPosition.parse(textOf(rows, 'gtids')).toString()
        return { file, offset: Number(offset), gtids }
      },
      after: session.position.order,
    })
    this.reader = reader
    return reader.read(signal)
  }

  requestProgress(): void {
    this.reader?.requestProgress()
  }

  /** A dump that is lost ends the read, so there is none that is opened again. */
  link(): LogLink | null {
    if (this.session === null || this.reader === null) return null
    const silentMs = this.session.dump.client.reader.silentMs()
    return { open: true, silentMs, silentMsMax: silentMsMax(this.options), lost: null }
  }

  /** All structure is in the log. */
  confirm(): void {}

  confirmed(): boolean {
    return true
  }

  async head(): Promise<Position> {
    const { control, facts, token } = this.opened()
    const { file, offset } = await readLogEnd(control, facts)
    const order = orderOf(token.epoch, fileNumber(file), offset)
    const place = { ...token, file, offset: Number(offset), createdS: null }
    return { split: LOG_SPLIT, order, token: formatToken(place) }
  }

  async estimateRows(table: string): Promise<number | null> {
    return this.opened().backfill.estimateRows(table)
  }

  async splitKeys(schema: TableSchema, count: number): Promise<readonly string[]> {
    return this.opened().backfill.splitKeys(schema, count)
  }

  async openChunk(
    chunk: Chunk,
    limit: number,
    schema: TableSchema,
    processed: Position,
    signal: AbortSignal,
  ): Promise<ChunkRead> {
    return this.opened().backfill.open(chunk, limit, schema, processed, signal)
  }

  /**
   * The rows of a table that joined are left to the chunks up to the place where it joined, so the
   * log must have been read to there. And a row of an XA transaction that was prepared before
   * reading began is in no event that we will see: only a chunk that opens after the decision has
   * it.
   */
  async mayBackfill(table: string): Promise<{ ready: true } | { ready: false; waitsFor: string }> {
    const { xa, control, tracker, facts } = this.opened()
    const joinedAt = tracker.find(table)?.joinedAt ?? null
    if (joinedAt !== null && (this.reader?.processed ?? 0n) < joinedAt) {
      return { ready: false, waitsFor: 'the log to reach the place where the table joined' }
    }
    const { preparedBefore } = xa
    if (preparedBefore.length > 0) {
      const now = new Set(await readPrepared(control, facts.mariadb, this.options))
      for (const xid of preparedBefore) {
        if (now.has(xid)) return { ready: false, waitsFor: `prepared XA transaction ${xid}` }
      }
    }
    return { ready: true }
  }

  /** A chunk's snapshot holds all that has been read: LOW is the position itself, or later. */
  lowBound(processed: Position): Order {
    return processed.order
  }

  save(): Uint8Array {
    const { tracker, prepared, xa, timeUs } = this.opened()
    return this.writer.write({
      timeUs: this.reader?.timeUs ?? timeUs,
      tables: tracker.save(),
      prepared: prepared.save(),
      xa,
    })
  }

  /** The servers keep their logs by age, not by reader: there is nobody to tell. */
  async acknowledge(_receipt: CommitReceipt): Promise<void> {
    this.opened().prepared.checkpointed()
  }

  async close(): Promise<void> {
    const { session } = this
    this.session = null
    this.reader = null
    if (session === null) return
    session.dump.close()
    session.backfill.close()
    await session.control.close()
  }

  private opened(): Session {
    return present(this.session, 'the source is open')
  }
}

/**
 * The first packet says whether the server has the log that was asked for. It stays in the reader,
 * which begins with it.
 */
async function firstAnswer(dump: Dump): Promise<Dump> {
  const { reader } = dump.client
  try {
    while (!reader.peek()) await reader.fill()
    const error = eventError(reader.bytes, reader.start, reader.end)
    if (error !== null) throw error
    return dump
  } catch (error) {
    dump.close()
    throw error
  }
}
