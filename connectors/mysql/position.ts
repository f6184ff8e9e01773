// Positions of the binary log: the GTIDs that have been processed say where to resume, the place
// in the file only orders transactions. A file and an offset mean nothing on another server, so the
// order carries an epoch that grows with every change of server.

import { PipelineError } from '../../runtime/base/errors.ts'
import { orderOf, type Order, type Position } from '../../runtime/data/position.ts'

/** The one split of a database: its log. */
export const LOG_SPLIT = 'binlog'

export interface LogToken {
  /** MySQL: set of all processed transactions. MariaDB: the newest GTID of every domain. */
  readonly gtids: string
  /** `ServerFacts.identity` of the server whose file and offset these are. */
  readonly server: string
  readonly file: string
  readonly offset: number
  /** When the file was begun, in seconds since 1970; `null`: not known. See log/file-birth.ts. */
  readonly createdS: number | null
  /** Times that the server has changed. */
  readonly epoch: number
}

export function formatToken(token: LogToken): string {
  const { gtids, server, file, offset, createdS, epoch } = token
  return JSON.stringify({ gtids, server, file, offset, createdS, epoch })
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function parseToken(text: string): LogToken {
  let token: Partial<Record<keyof LogToken, unknown>> | null = null
  try {
    token = JSON.parse(text) as Partial<LogToken> | null
  } catch {
    // Refused below, like any other text that is no token.
  }
  const { gtids, server, file, offset, createdS, epoch } = token ?? {}
  if (
    typeof gtids !== 'string' ||
    typeof server !== 'string' ||
    typeof file !== 'string' ||
    typeof offset !== 'number' ||
    typeof epoch !== 'number'
  ) {
    throw new PipelineError('CHECKPOINT_CORRUPT', 'the position of the source is unreadable')
  }
  return {
    gtids,
    server,
    file,
    offset,
    createdS: typeof createdS === 'number' ? createdS : null,
    epoch,
  }
}

/** @returns the number that a log file ends in: 12 for `binlog.000012` */
export function fileNumber(file: string): number {
  const digits = /\.(\d+)$/.exec(file)?.[1]
  if (digits === undefined) {
    throw new PipelineError('SERVER_UNSUITABLE', `log file "${file}" has no number`)
  }
  return Number(digits)
}

export function tokenOrder({ epoch, file, offset }: LogToken): Order {
  return orderOf(epoch, fileNumber(file), BigInt(offset))
}

/** @param floor  positions of one pipeline never go back; a smaller order is raised to it */
export function positionOf(token: LogToken, floor: Order): Position {
  const order = tokenOrder(token)
  return { split: LOG_SPLIT, order: order > floor ? order : floor, token: formatToken(token) }
}
