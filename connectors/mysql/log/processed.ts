// What has been read of the log, as the server that goes on sending it must be told.

import type { GtidEvent, MariadbGtidEvent } from '../decode/events.ts'
import type { DumpStart } from '../dump.ts'
import { GtidSet, MariadbPosition, type MariadbGtid } from '../gtid.ts'

export interface ProcessedGtids {
  /** The transaction of this event is complete. */
  add(gtid: GtidEvent | MariadbGtidEvent): void
  /** As the token of a position has it. */
  format(): string
  /** True when nothing of what a server has, as `format` gives it, is still to be read. */
  isAt(gtids: string): boolean
  dumpStart(): DumpStart
}

/** @param gtids  as `format` gave it, or as the server gives its own */
export function processedGtids(mariadb: boolean, gtids: string): ProcessedGtids {
  return mariadb ? newestOfDomains(gtids) : setOfTransactions(gtids)
}

function setOfTransactions(gtids: string): ProcessedGtids {
  const set = GtidSet.parse(gtids)
  return {
    add: (gtid) => {
      if (gtid.kind === 'gtid') set.add(gtid.uuid, gtid.tag, gtid.gno)
    },
    format: () => set.toString(),
    isAt: (gtids) => GtidSet.parse(gtids).isSubsetOf(set),
    dumpStart: () => ({ kind: 'mysql', excluded: set.encode() }),
  }
}

function newestOfDomains(gtids: string): ProcessedGtids {
  const position = MariadbPosition.parse(gtids)
  return {
    add: (gtid) => {
      if (gtid.kind === 'mariadb-gtid') position.add(gtid)
    },
    format: () => position.toString(),
    isAt: (gtids) => {
      const theirs = MariadbPosition.parse(gtids).all()
      // Domains of ours that the server has deleted meanwhile make no difference.
      return theirs.length === 0 ? position.isEmpty : theirs.every((gtid) => isLast(position, gtid))
    },
    dumpStart: () => ({ kind: 'mariadb', state: position.toString() }),
  }
}

function isLast(position: MariadbPosition, { domain, server, sequence }: MariadbGtid): boolean {
  const ours = position.get(domain)
  return ours?.server === server && ours.sequence === sequence
}
