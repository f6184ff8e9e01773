// Events that do not take effect where they stand: those that were held back, and those inside of a
// compressed transaction.

import { EventReader } from '../decode/event-reader.ts'
import type { BinlogEvent, TransactionPayload } from '../decode/events.ts'
import type { Group } from './group.ts'
import { parseControl } from './group.ts'
import type { RowWriter, Work } from './rows.ts'

export class HeldEvents {
  /** Their table maps are not those of the log's end. */
  private readonly events: EventReader
  private readonly rows: RowWriter

  constructor(rows: RowWriter, mariadb: boolean) {
    this.rows = rows
    this.events = new EventReader(mariadb)
  }

  /**
   * Events that were held back take effect now, as rows of `group`.
   *
   * @param reader  of the running log, when they are a part of it and the rest of their statement
   *                may follow: only the first rows event of a statement has a table map before it.
   *                `null`: they come from elsewhere in the log
   */
  async *replay(group: Group, events: Iterable<Buffer>, reader: EventReader | null): Work {
    for (const bytes of events) {
      const event = (reader ?? this.events).read(bytes, 0, bytes.length)
      const payload = event.kind === 'payload'
      const work = payload ? this.replayPayload(group, event) : this.rows.apply(group, event)
      yield* this.rows.follow(work)
    }
  }

  private async *replayPayload(group: Group, payload: TransactionPayload): Work {
    for await (const event of this.changesIn(payload, null)) {
      yield* this.rows.follow(this.rows.apply(group, event))
    }
  }

  /**
   * The events of a compressed transaction that change something: what a later ROLLBACK TO takes
   * back is left out, and so are BEGIN, COMMIT and XA statements, which the payload's own place
   * makes superfluous.
   *
   * @param first  ends the iteration at XA START, which comes before any change, and is told of it;
   *               `null`: an XA transaction is no surprise
   */
  async *changesIn(
    payload: TransactionPayload,
    first: { xa: boolean } | null,
  ): AsyncGenerator<BinlogEvent> {
    let undone: ReadonlySet<number> | null = null
    let index = -1
    for await (const event of this.events.payload(payload)) {
      index++
      if (event.kind === 'query') {
        const control = parseControl(event.text)
        if (control?.verb === 'savepoint') undone ??= await this.undoneIn(payload)
        const xa = isXa(event.text)
        if (xa && first !== null) {
          first.xa = true
          return
        }
        if (xa || control !== null) continue
      }
      if (undone?.has(index) !== true) yield event
    }
  }

  /** XA PREPARE inside of a payload; `null` when it stands behind it. */
  async preparationIn(
    payload: TransactionPayload,
  ): Promise<{ readonly xid: string; readonly onePhase: boolean } | null> {
    for await (const event of new EventReader(false).payload(payload)) {
      if (event.kind === 'xa-prepare') return event
    }
    return null
  }

  /** Numbers of the events of a payload that a later ROLLBACK TO takes back. */
  private async undoneIn(payload: TransactionPayload): Promise<ReadonlySet<number>> {
    const undone = new Set<number>()
    const savepoints: { readonly name: string; readonly index: number }[] = []
    let index = 0
    for await (const event of new EventReader(false).payload(payload)) {
      const control = event.kind === 'query' ? parseControl(event.text) : null
      if (control?.verb === 'savepoint') savepoints.push({ name: control.name, index })
      if (control?.verb === 'rollback-to') {
        const { name } = control
        const from = savepoints.findLast((savepoint) => savepoint.name === name)
        for (let at = from?.index ?? 0; at < index; at++) undone.add(at)
      }
      index++
    }
    return undone
  }
}

export function isXa(text: string): boolean {
  return /^XA\s/i.test(text)
}
