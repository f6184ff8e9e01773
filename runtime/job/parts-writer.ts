// Several sinks as one: a writer thread gives every element to the writers of all sinks that its
// table goes to, and an epoch is prepared when all of them have prepared it.

import { PipelineError } from '../base/errors.ts'
import { partTable, type PartStates } from '../checkpoint/sink-parts.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { Control, Shown } from '../data/element.ts'
import type { PreparedEpoch, SinkWriter, WriterState } from '../sink.ts'

export interface WriterPart {
  /** Of the sink. */
  readonly name: string
  readonly writer: SinkWriter<unknown>
}

/** All that is known here of the committables of a sink. */
interface OfTable {
  readonly table: string
}

export class PartsWriter implements SinkWriter<unknown> {
  private readonly parts: readonly WriterPart[]
  private readonly sinksOf: (table: string) => readonly string[]
  private readonly byTable = new Map<string, readonly WriterPart[]>()

  /** @param sinksOf  gives the names of the sinks that a table of the source goes to */
  constructor(parts: readonly WriterPart[], sinksOf: (table: string) => readonly string[]) {
    this.parts = parts
    this.sinksOf = sinksOf
  }

  namesOf(table: string): readonly string[] {
    return this.partsOf(table).map(({ name }) => partTable(name, table))
  }

  private partsOf(table: string): readonly WriterPart[] {
    const known = this.byTable.get(table)
    if (known !== undefined) return known
    const names = this.sinksOf(table)
    const parts = names.flatMap((name) => this.parts.find((part) => part.name === name) ?? [])
    this.byTable.set(table, parts)
    return parts
  }

  write(element: ChangeBatch | Control): Promise<void> | undefined {
    const table = element.kind === 'schema' ? element.schema.table : element.table
    return this.each(table, (writer) => writer.write(element))
  }

  holds(table: string): boolean {
    return this.partsOf(table).some(({ writer }) => writer.holds(table))
  }

  fill(batch: ChangeBatch): Promise<void> | undefined {
    return this.each(batch.table, (writer) => writer.fill(batch))
  }

  private each(
    table: string,
    give: (writer: SinkWriter<unknown>) => Promise<void> | undefined,
  ): Promise<void> | undefined {
    const waits: Promise<void>[] = []
    for (const { name, writer } of this.partsOf(table)) {
      try {
        const done = give(writer)
        if (done !== undefined) waits.push(done.catch((error: unknown) => fail(name, error)))
      } catch (error) {
        fail(name, error)
      }
    }
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined)
  }

  async prepare(epoch: number, shows?: Shown): Promise<PreparedEpoch<unknown>> {
    const prepared = await Promise.all(
      this.parts.map(async ({ name, writer }) => ({
        name,
        ...(await writer.prepare(epoch, shows).catch((error: unknown) => fail(name, error))),
      })),
    )
    const parked = new Map(
      prepared.flatMap((one) => one.parked.map((table) => [table.table, table])),
    )
    return {
      epoch,
      committables: prepared.flatMap(({ name, committables }) =>
        (committables as readonly OfTable[]).map((own) => named(name, own)),
      ),
      counts: prepared.flatMap(({ name, counts }) => counts.map((own) => named(name, own))),
      state: stateOf(prepared),
      // A table that one sink cannot go on with is parked in all: they stay at the same place.
      parked: [...parked.values()],
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.parts.map(async ({ writer }) => writer.close()))
  }
}

function named<T extends OfTable>(sink: string, own: T): T {
  return { ...own, table: partTable(sink, own.table) }
}

function stateOf(
  prepared: readonly { readonly name: string; readonly state: WriterState }[],
): WriterState {
  const data: PartStates = {
    parts: Object.fromEntries(prepared.map(({ name, state }) => [name, state])),
  }
  return {
    data,
    files: prepared.flatMap(({ state }) => state.files),
    nextFileId: Math.max(...prepared.map(({ state }) => state.nextFileId)),
  }
}

function fail(sink: string, error: unknown): never {
  throw errorOfPart(sink, error)
}

/** @returns the error, with the name of the sink that it is about */
export function errorOfPart(sink: string, error: unknown): unknown {
  if (!(error instanceof PipelineError)) {
    const message = error instanceof Error ? error.message : String(error)
    return new PipelineError('INTERNAL', `sink "${sink}": ${message}`, { cause: error })
  }
  const { detail, hint } = error
  return new PipelineError(error.error, `sink "${sink}": ${error.message}`, {
    ...(detail === null ? {} : { detail }),
    hint,
    cause: error,
  })
}
