// Places in a source log. Everything is half-open: a transaction has the `order` of the place where
// it begins, a position the order of the place where the log goes on, and a position covers exactly
// the transactions whose order is smaller. So a resume, a chunk's LOW and a floor never need a tie
// rule, and no last transaction is read twice or left out.

/**
 * order = sourceEpoch << 96 | log file number << 64 | offset; PostgreSQL: sourceEpoch << 96 | LSN.
 */
export type Order = bigint

export interface Position {
  /** The split of the source; databases have one, the log. */
  readonly split: string
  /** What the runtime compares. */
  readonly order: Order
  /** What the source resumes from; only the source reads it. */
  readonly token: string
}

/** @returns true when a transaction that begins at `order` lies before `position` */
export function covers(position: Position, order: Order): boolean {
  return order < position.order
}

/**
 * For a source whose log is one line: whether a log that has been read up to `position` has brought
 * all that lies before `target`.
 */
export function reachesInOrder(position: Position, target: Position): boolean {
  return position.order >= target.order
}

export function laterPosition(left: Position, right: Position): Position {
  return right.order > left.order ? right : left
}

/** Builds an order. `sourceEpoch` grows at a failover or a new slot, `file` at a log rotation. */
export function orderOf(sourceEpoch: number, file: number, offset: bigint): Order {
  return (BigInt(sourceEpoch) << 96n) | (BigInt(file) << 64n) | offset
}

/** @returns the source epoch of an order: another one is another server, or a log begun anew */
export function sourceEpochOf(order: Order): number {
  return Number(order >> 96n)
}

/** The parts of an order: the upper bits, constant in a batch, and the lower 64. */
export function splitOrder(order: Order): { high: bigint; low: bigint } {
  return { high: order >> 64n, low: order & 0xffff_ffff_ffff_ffffn }
}
