// Opens the transaction of a chunk, with a LOW that it certainly covers.
//
// The log's end is no LOW: both servers write a commit to the log before readers see it, and a row
// of such a commit would be in neither the chunk nor the replay (27 % of reads under plain load).
//   MySQL    waits on the chunk's connection until everything that the log reader has processed is
//            committed there: the snapshot that follows holds at least that. LOW = processed.
//   MariaDB  names the place of its last commit, `binlog_snapshot_position`. LOW = that place, read
//            before the snapshot opens; what commits in between comes by the log as well.
//
// MariaDB's name is true only where a transaction ends. A rotation puts the beginning of the new
// file there while the commits that caused it are still on their way to the engine (4 % of reads
// with small files), and so does the checkpoint event behind it. And the name belongs to no
// session: inside of a consistent snapshot it should be that snapshot's own, but the variable is
// one for all, and whoever else asks at that moment changes it. So a place counts when the log
// reader has seen a transaction end exactly there. On an idle log, which stays behind a rotation
// for hours, it counts when it has not moved for a while.
//
// XA COMMIT of MariaDB is no part of that order: it is written to the log and named as the last
// commit, and only then the engine is told. Until then XA RECOVER lists the transaction, so the
// snapshot waits for those that are listed although the log has decided them. One that is not
// listed yet is decided later, behind LOW.
//
// An engine without transactions (MyISAM, Aria) shows a row once its statement lets go of the
// table, and the statement is in the log before that: what the server calls committed is seen a
// little later, so the SELECT waits.
//
// Where a table has no key the last commit is named once more behind LOW, and nothing waits then:
// XA transactions that are listed after it may be missing.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { orderOf, type Order, type Position } from '../../../runtime/data/position.ts'
import { GtidSet } from '../gtid.ts'
import type { MysqlOptions } from '../options.ts'
import { fileNumber, parseToken } from '../position.ts'
import { logStatusSql, readLogEnd, type ServerFacts } from '../server.ts'
import type { WireClient } from '../wire/client.ts'
import type { ControlConnection } from '../wire/connect.ts'
import { PREPARED_SQL, preparedXid, waitForDecided } from '../xa.ts'
import { aborted, type Snapshot } from './read.ts'

/** How long a chunk waits for its server to have what the log reader has. */
const VISIBLE_WAIT_S = 60

/** How often the server and the log reader are asked how far they are. */
const POLL_MS = 10

/** A commit is in the log for so long before the engine has it, at the very most. */
const QUIET_MS = 250

/**
 * Something was written to the log that is no commit and changes no name, if the name stays behind
 * the log reader for so long.
 */
const STALLED_MS = 2000

/** The log reader may be far behind; whether a place is in the log at all is asked so often. */
const DOUBT_MS = 1000

const START_SQL = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'
/** What is certainly committed: on MySQL, and on MariaDB. */
const EXECUTED_SQL = 'SELECT @@GLOBAL.gtid_executed'
/** In the place of a question that only MariaDB is asked. */
const NOTHING_SQL = 'DO 0'
const LAST_COMMIT_SQL = `SHOW GLOBAL STATUS LIKE 'binlog_snapshot_%'`
const WAITING_SQL = `SHOW GLOBAL STATUS LIKE 'rpl_semi_sync_master_wait_sessions'`

/** What only the reader of the log knows. */
export interface LogWitness {
  /** Everything before it has been read. */
  readTo(): Order
  /** A transaction of those that were read last ended exactly there. */
  endsAt(place: Order): boolean
  /** The last that the log said of this XA transaction is COMMIT or ROLLBACK. */
  hasDecided(xid: string): boolean
  /** It may be one of these XA transactions that the log ends there. */
  mayDecide(order: Order, xids: readonly string[]): boolean
  requestProgress(): void
}

export interface SnapshotServer {
  readonly facts: ServerFacts
  readonly sourceEpoch: number
  readonly control: ControlConnection
  readonly options: MysqlOptions
  /** `null`: nobody reads the log. It gives `null` as long as reading has not begun. */
  readonly witness: (() => LogWitness | null) | null
}

/** What a snapshot is opened for. */
export interface SnapshotWish {
  /** Position of the log reader, or any other of its log: LOW is not before it. */
  readonly processed: Position
  /** False: the table's engine keeps to no snapshot. */
  readonly transactional: boolean
}

export class Snapshots {
  private readonly server: SnapshotServer
  /** A name for which it is known up to where everything is committed. */
  private settled: { readonly named: Order; readonly place: Order } = { named: -1n, place: 0n }

  constructor(server: SnapshotServer) {
    this.server = server
  }

  /** @throws PipelineError CONNECT_FAILED */
  async open(client: WireClient, wish: SnapshotWish, signal: AbortSignal): Promise<Snapshot> {
    const low = await this.committed(client, wish.processed, signal)
    await client.query(START_SQL)
    if (!wish.transactional) await this.quiet(signal)
    return {
      low,
      timeUs: await serverTimeUs(client),
      high: async () => this.logEnd(),
      commits: null,
    }
  }

  /**
   * For a table without a key: it must be told which transactions the snapshot holds, so as little
   * as possible may happen between the questions on both sides of its beginning.
   */
  async openTold(
    client: WireClient,
    { processed, transactional }: SnapshotWish,
    signal: AbortSignal,
  ): Promise<Snapshot> {
    const { facts, witness } = this.server
    const low = await this.committed(client, processed, signal)
    const [committed = [], listed = [], , log = []] = await client.queryEach([
      facts.mariadb ? LAST_COMMIT_SQL : EXECUTED_SQL,
      facts.mariadb ? PREPARED_SQL : NOTHING_SQL,
      START_SQL,
      logStatusSql(facts),
    ])
    const executed = facts.mariadb ? null : GtidSet.parse(committed[0]?.[0] ?? '')
    const named = facts.mariadb ? this.placeNamed(new Map(committed.map(nameAndValue))) : low
    const prepared = facts.mariadb ? listed.map(preparedXid) : []
    if (!transactional) await this.quiet(signal)
    const [file, offset] = log[0] ?? []
    const end = transactional ? this.orderAt(file ?? '', BigInt(offset ?? '0')) : null
    const endsAt = (place: Order): boolean => witness?.()?.endsAt(place) ?? false
    const mayBeOpen = (order: Order): boolean => witness?.()?.mayDecide(order, prepared) ?? true
    return {
      low,
      timeUs: await serverTimeUs(client),
      high: async () => this.logEnd(),
      commits: { low, executed, named, endsAt, mayBeOpen, end },
    }
  }

  /** @returns LOW: every transaction before it is committed on the server of the chunk */
  private async committed(
    client: WireClient,
    processed: Position,
    signal: AbortSignal,
  ): Promise<Order> {
    if (this.server.facts.mariadb) return this.committedFrom(processed.order, signal)
    return processedOn(client, processed)
  }

  /** @returns a place, not before `from`, such that all transactions before it are committed */
  private async committedFrom(from: Order, signal: AbortSignal): Promise<Order> {
    const { clock } = this.server.options
    let startMs = clock.elapsedMs()
    for (;;) {
      if (signal.aborted) throw aborted()
      const named = await this.lastCommit()
      const behindMs = clock.elapsedMs() - startMs
      let place: Order | null = null
      if (named >= from) place = await this.settledAt(named, from, signal)
      else if (behindMs > STALLED_MS) place = await this.quietEnd(named, signal)
      if (place !== null && place >= from) {
        await this.waitForXa(place, signal)
        return place
      }
      if (named >= from) startMs = clock.elapsedMs()
      else if (behindMs > VISIBLE_WAIT_S * 1000) throw behind()
      await this.pause(signal)
    }
  }

  /** @returns the place that the name stands for; `null` when it may be ahead of the commits */
  private async settledAt(named: Order, from: Order, signal: AbortSignal): Promise<Order | null> {
    const { settled } = this
    if (named === settled.named && settled.place >= from) return settled.place
    const { witness } = this.server
    if (witness === null) return (await this.isOld(named, signal)) ? named : null
    const log = await this.readBy(witness, named, signal)
    const place = log?.endsAt(named) === true ? named : await this.quietEnd(named, signal)
    if (place !== null) this.settled = { named, place }
    return place
  }

  /** Waits until the log has been read to `place`. @returns null when the log is not that long */
  private async readBy(
    witness: () => LogWitness | null,
    place: Order,
    signal: AbortSignal,
  ): Promise<LogWitness | null> {
    const { clock } = this.server.options
    let doubtedMs = clock.elapsedMs()
    for (;;) {
      const log = witness()
      if (log !== null && log.readTo() >= place) return log
      if (signal.aborted) throw aborted()
      log?.requestProgress()
      await this.pause(signal)
      if (clock.elapsedMs() - doubtedMs < DOUBT_MS) continue
      if ((await this.logEnd()) < place) return null
      doubtedMs = clock.elapsedMs()
    }
  }

  /**
   * The end of a log in which nothing has been written or committed for a while. The name may even
   * lie behind it: where DDL fills a file, its offset in there stays, under the next file's name.
   */
  private async quietEnd(named: Order, signal: AbortSignal): Promise<Order | null> {
    const { clock } = this.server.options
    const startMs = clock.elapsedMs()
    const end = await this.logEnd()
    while (clock.elapsedMs() - startMs < QUIET_MS) {
      await this.pause(signal)
      if ((await this.lastCommit()) !== named) return null
    }
    const quiet = !(await this.waitsForReplicas()) && (await this.logEnd()) === end
    return quiet ? end : null
  }

  /** Without a reader of the log: what was committed then is in the engine by now. */
  private async isOld(named: Order, signal: AbortSignal): Promise<boolean> {
    const waiting = await this.waitsForReplicas()
    await this.quiet(signal)
    return !waiting && (await this.lastCommit()) >= named && (await this.logEnd()) >= named
  }

  /** @param place  LOW: what the log decides before it must be known */
  private async waitForXa(place: Order, signal: AbortSignal): Promise<void> {
    const { control, options, witness } = this.server
    const log = witness === null ? null : await this.readBy(witness, place, signal)
    // Without a reader each of them may be decided, or stay for weeks.
    const waitMs = log === null ? QUIET_MS : VISIBLE_WAIT_S * 1000
    const decided = (xid: string): boolean => log?.hasDecided(xid) ?? true
    const left = await waitForDecided(control, options, decided, waitMs, signal)
    if (left.length > 0 && log !== null) throw behind(`It has not ended XA transaction ${left[0]}.`)
  }

  private async lastCommit(): Promise<Order> {
    return this.placeNamed(await this.status(LAST_COMMIT_SQL))
  }

  private placeNamed(status: ReadonlyMap<string, string>): Order {
    const file = status.get('binlog_snapshot_file') ?? ''
    if (file === '') {
      throw new PipelineError('SERVER_UNSUITABLE', 'the server names no place for its snapshots')
    }
    return this.orderAt(file, BigInt(status.get('binlog_snapshot_position') ?? '0'))
  }

  private orderAt(file: string, offset: bigint): Order {
    return orderOf(this.server.sourceEpoch, fileNumber(file), offset)
  }

  /** Semi-synchronous commits stand in the log, unseen, until a replica has them. */
  private async waitsForReplicas(): Promise<boolean> {
    const status = await this.status(WAITING_SQL)
    return Number(status.get('rpl_semi_sync_master_wait_sessions') ?? '0') > 0
  }

  private async status(sql: string): Promise<ReadonlyMap<string, string>> {
    const rows = await this.server.control.query(sql)
    return new Map(
      rows.map((row) => nameAndValue([String(row['Variable_name']), String(row['Value'])])),
    )
  }

  private async logEnd(): Promise<Order> {
    const { control, facts } = this.server
    const { file, offset } = await readLogEnd(control, facts)
    return this.orderAt(file, offset)
  }

  private async quiet(signal: AbortSignal): Promise<void> {
    await this.server.options.clock.sleep(QUIET_MS, signal).catch(() => undefined)
  }

  private async pause(signal: AbortSignal): Promise<void> {
    await this.server.options.clock.sleep(POLL_MS, signal).catch(() => undefined)
  }
}

/** Waits until the chunk's server has committed what was processed. @returns its order */
async function processedOn(client: WireClient, processed: Position): Promise<Order> {
  const { gtids } = parseToken(processed.token)
  if (gtids === '') return processed.order
  const sql = `SELECT WAIT_FOR_EXECUTED_GTID_SET('${gtids}', ${VISIBLE_WAIT_S})`
  const [row] = await client.query(sql)
  if (row?.[0] !== '0') throw behind()
  return processed.order
}

function nameAndValue([name, value]: readonly (string | null)[]): [string, string] {
  return [(name ?? '').toLowerCase(), value ?? '']
}

function behind(detail = ''): PipelineError {
  const message = 'the server does not catch up with its own log'
  return new PipelineError('CONNECT_FAILED', message, detail === '' ? {} : { detail })
}

async function serverTimeUs(client: WireClient): Promise<bigint> {
  const sql = 'SELECT CAST(UNIX_TIMESTAMP(UTC_TIMESTAMP(6)) * 1000000 AS UNSIGNED)'
  const [row] = await client.query(sql)
  return BigInt(row?.[0] ?? '0')
}
