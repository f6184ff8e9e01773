// What has been read of the log, as the server that goes on sending it must be told.

import type { GtidEvent, MariadbGtidEvent } from '../decode/events.ts'
import type { DumpStart } from '../dump.ts'
import { GtidSet, MariadbPosition } from '../gtid.ts'

export interface ProcessedGtids {
  /** The transaction of this event is complete. */
  add(gtid: GtidEvent | MariadbGtidEvent): void
  /** As the token of a position has it. */
  format(): string
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
    dumpStart: () => ({ kind: 'mariadb', state: position.toString() }),
  }
}
