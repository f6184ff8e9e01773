// An announcement as the outbox makes them.

import type { PartitionReady } from '../../runtime/notifier.ts'

export const EVENT: PartitionReady = {
  id: 'c0ffee',
  pipeline: 'clicks',
  table: 'lake.clicks',
  field: 'ts_hour',
  value: '2026-11-20-07',
  generation: 1,
  watermarkUs: BigInt(Date.UTC(2026, 10, 20, 8, 5)) * 1000n,
  files: 7,
  rows: 1_843_223,
  bytes: 1_702_334_211,
  lateRows: 0,
  epoch: 418,
  snapshotId: 9_007_199_254_740_993n,
  decidedAtMs: Date.UTC(2026, 10, 20, 8, 5, 4),
  completeness: 'EXACT',
}
