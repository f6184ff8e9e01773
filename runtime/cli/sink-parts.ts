// What the commands know of a pipeline with several sinks: which tables go to which, and what a
// checkpoint says of one of them.

import { checkpointOfPart, type SinkParts } from '../checkpoint/sink-parts.ts'
import type { Checkpoint, CheckpointRecord } from '../checkpoint/manifest.ts'
import { CheckpointStore } from '../checkpoint/store.ts'
import { namesOf } from '../data/schema.ts'
import type { PipelineConfig, PipelinePart, SinkConfig } from '../job/config/pipeline-config.ts'
import { sinksOf } from '../job/config/route.ts'
import { openState } from './state-folder.ts'

/** @returns `null` when there is one sink */
export function sinkParts({
  parts,
  routes,
}: {
  readonly parts?: PipelineConfig['parts'] | undefined
  readonly routes: PipelineConfig['routes']
}): SinkParts | null {
  if (parts === undefined) return null
  const names = parts.map(({ part }) => part)
  const known = new Map<string, readonly string[]>()
  return {
    sinks: parts.map(({ part, sink: { type } }) => ({ name: part, type })),
    of: (table) => {
      const found = known.get(table) ?? sinksOf(routes, names, namesOf(table))
      known.set(table, found)
      return found
    },
  }
}

/** @returns what the checkpoint says of the sink of `config`, without its intents */
export function partCheckpoint<T extends Checkpoint | CheckpointRecord>(
  { part }: Pick<PipelineConfig, 'part'>,
  checkpoint: T,
): T {
  // One that was begun with a single sink is refused elsewhere, or is only removed.
  if (part === undefined || checkpoint.sinks === undefined) return checkpoint
  return checkpointOfPart(checkpoint, part)
}

/** @returns the pipeline with its sink of a type; `null`: it has none */
export function partOfType(
  config: PipelineConfig,
  type: SinkConfig['type'],
): PipelineConfig | PipelinePart | null {
  return (config.parts ?? [config]).find(({ sink }) => sink.type === type) ?? null
}

/** @returns what is said of the one `sink` of a part, said of that of `sinks` */
export function saidOfPart<T extends { readonly name: string }>(part: string, said: T): T {
  return { ...said, name: said.name.replace(/^sink(?=\.)/, `sinks.${part}`) }
}

/** @returns each once: what is said of the source is the same for each of its sinks */
export function saidOnce<T extends object>(said: readonly T[]): T[] {
  return [...new Map(said.map((one) => [JSON.stringify(one), one])).values()]
}

/** Checkpoints as the pipeline with one of its sinks would have them. Only reads. */
class PartCheckpoints extends CheckpointStore {
  private readonly config: PipelineConfig

  constructor(config: PipelineConfig) {
    super(openState(config))
    this.config = config
  }

  override async peekNewest(): Promise<CheckpointRecord | null> {
    const newest = await super.peekNewest()
    return newest && partCheckpoint(this.config, newest)
  }
}

export function checkpointsOf(config: PipelineConfig): CheckpointStore {
  return new PartCheckpoints(config)
}
