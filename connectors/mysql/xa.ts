// XA transactions that are prepared on the server now.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Order } from '../../runtime/data/position.ts'
import type { MysqlOptions } from './options.ts'
import type { ControlConnection } from './wire/connect.ts'

/**
 * XA transactions whose rows are in the log before the place where it was first read. Their rows
 * come by no event; a chunk that opens after the decision has them.
 */
export interface EarlyXa {
  /** Those that were undecided after the place was taken. */
  readonly preparedBefore: readonly string[]
  /** Log end after that question: who was decided before it may be missing in the list. */
  readonly decidedBefore: Order
}

const POLL_MS = 20

/**
 * Waits until the server no longer lists those transactions that the log has decided: it lists a
 * transaction until its engine has it.
 *
 * @returns those that were still listed after `waitMs`
 */
export async function waitForDecided(
  control: ControlConnection,
  options: MysqlOptions,
  decided: (xid: string) => boolean,
  waitMs: number,
  signal: AbortSignal | null,
): Promise<readonly string[]> {
  const { clock } = options
  const startMs = clock.elapsedMs()
  // Only the first list counts: others come after it, and under load that never ends.
  let waiting: readonly string[] | null = null
  for (;;) {
    const listed = await readPrepared(control, true, options)
    const before: readonly string[] = waiting ?? listed
    waiting = before.filter((xid) => listed.includes(xid) && decided(xid))
    const over = clock.elapsedMs() - startMs > waitMs || signal?.aborted === true
    if (waiting.length === 0 || over) return waiting
    await clock.sleep(POLL_MS, signal ?? undefined).catch(() => undefined)
  }
}

/** As `readPrepared` asks MariaDB, for a connection that gives text only. */
export const PREPARED_SQL = `XA RECOVER FORMAT='SQL'`

const XID_PART = /X'([0-9a-f]*)'|'([^']*)'/gi

/** @returns the id of a row of PREPARED_SQL as the log spells it */
export function preparedXid([formatId, , , data]: readonly (string | null)[]): string {
  const [gtrid = '', bqual = ''] = [...(data ?? '').matchAll(XID_PART)].map(
    ([, hex, text]) => hex?.toLowerCase() ?? Buffer.from(text ?? '').toString('hex'),
  )
  return `X'${gtrid}',X'${bqual}',${formatId}`
}

/**
 * @returns their ids as the log spells them, `X'..',X'..',n`; [] when the user may not see them:
 *          a decision about one of them then stops the reader, so nothing is lost silently
 */
export async function readPrepared(
  control: ControlConnection,
  mariadb: boolean,
  options: MysqlOptions,
): Promise<readonly string[]> {
  try {
    const rows = await control.query(mariadb ? 'XA RECOVER' : 'XA RECOVER CONVERT XID')
    return rows.map((row) => {
      const { data } = row
      // MariaDB gives the bytes, MySQL their hex digits behind 0x.
      const hex = Buffer.isBuffer(data) ? data.toString('hex') : String(data).slice(2).toLowerCase()
      const gtridHex = 2 * Number(row['gtrid_length'])
      const bqual = hex.slice(gtridHex, gtridHex + 2 * Number(row['bqual_length']))
      return `X'${hex.slice(0, gtridHex)}',X'${bqual}',${String(row['formatID'])}`
    })
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error === 'CONNECT_FAILED') throw error
    options.log.warn('prepared XA transactions cannot be listed', { reason: error.message })
    return []
  }
}
