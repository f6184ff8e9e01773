// Several sinks of one pipeline. Each has tables of its own: in intents, counts and what the
// checkpoint knows of the lake they stand under names that say whose they are, so that every sink
// has its own markers, and is found to be where it is. With one sink names are those of the source.

import type { WriterState } from '../sink.ts'
import type { Checkpoint, CheckpointRecord, LakeTable } from './manifest.ts'

/** A sink of several, as the checkpoint knows it. */
export interface SinkIdentity {
  readonly name: string
  readonly type: string
}

/** The sinks of a pipeline that has several. */
export interface SinkParts {
  readonly sinks: readonly SinkIdentity[]
  /** @returns names of the sinks that a table of the source goes to, in their order */
  of(table: string): readonly string[]
}

/** @returns the name of a sink's table, which no source's is: `lake:shop.orders` */
export function partTable(sink: string, table: string): string {
  return `${sink}:${table}`
}

/** What `partTable` made a name of. The names of sinks have no colon. */
export function splitPartTable(name: string): { readonly sink: string; readonly table: string } {
  const at = name.indexOf(':')
  return { sink: name.slice(0, at), table: name.slice(at + 1) }
}

/** A table of the source in the lake, or in several sinks. */
export interface KnownTable extends LakeTable {
  /** How far each of several sinks is; missing: there is one. */
  readonly sinks?: readonly SinkReach[]
}

export interface SinkReach extends Pick<LakeTable, 'committedEpoch' | 'committedTimeUs'> {
  readonly sink: string
}

/** Under which names the tables of the source stand in intents, counts and the lake's state. */
export class SinkTables {
  private readonly parts: SinkParts | null

  /** @param parts  `null`: there is one sink */
  constructor(parts: SinkParts | null) {
    this.parts = parts
  }

  /** @returns one for each sink that the table goes to */
  of(table: string): readonly string[] {
    return this.parts?.of(table).map((sink) => partTable(sink, table)) ?? [table]
  }

  /** @returns the table of the source */
  source(name: string): string {
    return this.parts === null ? name : splitPartTable(name).table
  }

  /**
   * What a table of the source is in all of its sinks: as far as the last of them.
   *
   * @param lake  by sink and table
   */
  lake(lake: readonly LakeTable[]): readonly KnownTable[] {
    if (this.parts === null) return lake
    const bySource = new Map<string, LakeTable[]>()
    for (const known of lake) {
      const { table } = splitPartTable(known.table)
      bySource.set(table, [...(bySource.get(table) ?? []), known])
    }
    return [...bySource].map(([table, known]) => {
      const isAll = this.of(table).every((name) => known.some((one) => one.table === name))
      const last = known.reduce((least, one) => (epochOf(one) < epochOf(least) ? one : least))
      const { committedEpoch, committedTimeUs } = isAll ? last : NOTHING
      const places = known.filter((one) => one.metadataLocation !== null)
      // Of a catalog rather than of a directory: its readers need it.
      const place = places.find(({ table: name }) => this.isIceberg(name)) ?? places[0]
      const metadataLocation = place?.metadataLocation ?? null
      const sinks = known.map((one) => ({ ...one, sink: splitPartTable(one.table).sink }))
      return { ...last, table, committedEpoch, committedTimeUs, metadataLocation, sinks }
    })
  }

  private isIceberg(name: string): boolean {
    const { sink } = splitPartTable(name)
    return this.parts?.sinks.some((one) => one.name === sink && one.type === 'iceberg') === true
  }
}

const NOTHING = { committedEpoch: null, committedTimeUs: null }

function epochOf({ committedEpoch }: LakeTable): number {
  return committedEpoch ?? -1
}

/** What a writer of several sinks saves. */
export interface PartStates {
  readonly parts: Readonly<Record<string, WriterState>>
}

/** @returns the states of one sink's writers */
export function statesOfPart(states: readonly WriterState[], sink: string): WriterState[] {
  return states.flatMap(({ data }) => (data as PartStates).parts[sink] ?? [])
}

/** @returns the checkpoint as a pipeline with this sink alone has it; its intents excepted */
export function checkpointOfPart<T extends Checkpoint | CheckpointRecord>(
  checkpoint: T,
  sink: string,
): T {
  const { writers, lake, waiting, cancelled, held } = checkpoint
  const ofPart = <V>(all: Readonly<Record<string, V>>): Record<string, V> =>
    Object.fromEntries(
      Object.entries(all).flatMap(([name, value]) => {
        const at = splitPartTable(name)
        return at.sink === sink ? [[at.table, value] as const] : []
      }),
    )
  return {
    ...checkpoint,
    writers: statesOfPart(writers, sink),
    waiting: ofPart(waiting),
    cancelled: ofPart(cancelled),
    held: ofPart(held),
    lake: lake.flatMap((known) => {
      const at = splitPartTable(known.table)
      return at.sink === sink ? [{ ...known, table: at.table }] : []
    }),
  }
}
