// What `millrace check`, `discover` and `drop` ask of MySQL and MariaDB, without reading the log.

import { tableKey } from '../../runtime/data/schema.ts'
import { formatType } from '../../runtime/data/type.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { Position } from '../../runtime/data/position.ts'
import type { DiscoveredTable, Finding, Removal } from '../../runtime/source.ts'
import type { SourceContext, SourceInspector, TableScan } from '../../runtime/source.ts'
import { keyOf, type TableState } from './ddl/state.ts'
import type { MysqlOptions } from './options.ts'
import { TableScans } from './scan.ts'
import { atLeast, identify, logFindings, logStatusSql } from './server.ts'
import type { ServerFacts } from './server.ts'
import { listTables, readStructures, type ListedTable } from './structure.ts'
import { formatMysqlType, mapType } from './types.ts'
import { isVersioned } from './versioned.ts'
import { openControl, type ControlConnection } from './wire/connect.ts'
import { PipelineError } from '../../runtime/base/errors.ts'

/** @param database  that the connection names, though the log is that of all; `null`: none */
export function createMysqlInspector(
  options: MysqlOptions,
  database: string | null = null,
): SourceInspector {
  return new MysqlInspector(options, database)
}

interface Connected {
  readonly control: ControlConnection
  readonly facts: ServerFacts
}

interface Structures {
  readonly tables: readonly ListedTable[]
  readonly states: ReadonlyMap<string, TableState>
}

class MysqlInspector implements SourceInspector {
  private readonly options: MysqlOptions
  private readonly database: string | null
  private connected: Connected | null = null
  private scans: TableScans | null = null

  constructor(options: MysqlOptions, database: string | null) {
    this.options = options
    this.database = database
  }

  async check(): Promise<readonly Finding[]> {
    const { control, facts } = await this.connect()
    const settings = await logFindings(control, facts)
    const privileges = await privilegeFindings(control, facts, this.options)
    const structures = await this.structures()
    return [
      { ...passed('connection'), message: `connected to ${facts.versionText}` },
      ...settings,
      ...privileges,
      ...(await otherFindings(control, facts)),
      ...tableFindings(structures, this.options),
      ...(await cascadeFindings(control, facts, structures)),
    ]
  }

  async discover(): Promise<readonly DiscoveredTable[]> {
    const { tables, states } = await this.structures()
    return tables.flatMap((table) => {
      const state = states.get(nameOf(table))
      return state === undefined ? [] : [this.discovered(table, state)]
    })
  }

  async scan(table: string, near: Position, signal: AbortSignal): Promise<TableScan | null> {
    const { control, facts } = await this.connect()
    this.scans ??= new TableScans(this.options, control, facts)
    return this.scans.open(table, near, signal)
  }

  async *sample(
    table: string,
    rowsMax: number,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch> {
    const { control, facts } = await this.connect()
    this.scans ??= new TableScans(this.options, control, facts)
    yield* this.scans.sample(table, rowsMax, context, signal)
  }

  /** The log is read as a replica reads it: nothing of ours is on the server. */
  async drop(): Promise<readonly Removal[]> {
    return []
  }

  async close(): Promise<void> {
    this.scans?.close()
    await this.connected?.control.close()
    this.connected = null
  }

  private async connect(): Promise<Connected> {
    if (this.connected !== null) return this.connected
    const control = await openControl(this.options)
    this.connected = { control, facts: await identify(control) }
    await this.requireDatabase(control)
    return this.connected
  }

  /** Nothing is read from it by its name alone, so a slip of the pen would go unseen. */
  private async requireDatabase(control: ControlConnection): Promise<void> {
    const { database } = this
    if (database === null) return
    const sql = 'SELECT 1 FROM information_schema.schemata WHERE schema_name = ?'
    if ((await control.query(sql, [database])).length > 0) return
    throw new PipelineError('DATABASE_MISSING', `there is no database "${database}"`, {
      detail:
        'Or the user may not see it: the server shows only those in which it has a privilege.',
    })
  }

  private async structures(): Promise<Structures> {
    const { control, facts } = await this.connect()
    const tables = await listTables(control, this.options)
    return { tables, states: await readStructures(control, tables, facts.mariadb) }
  }

  private discovered(table: ListedTable, state: TableState): DiscoveredTable {
    const names = new Map(state.columns.map(({ identity, name }) => [identity, name]))
    return {
      namespace: table.database,
      name: table.name,
      estimatedRows: table.rows,
      key: keyOf(state)?.map((identity) => names.get(identity) ?? '') ?? null,
      columns: state.columns.map(({ name, type, nullable }) => {
        const mapping = isVersioned(state) ? REFUSED : mapType(type, this.options)
        const excluded = this.options.columnsExclude(table.database, table.name, name)
        return {
          name,
          sourceType: formatMysqlType(type),
          nullable,
          lakeType: mapping.type === null || excluded ? null : formatType(mapping.type),
          note: excluded ? 'excluded by `columns_exclude`' : mapping.note,
        }
      }),
    }
  }
}

const REFUSED = { type: null, note: 'the table is system-versioned, which cannot be copied' }

function passed(name: string): Finding {
  return { name, ok: true, warning: false, message: '', fix: null }
}

function warning(name: string, message: string, fix: string | null): Finding {
  return { name, ok: false, warning: true, message, fix }
}

function nameOf({ database, name }: ListedTable): string {
  return tableKey({ namespace: database, name })
}

/** A privilege is tried by doing what needs it: grants hide behind roles and wildcards. */
async function privilegeFindings(
  control: ControlConnection,
  facts: ServerFacts,
  { user }: MysqlOptions,
): Promise<readonly Finding[]> {
  const account = `'${user.replaceAll("'", "''")}'@'%'`
  const replicas = facts.mariadb ? 'SHOW SLAVE HOSTS' : replicasSql(facts)
  const mariadbNew = facts.mariadb && atLeast(facts, 10, 5, 2)
  const status = mariadbNew ? 'BINLOG MONITOR' : 'REPLICATION CLIENT'
  // MariaDB shows its replicas to those who administer replication; reading the log needs less.
  const probes: readonly Probe[] = [
    { name: status, sql: logStatusSql(facts) },
    ...(facts.mariadb ? [] : [{ name: 'REPLICATION SLAVE', sql: replicas }]),
  ]
  const findings: Finding[] = []
  for (const probe of probes) findings.push(await tried(control, probe, account))
  if (facts.mariadb) findings.push(await grantFinding(control, account))
  return findings
}

interface Probe {
  readonly name: string
  readonly sql: string
}

function replicasSql(facts: ServerFacts): string {
  return atLeast(facts, 8, 0, 22) ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS'
}

async function tried(
  control: ControlConnection,
  { name, sql }: Probe,
  account: string,
): Promise<Finding> {
  const fix = `GRANT ${name} ON *.* TO ${account};`
  try {
    await control.query(sql)
    return { ...passed(`privilege ${name}`), message: `the user has ${name}` }
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error !== 'PRIVILEGE_MISSING') throw error
    const message = `the user lacks ${name}`
    return { name: `privilege ${name}`, ok: false, warning: false, message, fix }
  }
}

/** MariaDB has no harmless statement that needs REPLICATION SLAVE, so its grants are read. */
async function grantFinding(control: ControlConnection, account: string): Promise<Finding> {
  const rows = await control.query('SHOW GRANTS')
  const grants = rows.flatMap((row) => Object.values(row).map(String))
  const has = grants.some(
    (grant) => /\bON \*\.\*/.test(grant) && /\b(ALL PRIVILEGES|REPLICATION SLAVE)\b/.test(grant),
  )
  const name = 'privilege REPLICATION SLAVE'
  if (has) return { ...passed(name), message: 'the user has REPLICATION SLAVE' }
  const fix = `GRANT REPLICATION SLAVE ON *.* TO ${account};`
  return { name, ok: false, warning: false, message: 'the user lacks REPLICATION SLAVE', fix }
}

async function otherFindings(
  control: ControlConnection,
  facts: ServerFacts,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  if (!facts.mariadb && !(await maySeePrepared(control))) {
    findings.push(
      warning(
        'privilege XA_RECOVER_ADMIN',
        'the user cannot see prepared XA transactions: start when there are none',
        'GRANT XA_RECOVER_ADMIN ON *.* TO CURRENT_USER();',
      ),
    )
  }
  return findings
}

async function maySeePrepared(control: ControlConnection): Promise<boolean> {
  try {
    await control.query('XA RECOVER')
    return true
  } catch (error) {
    // 1401: XAER_RMERR, which is how the server refuses.
    if (error instanceof PipelineError && error.error !== 'CONNECT_FAILED') return false
    throw error
  }
}

function tableFindings({ tables, states }: Structures, options: MysqlOptions): readonly Finding[] {
  if (tables.length === 0) {
    return [
      {
        name: 'tables',
        ok: false,
        warning: false,
        message: 'no table matches, or the user may not see those that do',
        fix: `GRANT SELECT ON \`DATABASE\`.* TO '${options.user}'@'%';`,
      },
    ]
  }
  return tables.flatMap((table) => {
    const state = states.get(nameOf(table))
    return state === undefined ? [] : findingsOf(table, state, options)
  })
}

function findingsOf(
  table: ListedTable,
  state: TableState,
  options: MysqlOptions,
): readonly Finding[] {
  const name = `table ${nameOf(table)}`
  const findings: Finding[] = []
  if (isVersioned(state)) {
    findings.push({ name, ok: false, warning: false, message: REFUSED.note, fix: null })
  }
  const refused = state.columns.flatMap(({ name: column, type }) => {
    if (options.columnsExclude(table.database, table.name, column)) return []
    const { type: lakeType, note } = mapType(type, options)
    return lakeType === null ? [`column ${column} ${formatMysqlType(type)}: ${note}`] : []
  })
  if (refused.length > 0) {
    findings.push({ name, ok: false, warning: false, message: refused.join('; '), fix: null })
  }
  if (keyOf(state) === null) {
    const place = `\`${table.database}\`.\`${table.name}\``
    const message = 'the table has no primary key, and no unique one without nulls'
    const fix = `ALTER TABLE ${place} ADD PRIMARY KEY (...);`
    findings.push({ name, ok: false, warning: !options.keyed, message, fix })
  }
  if (findings.length > 0) return findings
  return [{ ...passed(name), message: `${state.columns.length} columns` }]
}

/** InnoDB writes no row events for rows that a foreign key changes, before MySQL 9.6. */
async function cascadeFindings(
  control: ControlConnection,
  facts: ServerFacts,
  { states }: Structures,
): Promise<readonly Finding[]> {
  if (!facts.mariadb && atLeast(facts, 9, 6)) return []
  const rows = await control.query(
    `SELECT constraint_schema AS d, table_name AS t, constraint_name AS c,
            delete_rule AS x, update_rule AS u
     FROM information_schema.referential_constraints
     WHERE delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
        OR update_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')`,
  )
  return rows.flatMap((row) => {
    const table = tableKey({ namespace: String(row['d']), name: String(row['t']) })
    if (!states.has(table)) return []
    const message =
      `foreign key ${String(row['c'])} (on delete ${String(row['x']).toLowerCase()}, on update ` +
      `${String(row['u']).toLowerCase()}) changes rows that this server does not log`
    return [warning(`table ${table}`, message, null)]
  })
}
