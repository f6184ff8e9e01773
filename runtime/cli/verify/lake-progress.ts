// How far the lake has followed the source's log, and waiting until it has passed a place. Reads
// what the pipeline writes anyway, so it needs no word from the process that runs it.

import { markerOf } from '../../../connectors/iceberg/marker.ts'
import type { ScanSource } from '../../../connectors/iceberg/scan.ts'
import { readTable } from '../../../connectors/iceberg/scan.ts'
import { present } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { CatalogTable } from '../../catalog.ts'
import { PipelineError } from '../../base/errors.ts'
import type { CheckpointRecord } from '../../checkpoint/manifest.ts'
import type { CheckpointStore } from '../../checkpoint/store.ts'
import type { Order } from '../../data/position.ts'
import type { TableRecord } from '../../flow/tables.ts'

const POLL_MS = 250
/** A pipeline whose checkpoint has not moved for so long will not move because we wait. */
const STALL_MS = 120_000

/** behind: nobody is there, or nobody moves, who would bring the lake to the place. */
export type Arrival = 'reached' | 'behind'

/** The lake, and where it has the tables of the source. */
export interface VerifiedLake extends ScanSource {
  targetOf(table: string): CatalogTable
}

export interface LakeProgressParts {
  readonly pipeline: string
  readonly checkpoints: CheckpointStore
  readonly lake: VerifiedLake
  readonly clock: Clock
  isRunning(): Promise<boolean>
  /** Called once for each wait that is not over at once. */
  onWait(table: string, lake: Order, wanted: Order): void
}

export class LakeProgress {
  private readonly parts: LakeProgressParts

  constructor(parts: LakeProgressParts) {
    this.parts = parts
  }

  /** @throws PipelineError STATE_MISSING when the pipeline has no checkpoint */
  async checkpoint(): Promise<CheckpointRecord> {
    const { checkpoints, pipeline } = this.parts
    for (let attempt = 1; ; attempt++) {
      try {
        const newest = await checkpoints.peekNewest()
        if (newest !== null) return newest
        throw new PipelineError('STATE_MISSING', `pipeline "${pipeline}" has no checkpoint yet`)
      } catch (error) {
        // A running pipeline removes old ones while they are being listed.
        const vanished = error instanceof PipelineError && error.error === 'STORAGE_FAILED'
        if (!vanished || attempt === 3) throw error
      }
    }
  }

  /** @returns the table as the newest checkpoint has it @throws PipelineError TABLE_PARKED */
  recordIn({ source }: CheckpointRecord, table: string): TableRecord {
    const record = source.tables.find(({ schema }) => schema.table === table)
    const known = present(record, 'a table that the pipeline has had stays in its checkpoints')
    if (known.phase !== 'parked') return known
    const reason = known.reason?.message ?? 'for an unknown reason'
    throw new PipelineError('TABLE_PARKED', `table "${table}" is parked: ${reason}`, {
      detail: 'It takes no rows, so there is nothing to compare it with.',
    })
  }

  /**
   * Waits until the table is handed over and all of its rows before `wanted` are in the lake.
   *
   * @throws PipelineError TABLE_PARKED when the table is, or becomes, parked
   */
  async waitFor(table: string, wanted: Order): Promise<Arrival> {
    const { clock } = this.parts
    let moved = { order: -1n, epoch: -1, atMs: clock.elapsedMs() }
    let told = false
    for (;;) {
      // Asked first: what ends between the two questions has written its last checkpoint.
      const running = await this.parts.isRunning()
      const checkpoint = await this.checkpoint()
      if (await this.hasReached(checkpoint, table, wanted)) return 'reached'
      const { epoch, source } = checkpoint
      const { order } = source.position
      if (order !== moved.order || epoch !== moved.epoch) {
        moved = { order, epoch, atMs: clock.elapsedMs() }
      }
      if (!running || clock.elapsedMs() - moved.atMs > STALL_MS) return 'behind'
      if (!told) this.parts.onWait(table, order, wanted)
      told = true
      await clock.sleep(POLL_MS)
    }
  }

  private async hasReached(
    checkpoint: CheckpointRecord,
    table: string,
    wanted: Order,
  ): Promise<boolean> {
    if (this.recordIn(checkpoint, table).phase !== 'streaming') return false
    if (checkpoint.source.position.order < wanted) return false
    const last = checkpoint.waiting[table]
    if (last === undefined) return true
    const { lake } = this.parts
    const scanned = await readTable(lake, lake.targetOf(table))
    const marker = scanned === null ? null : markerOf(scanned.metadata, this.parts.pipeline)
    return marker !== null && marker.timeline === checkpoint.timeline && marker.epoch >= last
  }
}
