// What an event does to tables: rows into batches, statements into changes of structure. Work that
// must hand something out in between is a generator; everything else is done at once.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { SourceElement } from '../../../runtime/data/element.ts'
import type { Order } from '../../../runtime/data/position.ts'
import { parseStatement } from '../ddl/parse.ts'
import type { StatementOptions } from '../ddl/statement.ts'
import type { BinlogEvent, QueryEvent, RowsEvent } from '../decode/events.ts'
import type { Group } from './group.ts'
import type { LogOutput, TransactionMark } from './output.ts'
import type { LogPlace } from './place.ts'
import type { RowRoutes } from './routes.ts'
import type { Statements } from './statements.ts'

/** Elements that come one after the other, with waiting in between. */
export type Work = AsyncGenerator<SourceElement>

export interface RowParts {
  readonly mariadb: boolean
  readonly output: LogOutput
  readonly routes: RowRoutes
  readonly statements: Statements
  readonly place: LogPlace
  /** Transactions before it have been read already. */
  readonly after: Order
}

export class RowWriter {
  private readonly parts: RowParts
  private readonly latestUs: () => bigint

  /** @param latestUs  running maximum of the commit times before the transaction that is read */
  constructor(parts: RowParts, latestUs: () => bigint) {
    this.parts = parts
    this.latestUs = latestUs
  }

  /** Takes an event of a transaction. @returns what is left to do, `null` when it is done */
  apply(group: Group, event: BinlogEvent): Work | null {
    switch (event.kind) {
      case 'rows':
        return this.rows(group, event, event.start)
      case 'query':
        return this.statement(group, event)
      default:
        return null
    }
  }

  /** Hands out what is ready, then does what is left. */
  async *follow(work: Work | null): Work {
    yield* this.parts.output.drain()
    if (work !== null) yield* work
  }

  statementOptions({ ansiQuotes, noBackslashEscapes }: QueryEvent): StatementOptions {
    return { ansiQuotes, noBackslashEscapes, mariadb: this.parts.mariadb }
  }

  private rows(group: Group, event: RowsEvent, from: number): Work | null {
    const { routes, output } = this.parts
    const mark = this.mark(group)
    const route = routes.find(event.table, mark)
    if (route.kind === 'ignored' || route.kind === 'early') return null
    if (route.kind === 'join') return this.join(group, event, from)
    if (route.kind === 'parked') {
      routes.countParked(route, event, from)
      return null
    }
    const { decoder, buffer } = route
    const { builder } = buffer
    let at = from
    while (at < event.end) {
      if (builder.full) output.take(buffer)
      // A batch that was taken out of the middle of an event has forgotten its transaction.
      output.begin(buffer, mark)
      const before = builder.changes
      at = decoder.decode(event, at, builder, group.sequence)
      group.sequence += builder.changes - before
      if (decoder.failure !== null) {
        return this.park(group, event, at, route.table, decoder.failure)
      }
      if (output.ready.length > 0 && at < event.end) return this.resumeRows(group, event, at)
    }
    return null
  }

  /** One event may become hundreds of batches: they are handed out one by one. */
  private async *resumeRows(group: Group, event: RowsEvent, at: number): Work {
    yield* this.parts.output.drain()
    yield* this.follow(this.rows(group, event, at))
  }

  private async *park(
    group: Group,
    event: RowsEvent,
    at: number,
    table: string,
    error: PipelineError,
  ): Work {
    this.parts.output.flush()
    yield* this.parts.output.drain()
    this.parts.routes.park(table, error)
    yield* this.follow(this.rows(group, event, at))
  }

  private async *join(group: Group, event: RowsEvent, from: number): Work {
    this.parts.output.flush()
    yield* this.parts.output.drain()
    await this.parts.routes.join(event.table, this.mark(group).order)
    yield* this.follow(this.rows(group, event, from))
  }

  private async *statement(group: Group, written: QueryEvent): Work {
    const { output, statements } = this.parts
    const event = await statements.readable(written)
    const statement = parseStatement(event.text, this.statementOptions(event))
    if (!statements.concerns(statement, event)) return
    output.flush()
    yield* output.drain()
    await statements.run(statement, event, this.mark(group).order)
  }

  private mark(group: Group): TransactionMark {
    if (group.mark !== null) return group.mark
    const { place, after } = this.parts
    const order = place.orderAt(group.start)
    if (order < after) {
      // Its rows would lose against rows that are older: better to stop, and to begin again.
      throw new PipelineError('CONNECT_FAILED', 'the log was continued before its position')
    }
    const [timeUs, before] = [group.commitTimeUs, this.latestUs()]
    const latestUs = timeUs > before ? timeUs : before
    group.mark = { order, timeUs, latestUs, id: Buffer.from(group.id) }
    return group.mark
  }
}
