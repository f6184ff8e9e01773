// A committer that opens its catalog when it is first needed: one that is down when the pipeline
// starts must not keep it from reading, or the log would pile up at the source.

import type { Committer, Intent, TableClaim, TableCommit, AdoptedTable } from '../sink.ts'
import type { PropertyChange } from '../sink.ts'

export class LateCommitter implements Committer<unknown> {
  private readonly create: () => Promise<Committer<unknown>>
  private opening: Promise<Committer<unknown>> | null = null

  constructor(create: () => Promise<Committer<unknown>>) {
    this.create = create
  }

  /** @throws PipelineError CATALOG_UNAVAILABLE, ...; the next call tries again */
  async open(): Promise<Committer<unknown>> {
    this.opening ??= this.create().catch((error: unknown) => {
      this.opening = null
      throw error
    })
    return this.opening
  }

  async commit(
    intents: readonly Intent<unknown>[],
    signal?: AbortSignal,
  ): Promise<readonly TableCommit[]> {
    return (await this.open()).commit(intents, signal)
  }

  async adopt(table: string, claim: TableClaim): Promise<AdoptedTable | null> {
    return (await this.open()).adopt(table, claim)
  }

  async changeProperties(table: string, change: PropertyChange): Promise<boolean> {
    return (await this.open()).changeProperties(table, change)
  }

  async sweep(tables: readonly string[], keep: ReadonlySet<string>): Promise<number> {
    return (await this.open()).sweep(tables, keep)
  }

  async close(): Promise<void> {
    await (await this.opening?.catch(() => null))?.close()
  }
}
