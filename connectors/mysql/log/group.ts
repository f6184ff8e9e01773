// The transaction that is being read, from its GTID event to its end, and what its control
// statements say of it.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { GtidEvent, MariadbGtidEvent } from '../decode/events.ts'
import { EventSpool } from '../spool.ts'
import type { TransactionMark } from './output.ts'

export class Group {
  readonly gtid: GtidEvent | MariadbGtidEvent
  /** Where the GTID event begins in the current file. */
  readonly start: number
  /** It was opened by BEGIN, so only COMMIT, ROLLBACK or XID end it. */
  begun: boolean
  /** Number of the next row. */
  sequence = 0
  /** Of the rows; made when the first one is decoded. */
  mark: TransactionMark | null = null
  /** Events that are held back; `null`: they take effect as they come. */
  spool: EventSpool | null = null
  /**
   * The events are held back until something is decided (XA), or up to a SAVEPOINT that may be gone
   * back to: they must be, however many they are.
   */
  mustHold = false
  /** XA START has been seen: the group ends prepared. */
  xid: string | null = null
  private readonly savepoints: { readonly name: string; readonly mark: number }[] = []

  constructor(gtid: GtidEvent | MariadbGtidEvent, start: number) {
    this.gtid = gtid
    this.start = start
    const mariadb = gtid.kind === 'mariadb-gtid'
    this.begun = mariadb && !gtid.standalone && !gtid.completedXa
    if (mariadb && gtid.preparedXa) this.xid = gtid.xid
  }

  /** As `__tx__` and messages have it. */
  get id(): string {
    const { gtid } = this
    if (gtid.kind === 'mariadb-gtid') return `${gtid.domain}-${gtid.server}-${gtid.sequence}`
    return gtid.tag === '' ? `${gtid.uuid}:${gtid.gno}` : `${gtid.uuid}:${gtid.tag}:${gtid.gno}`
  }

  /** An ALTER TABLE that only begins here, or has failed. */
  get isHalfAlter(): boolean {
    const { gtid } = this
    return gtid.kind === 'mariadb-gtid' && (gtid.alter === 'start' || gtid.alter === 'rollback')
  }

  /** As the server stamped it: microseconds on MySQL, whole seconds on MariaDB. */
  get commitTimeUs(): bigint {
    const { gtid } = this
    if (gtid.kind === 'gtid' && gtid.commitTimeUs > 0n) return gtid.commitTimeUs
    return BigInt(gtid.timestampS) * 1_000_000n
  }

  /** Begins to hold events back. */
  hold(folder: string): EventSpool {
    this.spool ??= new EventSpool(folder)
    return this.spool
  }

  savepoint(name: string, folder: string): void {
    this.savepoints.push({ name, mark: this.hold(folder).bytes })
    this.mustHold = true
  }

  rollbackTo(name: string): void {
    const at = this.savepoints.findLastIndex((savepoint) => savepoint.name === name)
    const savepoint = this.savepoints[at]
    if (savepoint === undefined || this.spool === null) {
      throw new PipelineError('LOG_CORRUPT', 'a transaction goes back to an unknown savepoint')
    }
    this.spool.truncate(savepoint.mark)
    this.savepoints.length = at + 1
  }
}

/** What a statement does to the transaction that it stands in. */
export type Control =
  | { readonly verb: 'begin' | 'commit' | 'rollback' | 'release' }
  | { readonly verb: 'savepoint' | 'rollback-to'; readonly name: string }

const SIMPLE: ReadonlyMap<string, Control> = new Map([
  ['BEGIN', { verb: 'begin' }],
  ['START TRANSACTION', { verb: 'begin' }],
  ['COMMIT', { verb: 'commit' }],
  ['ROLLBACK', { verb: 'rollback' }],
] as const)

const SAVEPOINT = /^(SAVEPOINT|ROLLBACK\s+(?:WORK\s+)?TO(?:\s+SAVEPOINT)?)\s+([\s\S]+)$/i
const RELEASE = /^RELEASE\s+SAVEPOINT\b/i
const CONTROL_CHARACTERS_MAX = 400

/** @returns what `text` does to its transaction, `null` when it is no control statement */
export function parseControl(text: string): Control | null {
  const simple = SIMPLE.get(text)
  if (simple !== undefined) return simple
  if (text.length > CONTROL_CHARACTERS_MAX) return null
  const match = SAVEPOINT.exec(text)
  if (match !== null) {
    // The servers write the name as they parsed it, in backquotes; names have no case.
    const name = (match[2] ?? '').trim().toLowerCase()
    const verb = /^s/i.test(match[1] ?? '') ? 'savepoint' : 'rollback-to'
    return { verb, name }
  }
  return RELEASE.test(text) ? { verb: 'release' } : null
}
