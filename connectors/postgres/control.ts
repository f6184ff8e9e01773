// The one connection for questions: catalog, slot, snapshots. It is opened when first needed and
// again after a loss; questions are asked one after the other.

import type { Client } from 'pg'
import { PipelineError } from '../../runtime/base/errors.ts'
import { CANCELED, connect, LOCK_TIMEOUT, sqlStateOf, translate } from './connect.ts'
import type { PostgresOptions } from './options.ts'

export type Row = Readonly<Record<string, unknown>>

/** `could not open relation with OID`, `cache lookup failed`. */
const INTERNAL_ERROR = 'XX000'
const ATTEMPTS = 10
/**
 * Connections that one question is asked on; whoever asks decides how to go on without a server.
 */
const CONNECTIONS = 3
const READS = /^\s*SELECT\b/
/** A server that has not answered for this many heartbeats is taken for lost. */
const SILENT_HEARTBEATS = 3
const TIMEOUT_MS_MIN = 5_000
/** The server gives up first, while it can: a connection that is left behind would go on. */
const ANSWER_MS = 1_000
/** Others wait behind a question, so it waits for a lock no longer than this. */
const LOCK_MS = 1_000

export class Control {
  private readonly options: PostgresOptions
  private client: Promise<Client> | null = null
  /** Settles when the last question has been answered. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(options: PostgresOptions) {
    this.options = options
  }

  /**
   * @param patient  waits however long it takes; otherwise silence is a lost connection
   * @returns the rows of one statement
   * @throws PipelineError; after CONNECT_FAILED the next call connects anew
   */
  async query(
    sql: string,
    values: readonly unknown[] = [],
    patient = false,
  ): Promise<readonly Row[]> {
    const answer = this.last.then(async () => this.put(sql, values, patient))
    this.last = answer.catch(() => {})
    return answer
  }

  /**
   * A catalog query may stumble over a table that is being dropped, and a connection may have died
   * while nothing was asked: asked again, the question is answered. Only what reads is repeated.
   */
  private async put(
    sql: string,
    values: readonly unknown[],
    patient: boolean,
  ): Promise<readonly Row[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(sql, values, patient)
      } catch (error) {
        const stumbled = sqlStateOf(error) === INTERNAL_ERROR && attempt < ATTEMPTS
        const again = isLost(error) && attempt < CONNECTIONS && !patient && READS.test(sql)
        if (!stumbled && !again) throw error
      }
    }
  }

  private async once(
    sql: string,
    values: readonly unknown[],
    patient: boolean,
  ): Promise<readonly Row[]> {
    const statementMs = Math.max(TIMEOUT_MS_MIN, SILENT_HEARTBEATS * this.options.heartbeatMs)
    this.client ??= connect(this.options, 'control', { statementMs, lockMs: LOCK_MS })
    const client = this.client
    try {
      const connected = await client
      if (patient) return await askPatiently(connected, sql, values)
      const limit = { query_timeout: statementMs + ANSWER_MS }
      const query = { text: sql, values: [...values], ...limit }
      return (await connected.query<Record<string, unknown>>(query)).rows
    } catch (error) {
      const translated = translate(error, 'the server refused a query')
      if (isLost(translated) && this.client === client) {
        this.client = null
        void client.then(
          async (broken) => broken.end().catch(() => {}),
          () => {},
        )
      }
      throw translated
    }
  }

  async close(): Promise<void> {
    const client = this.client
    this.client = null
    if (client === null) return
    await client.then(
      async (open) => open.end().catch(() => {}),
      () => {},
    )
  }
}

/** True when there is no connection any more; a statement that the server gave up leaves it. */
function isLost(error: unknown): boolean {
  if (!(error instanceof PipelineError) || error.error !== 'CONNECT_FAILED') return false
  return ![LOCK_TIMEOUT, CANCELED].includes(sqlStateOf(error))
}

async function askPatiently(
  client: Client,
  sql: string,
  values: readonly unknown[],
): Promise<readonly Row[]> {
  await client.query('SET statement_timeout = 0; SET lock_timeout = 0')
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows
  } finally {
    await client.query('RESET statement_timeout; RESET lock_timeout')
  }
}
