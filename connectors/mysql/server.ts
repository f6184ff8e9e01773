// Who the server is, where its log stands, and what it must be set to before its log can be read.
// `open` and `millrace check` ask the same questions, so that what one accepts the other does too.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { Finding } from '../../runtime/source.ts'
import type { ControlConnection, ControlRow, Greeting } from './wire/connect.ts'

export interface ServerFacts {
  readonly mariadb: boolean
  /** Major, minor, patch. */
  readonly version: readonly [number, number, number]
  readonly versionText: string
  /**
   * Stays over restarts, differs between servers: `server_uuid`, or MariaDB's `server_uid` and
   * `server_id` (the uid is made from the machine and the port, and copies keep it).
   */
  readonly identity: string
  /** `lower_case_table_names=1`: names are stored and logged in lowercase. */
  readonly lowerCaseNames: boolean
}

/** Where the log ends now. */
export interface LogEnd {
  readonly file: string
  readonly offset: bigint
}

const VERSION = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/

/** @throws PipelineError SERVER_UNSUITABLE for a server of another kind */
export async function identify(
  control: ControlConnection & { readonly greeting: Greeting },
): Promise<ServerFacts> {
  const { mariadb, version: versionText } = control.greeting
  const match = VERSION.exec(versionText)
  if (match === null) {
    throw new PipelineError('SERVER_UNSUITABLE', `cannot read the version "${versionText}"`)
  }
  const version = [Number(match[1]), Number(match[2]), Number(match[3])] as const
  const variables = await readVariables(control, ['lower_case_table_names'])
  const lowerCaseNames = variables.get('lower_case_table_names') === '1'
  const identity = await readIdentity(control, mariadb)
  return { mariadb, version, versionText, identity, lowerCaseNames }
}

async function readIdentity(control: ControlConnection, mariadb: boolean): Promise<string> {
  if (!mariadb) return textOf(await control.query('SELECT @@server_uuid AS id'), 'id')
  const variables = await readVariables(control, ['server_uid', 'server_id', 'hostname', 'port'])
  // Before 10.6.17 and 10.11.7 there is no uid.
  const host = `${variables.get('hostname') ?? ''}:${variables.get('port') ?? ''}`
  return `${variables.get('server_uid') ?? host}/${variables.get('server_id') ?? ''}`
}

/** @returns global variables by name; those that the server does not have are missing */
export async function readVariables(
  control: ControlConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const list = names.map((name) => `'${name}'`).join(', ')
  const rows = await control.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`)
  return new Map(
    rows.map((row) => [String(row['Variable_name']).toLowerCase(), String(row['Value'])]),
  )
}

/** The text in column `name` of the only row. */
export function textOf(rows: readonly ControlRow[], name: string): string {
  const value = rows[0]?.[name]
  return value === null || value === undefined ? '' : String(value)
}

export function atLeast(facts: ServerFacts, major: number, minor: number, patch = 0): boolean {
  const [ownMajor, ownMinor, ownPatch] = facts.version
  if (ownMajor !== major) return ownMajor > major
  return ownMinor === minor ? ownPatch >= patch : ownMinor > minor
}

/** Statement that names the end of the log. */
export function logStatusSql(facts: ServerFacts): string {
  if (facts.mariadb) return atLeast(facts, 10, 5, 2) ? 'SHOW BINLOG STATUS' : 'SHOW MASTER STATUS'
  return atLeast(facts, 8, 2) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'
}

/** @throws PipelineError SERVER_UNSUITABLE without a log · PRIVILEGE_MISSING */
export async function readLogEnd(control: ControlConnection, facts: ServerFacts): Promise<LogEnd> {
  const [row] = await control.query(logStatusSql(facts))
  if (row === undefined) throw new PipelineError('SERVER_UNSUITABLE', 'the server writes no log')
  return { file: String(row['File']), offset: BigInt(String(row['Position'])) }
}

const LOG_VARIABLES = [
  'log_bin',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'gtid_mode',
  'enforce_gtid_consistency',
  'binlog_expire_logs_seconds',
  'expire_logs_days',
  'binlog_row_value_options',
  'binlog_do_db',
  'binlog_ignore_db',
  'binlog_optimize_thread_scheduling',
]

/** Versions from which the log carries column names, and the oldest that MariaDB and MySQL mend. */
const VERSION_FLOOR = { mariadb: [10, 5], mysql: [8, 0] } as const

const RETENTION_S_MIN = 24 * 3600

/**
 * Settings of the server, each with the SQL that changes it. In the order in which to read them.
 */
export async function logFindings(
  control: ControlConnection,
  facts: ServerFacts,
): Promise<readonly Finding[]> {
  const variables = await readVariables(control, LOG_VARIABLES)
  const is = (name: string): string => (variables.get(name) ?? '').toUpperCase()
  return [
    versionFinding(facts),
    logBinFinding(facts, is('log_bin') === 'ON' || is('log_bin') === '1'),
    settingFinding(facts, 'binlog_format', is('binlog_format'), 'ROW'),
    rowMetadataFinding(facts, is('binlog_row_metadata')),
    rowImageFinding(facts, is('binlog_row_image')),
    ...(facts.mariadb
      ? [groupCommitFinding(is('binlog_optimize_thread_scheduling'))]
      : [...gtidFindings(facts, is), partialJsonFinding(facts, is)]),
    retentionFinding(facts, variables),
    ...filterFindings(variables),
  ]
}

function finding(name: string, ok: boolean, message: string, fix: string | null): Finding {
  return { name, ok, warning: false, message, fix: ok ? null : fix }
}

function versionFinding(facts: ServerFacts): Finding {
  const kind = facts.mariadb ? 'MariaDB' : 'MySQL'
  const [major, minor] = VERSION_FLOOR[facts.mariadb ? 'mariadb' : 'mysql']
  const text = `${kind} ${facts.version.join('.')}`
  const ok = atLeast(facts, major, minor, facts.mariadb ? 0 : 1)
  return finding('version', ok, ok ? text : `${text} is older than ${major}.${minor}`, null)
}

function logBinFinding(facts: ServerFacts, ok: boolean): Finding {
  const line = facts.mariadb
    ? '-- my.cnf, [mariadb]: log_bin'
    : '-- my.cnf, [mysqld]: log_bin=binlog'
  const message = ok ? 'the server writes a binary log' : 'the server writes no binary log'
  return finding('log_bin', ok, message, `${line}\n-- then restart the server`)
}

/** MySQL keeps SET PERSIST over a restart; MariaDB needs the line in my.cnf as well. */
function setSql(facts: ServerFacts, name: string, value: string): string {
  if (!facts.mariadb) return `SET PERSIST ${name} = '${value}';`
  return `SET GLOBAL ${name} = '${value}';\n-- my.cnf, [mariadb]: ${name}=${value}`
}

function settingFinding(facts: ServerFacts, name: string, value: string, wanted: string): Finding {
  const ok = value === wanted
  const message = ok ? `${name} is ${wanted}` : `${name} is ${value || 'unknown'}, not ${wanted}`
  const sessions = '\n-- sessions that are open keep the old value: let them reconnect'
  return finding(name, ok, message, setSql(facts, name, wanted) + sessions)
}

function rowMetadataFinding(facts: ServerFacts, value: string): Finding {
  const ok = value === 'FULL'
  const reason = 'so the log does not name the columns of its rows'
  const message = ok ? 'binlog_row_metadata is FULL' : `binlog_row_metadata is ${value}, ${reason}`
  return finding('binlog_row_metadata', ok, message, setSql(facts, 'binlog_row_metadata', 'FULL'))
}

function rowImageFinding(facts: ServerFacts, value: string): Finding {
  // MariaDB's FULL_NODUP leaves unchanged columns out of the after image only.
  const ok = value === 'FULL' || value === 'FULL_NODUP'
  return {
    name: 'binlog_row_image',
    ok,
    warning: !ok,
    message: ok
      ? `binlog_row_image is ${value}`
      : `binlog_row_image is ${value}: updates carry changed columns only, which costs state`,
    fix: ok ? null : setSql(facts, 'binlog_row_image', 'FULL'),
  }
}

function gtidFindings(facts: ServerFacts, is: (name: string) => string): readonly Finding[] {
  const consistency = settingFinding(
    facts,
    'enforce_gtid_consistency',
    is('enforce_gtid_consistency'),
    'ON',
  )
  const mode = is('gtid_mode')
  const ok = mode === 'ON'
  const steps = ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON']
  const rest = steps.slice(Math.max(steps.indexOf(mode) + 1, 0))
  const fix = rest.map((value) => `SET PERSIST gtid_mode = '${value}';`).join('\n')
  const message = ok ? 'gtid_mode is ON' : `gtid_mode is ${mode}: positions would not survive`
  return [consistency, finding('gtid_mode', ok, message, fix)]
}

function partialJsonFinding(facts: ServerFacts, is: (name: string) => string): Finding {
  const name = 'binlog_row_value_options'
  const ok = is(name) === ''
  const message = ok
    ? 'updates of JSON come as whole documents'
    : `${name} is ${is(name)}: updates of JSON come as differences`
  return finding(name, ok, message, setSql(facts, name, ''))
}

/**
 * Where every transaction of a group commits by itself, the server names the end of the group as
 * soon as its first one is visible.
 */
function groupCommitFinding(value: string): Finding {
  const name = 'binlog_optimize_thread_scheduling'
  const ok = value !== 'OFF' && value !== '0'
  const message = ok ? 'commits become visible by group' : `${name} is ${value}, not ON`
  return finding(name, ok, message, `-- my.cnf: remove ${name}, then restart the server`)
}

function retentionFinding(facts: ServerFacts, variables: ReadonlyMap<string, string>): Finding {
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? '0')
  const days = Number(variables.get('expire_logs_days') ?? '0')
  const kept = seconds > 0 ? seconds : days * 86_400
  // 0 keeps the log for ever.
  const ok = kept === 0 || kept >= RETENTION_S_MIN
  const hours = (kept / 3600).toFixed(1)
  const message =
    kept === 0
      ? 'the log is kept until it is purged by hand'
      : `the log is kept for ${hours} hours: a longer outage needs a resync`
  const fix = ok ? null : setSql(facts, 'binlog_expire_logs_seconds', '604800')
  return { name: 'retention', ok, warning: !ok, message, fix }
}

/** Filters of the log: what they leave out never comes. */
function filterFindings(variables: ReadonlyMap<string, string>): readonly Finding[] {
  return ['binlog_do_db', 'binlog_ignore_db']
    .filter((name) => (variables.get(name) ?? '') !== '')
    .map((name) => ({
      name,
      ok: false,
      warning: true,
      message: `${name} is ${variables.get(name)}: changes of other databases are not in the log`,
      fix: `-- my.cnf: remove ${name}, then restart the server`,
    }))
}

/** @throws PipelineError SERVER_UNSUITABLE that names every setting that forbids reading the log */
export function refuseUnsuitable(findings: readonly Finding[]): void {
  const wrong = findings.filter(({ ok, warning }) => !ok && !warning)
  if (wrong.length === 0) return
  const fixes = wrong.flatMap(({ fix }) => (fix === null ? [] : [fix]))
  throw new PipelineError(
    'SERVER_UNSUITABLE',
    `the server cannot be read: ${wrong.map(({ message }) => message).join('; ')}`,
    fixes.length === 0 ? {} : { detail: `This changes it:\n${fixes.join('\n')}` },
  )
}
