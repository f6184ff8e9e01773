// Several sinks as one: each commits its own part of the intents, with markers of its own. A crash
// between two of them leaves an intent that one has and the other has not: all are asked again, and
// who has it says so.

import { PipelineError } from '../base/errors.ts'
import { partTable, splitPartTable } from '../checkpoint/sink-parts.ts'
import type { AdoptedTable, Committer, Intent, PropertyChange } from '../sink.ts'
import type { TableClaim, TableCommit, TableIntent } from '../sink.ts'
import { LateCommitter } from './late-committer.ts'
import { errorOfPart } from './parts-writer.ts'

export interface CommitterPart {
  /** Of the sink. */
  readonly name: string
  /**
   * What it has prepared may be lost before it is committed. Then all is read again, so nothing may
   * be in another sink by then: it commits before them. At most one is so.
   */
  readonly isFleeting: boolean
  /** Which tables of the source it has. */
  takes(table: string): boolean
  create(): Promise<Committer<unknown>>
}

interface OpenPart extends CommitterPart {
  readonly committer: LateCommitter
}

export class PartsCommitter implements Committer<unknown> {
  private readonly parts: readonly OpenPart[]

  constructor(parts: readonly CommitterPart[]) {
    // A sink that is down when the pipeline starts keeps neither the reading nor the others.
    this.parts = parts.map((part) => ({
      ...part,
      committer: new LateCommitter(async () => part.create()),
    }))
  }

  /** @throws PipelineError of the first sink that cannot be opened */
  async open(): Promise<void> {
    for (const { name, committer } of this.parts) {
      await committer.open().catch((error: unknown) => {
        throw errorOfPart(name, error)
      })
    }
  }

  async commit(
    intents: readonly Intent<unknown>[],
    signal?: AbortSignal,
  ): Promise<readonly TableCommit[]> {
    const commits: TableCommit[] = []
    const fleeting = this.parts.filter(({ isFleeting }) => isFleeting)
    for (const part of fleeting) commits.push(...(await commitPart(part, intents, signal)))
    const lasting = this.parts.filter(({ isFleeting }) => !isFleeting)
    const ends = await Promise.allSettled(
      lasting.map(async (part) => commitPart(part, intents, signal)),
    )
    const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
    if (failed.length > 0) throw failed.find((error) => !mayRetry(error)) ?? failed[0]
    return [...commits, ...ends.flatMap((end) => (end.status === 'fulfilled' ? end.value : []))]
  }

  async adopt(name: string, claim: TableClaim): Promise<AdoptedTable | null> {
    const { sink, table } = splitPartTable(name)
    const adopted = (await this.part(sink)?.committer.adopt(table, claim)) ?? null
    return adopted && { ...adopted, commit: { ...adopted.commit, table: name } }
  }

  async changeProperties(name: string, change: PropertyChange): Promise<boolean> {
    const { sink, table } = splitPartTable(name)
    return (await this.part(sink)?.committer.changeProperties(table, change)) ?? false
  }

  private part(sink: string): OpenPart | undefined {
    return this.parts.find(({ name }) => name === sink)
  }

  async sweep(tables: readonly string[], keep: ReadonlySet<string>): Promise<number> {
    let found = 0
    for (const part of this.parts) {
      const own = tables.filter((table) => part.takes(table))
      try {
        found += await part.committer.sweep(own, keep)
      } catch (error) {
        throw errorOfPart(part.name, error)
      }
    }
    return found
  }

  async close(): Promise<void> {
    await Promise.all(this.parts.map(async ({ committer }) => committer.close()))
  }
}

async function commitPart(
  { name, committer }: OpenPart,
  intents: readonly Intent<unknown>[],
  signal: AbortSignal | undefined,
): Promise<readonly TableCommit[]> {
  const own = intents.flatMap((intent) => intentOfPart(intent, name) ?? [])
  if (own.length === 0) return []
  let commits: readonly TableCommit[]
  try {
    commits = await committer.commit(own, signal)
  } catch (error) {
    throw errorOfPart(name, error)
  }
  for (const { table, outcome, reason } of commits) {
    if (outcome === 'diverged' && reason !== null) throw diverged(name, table, reason)
  }
  return commits.map((commit) => ({ ...commit, table: partTable(name, commit.table) }))
}

/** @returns what one sink has of an intent; `null`: nothing */
export function intentOfPart(intent: Intent<unknown>, sink: string): Intent<unknown> | null {
  const tables = intent.tables.flatMap((entry): TableIntent<unknown>[] => {
    const at = splitPartTable(entry.table)
    if (at.sink !== sink) return []
    const committables = (entry.committables as readonly object[]).map((own) => {
      return { ...own, table: at.table }
    })
    return [{ ...entry, table: at.table, committables }]
  })
  return tables.length === 0 ? null : { ...intent, tables }
}

/**
 * A table that is parked in one sink would stand still in all, and come back by a copy that not all
 * of them can take: so the pipeline ends instead, with the epoch in its checkpoint.
 */
function diverged(
  sink: string,
  table: string,
  { error, message, detail }: NonNullable<TableCommit['reason']>,
): PipelineError {
  return new PipelineError(error, `sink "${sink}": table "${table}": ${message}`, {
    ...(detail === null ? {} : { detail }),
    hint:
      'Undo what was done to the table, and start again: the epoch is committed then. Where that ' +
      'cannot be, `millrace drop FILE` and begin anew.',
  })
}

function mayRetry(error: unknown): boolean {
  return error instanceof PipelineError && error.spec.action === 'retry'
}
