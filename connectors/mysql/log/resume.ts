// Where reading begins: at the end of the log the first time, at the checkpoint's place afterwards,
// and never on a server that lacks what we have read or no longer has what we need.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Position } from '../../../runtime/data/position.ts'
import { GtidSet, MariadbPosition, missingFromState } from '../gtid.ts'
import { formatMariadbGtid, parseMariadbGtids, type MariadbGtid } from '../gtid.ts'
import type { SourceLog } from '../options.ts'
import { fileNumber, parseToken, positionOf, tokenOrder, type LogToken } from '../position.ts'
import { readLogEnd, textOf, type ServerFacts } from '../server.ts'
import type { ControlConnection } from '../wire/connect.ts'
import type { FileBirths } from './file-birth.ts'

/**
 * The end of the log. What is before it may not be visible yet: chunks see to that themselves.
 *
 * MySQL: the file is read first and the set after it. Transactions that are in the file already but
 * not in the set will come by the log, so the order is that of the file's start: the offset that
 * the server names lies behind them. Older files hold none: rotation waits for open commits.
 */
export async function logEndToken(
  control: ControlConnection,
  facts: ServerFacts,
): Promise<LogToken> {
  if (facts.mariadb) return mariadbEndToken(control, facts)
  const { file } = await readLogEnd(control, facts)
  const gtids = textOf(await control.query('SELECT @@global.gtid_executed AS gtids'), 'gtids')
  const server = facts.identity
  const set = GtidSet.parse(gtids).toString()
  return { gtids: set, server, file, offset: 0, createdS: null, epoch: 0 }
}

/** MariaDB knows which transactions stand before a place of the log. */
async function mariadbEndToken(control: ControlConnection, facts: ServerFacts): Promise<LogToken> {
  const { file, offset } = await readLogEnd(control, facts)
  const rows = await control.query('SELECT BINLOG_GTID_POS(?, ?) AS gtids', [file, Number(offset)])
  if (rows[0]?.['gtids'] === null) {
    throw new PipelineError('CONNECT_FAILED', `the server does not find place ${offset} of ${file}`)
  }
  const gtids = MariadbPosition.parse(textOf(rows, 'gtids')).toString()
  const place = { file, offset: Number(offset), createdS: null }
  return { gtids, server: facts.identity, ...place, epoch: 0 }
}

export interface ResumeParts {
  /** When a file was begun. */
  readonly createdS: FileBirths
  readonly log: SourceLog
}

/**
 * Checks that this server can go on from `after`.
 *
 * @returns the token to go on from: on another server under the next source epoch, because its
 *          files and offsets mean something else
 * @throws PipelineError SOURCE_REWOUND, LOG_GAP
 */
export async function resumeToken(
  control: ControlConnection,
  facts: ServerFacts,
  after: Position,
  { createdS, log }: ResumeParts,
): Promise<LogToken> {
  const token = parseToken(after.token)
  const deleted = facts.mariadb ? await checkMariadb(control, token) : []
  if (!facts.mariadb) await checkMysql(control, token)
  const end = await readLogEnd(control, facts)
  const sameLog = token.server === facts.identity && baseName(end.file) === baseName(token.file)
  const proven = sameLog && (await isUnchanged(token, end.file, createdS))
  if (deleted.length > 0) {
    const gtids = deleted.map(formatMariadbGtid).join(',')
    if (!proven) throw rewound(gtids, 'no transaction of these domains')
    log.warn('the server has deleted GTID domains that were read', { gtids })
    return { ...token, gtids: withoutDomains(token.gtids, deleted) }
  }
  if (sameLog) return token
  const [oldest] = await control.query('SHOW BINARY LOGS')
  const file = String(oldest?.['Log_name'] ?? end.file)
  const place = { file, offset: 0, createdS: null }
  return { ...token, server: facts.identity, ...place, epoch: token.epoch + 1 }
}

/**
 * Numbers of files only grow, and a file stays what it was, until somebody resets the log.
 *
 * @returns true when the file of the token is there, and with it all that follows; false when it
 *          was purged, or was not known
 * @throws PipelineError SOURCE_REWOUND when the log was reset
 */
async function isUnchanged(
  token: LogToken,
  endFile: string,
  createdS: FileBirths,
): Promise<boolean> {
  const { file } = token
  const message = 'the log of the server was reset since it was read'
  if (fileNumber(endFile) < fileNumber(file)) {
    const detail = `It was read in ${file} and ends in ${endFile} now.`
    throw new PipelineError('SOURCE_REWOUND', message, { detail })
  }
  if (token.createdS === null) return false
  const found = await createdS(file)
  if (found === null || found === token.createdS) return found !== null
  const [before, now] = [token.createdS, found].map((s) => new Date(s * 1000).toISOString())
  const detail = `File ${file} was begun at ${before} when it was read; now it is one of ${now}.`
  throw new PipelineError('SOURCE_REWOUND', message, { detail })
}

function baseName(file: string): string {
  return file.replace(/\.\d+$/, '')
}

/** @returns the position that `token` names; never behind `after` */
export function openingPosition(token: LogToken, after: Position | null): Position {
  return positionOf(token, after?.order ?? tokenOrder(token))
}

async function checkMysql(control: ControlConnection, token: LogToken): Promise<void> {
  const ours = GtidSet.parse(token.gtids)
  const rows = await control.query(
    'SELECT @@global.gtid_executed AS executed, @@global.gtid_purged AS purged',
  )
  const executed = GtidSet.parse(textOf(rows, 'executed'))
  const lacking = ours.minus(executed)
  if (!lacking.isEmpty) throw rewound(lacking.toString(), executed.toString())
  const gone = GtidSet.parse(textOf(rows, 'purged')).minus(ours)
  if (gone.isEmpty) return
  throw new PipelineError('LOG_GAP', 'the server has purged transactions that were not read yet', {
    detail: `Purged and needed: ${gone.toString()}.`,
  })
}

/**
 * @returns the GTIDs of domains that the server does not know at all, while it knows others of
 *          ours. FLUSH BINARY LOGS DELETE_DOMAIN_ID deletes such a domain when no file has
 *          transactions of it any more: none was missed when the file that we stand in is there
 */
async function checkMariadb(
  control: ControlConnection,
  token: LogToken,
): Promise<readonly MariadbGtid[]> {
  const position = MariadbPosition.parse(token.gtids)
  const rows = await control.query('SELECT @@global.gtid_binlog_state AS state')
  const state = textOf(rows, 'state')
  const known = parseMariadbGtids(state)
  const missing = missingFromState(position, known).map(({ gtid }) => gtid)
  const deleted = missing.filter(({ domain }) => !known.some((other) => other.domain === domain))
  const some = deleted.length < position.all().length
  if (missing.length === deleted.length && (some || missing.length === 0)) return deleted
  throw rewound(missing.map(formatMariadbGtid).join(','), state)
}

function withoutDomains(gtids: string, deleted: readonly MariadbGtid[]): string {
  const left = new MariadbPosition()
  for (const gtid of MariadbPosition.parse(gtids).all()) {
    if (!deleted.some(({ domain }) => domain === gtid.domain)) left.add(gtid)
  }
  return left.toString()
}

function rewound(lacking: string, has: string): PipelineError {
  const message = 'the server lacks transactions that were read from it or from its predecessor'
  return new PipelineError('SOURCE_REWOUND', message, {
    detail: `Read and lacking: ${lacking}. The server has: ${has === '' ? 'none' : has}.`,
  })
}
