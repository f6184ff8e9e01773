// What `check`, `discover` and `drop` ask of a PostgreSQL server, without reading its log.

import { PipelineError } from '../../runtime/base/errors.ts'
import { tableKey } from '../../runtime/data/schema.ts'
import { formatType } from '../../runtime/data/type.ts'
import type { ChangeBatch } from '../../runtime/data/batch.ts'
import type { Position } from '../../runtime/data/position.ts'
import type { DiscoveredTable, Finding, Removal } from '../../runtime/source.ts'
import type { SourceContext, SourceInspector, TableScan } from '../../runtime/source.ts'
import { listTables, loadTypes, readTables, TypeCatalog, type Ask } from './catalog.ts'
import type { CatalogTable } from './catalog.ts'
import { checkServer, checkUser, fail, pass, warning } from './check-server.ts'
import { ChunkPool } from './chunk-pool.ts'
import { quoteName } from './connect.ts'
import { Control } from './control.ts'
import { estimateTables } from './estimate.ts'
import { isCaptured, type PostgresOptions } from './options.ts'
import {
  addTablesSql,
  createPublicationSql,
  NO_PUBLICATION,
  qualified,
  readPublication,
  unpublishable,
  unusableMembership,
  type Publication,
} from './publication.ts'
import { dropSlot, readServerFacts, readSlot, type ServerFacts } from './server.ts'
import { openScan, readSample } from './scan.ts'
import { isInLog, keyOf, listKey } from './shape.ts'
import { TableRegistry } from './tables.ts'
import { mapType, typeName } from './types.ts'

/** @returns an inspector that connects when it is first asked */
export function createPostgresInspector(options: PostgresOptions): SourceInspector {
  return new PostgresInspector(options)
}

interface Captured {
  readonly tables: readonly CatalogTable[]
  readonly types: TypeCatalog
}

class PostgresInspector implements SourceInspector {
  private readonly options: PostgresOptions
  private readonly control: Control
  private readonly pool: ChunkPool
  private readonly ask: Ask

  constructor(options: PostgresOptions) {
    this.options = options
    this.control = new Control(options)
    this.pool = new ChunkPool(options)
    this.ask = async (sql, values) => this.control.query(sql, values)
  }

  async check(): Promise<readonly Finding[]> {
    const { ask, options } = this
    let facts: ServerFacts
    try {
      facts = await readServerFacts(ask)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return [fail('connection', error.message, null)]
    }
    const { host, port } = options
    const connection = pass('connection', `connected to ${host}:${port}`)
    const captured = await this.captured()
    const publication = await readPublication(ask, options.publication, facts.version)
    return [
      connection,
      ...(await checkServer(ask, facts, options)),
      ...(await checkUser(ask, captured.tables, publication, options)),
      this.checkPublication(publication, captured.tables),
      await this.checkSlot(),
      ...this.checkTables(captured, publication),
    ]
  }

  private async captured(): Promise<Captured> {
    const { ask, options } = this
    const listed = await listTables(ask)
    const wanted = listed.filter(({ namespace, name }) => isCaptured(options, namespace, name))
    const oids = wanted.map(({ oid }) => oid)
    const { tables } = await readTables(ask, oids)
    const types = new TypeCatalog()
    await loadTypes(types, ask, tables)
    return {
      tables: tables.toSorted((left, right) => compare(tableKey(left), tableKey(right))),
      types,
    }
  }

  private checkPublication(
    publication: Publication | null,
    tables: readonly CatalogTable[],
  ): Finding {
    const name = this.options.publication
    const readable = tables.filter((table) => unpublishable(table, this.options.keyed) === null)
    if (publication === null) {
      const sql = `${createPublicationSql(name, readable)};`
      return warning('publication', `"${name}" does not exist yet; the first run creates it`, sql)
    }
    const left = Object.entries(publication.publishes).filter(([, published]) => !published)
    if (left.length > 0) {
      const kinds = left.map(([kind]) => kind).join(', ')
      const set = "SET (publish = 'insert, update, delete, truncate');"
      const fix = `ALTER PUBLICATION ${quoteName(name)} ${set}`
      return fail('publication', `"${name}" leaves out ${kinds}`, fix)
    }
    const missing = readable.filter(({ oid }) => !publication.members.has(oid))
    if (missing.length === 0) return pass('publication', `"${name}" carries every table`)
    const what = `"${name}" does not carry ${missing.length} tables yet; the first run adds them`
    return warning('publication', what, `${addTablesSql(name, missing)};`)
  }

  private async checkSlot(): Promise<Finding> {
    const name = this.options.slot
    const slot = await readSlot(this.ask, name)
    if (slot === null) {
      return pass('slot', `"${name}" does not exist yet; the first run creates it`)
    }
    const drop = `SELECT pg_drop_replication_slot('${name.replaceAll("'", "''")}');`
    if (slot.lost !== null) return fail('slot', `"${name}" was invalidated: ${slot.lost}`, drop)
    if (slot.plugin !== 'pgoutput' || !slot.own) {
      return fail('slot', `"${name}" is of ${slot.plugin} in database ${slot.database}`, drop)
    }
    const state = slot.active ? 'is being read' : 'exists'
    return pass('slot', `"${name}" ${state}`)
  }

  private checkTables({ tables, types }: Captured, publication: Publication | null): Finding[] {
    if (tables.length === 0) return [fail('tables', 'no table matches the configuration', null)]
    const findings = tables.flatMap((table) => this.checkTable(table, types, publication))
    if (findings.length > 0) return findings
    return [pass('tables', `${tables.length} tables can be read`)]
  }

  private checkTable(
    table: CatalogTable,
    types: TypeCatalog,
    publication: Publication | null,
  ): Finding[] {
    const { options } = this
    const key = tableKey(table)
    const findings: Finding[] = []
    const identity = unpublishable(table, options.keyed)
    if (identity !== null) findings.push(fail(key, identity.message, identityFix(table)))
    const membership = publication === null ? null : unusableMembership(publication, table)
    if (membership !== null) findings.push(fail(key, membership.message, null))
    for (const { name, note } of describeColumns(table, types, options, publication)) {
      if (note.unsupported) findings.push(fail(key, `column "${name}": ${note.text}`, null))
    }
    const list = options.keyed ? listIn(keyOf(table), table, types, options) : null
    if (list !== null) findings.push(fail(key, listKey(key, list).message, null))
    return findings
  }

  async discover(): Promise<readonly DiscoveredTable[]> {
    const { ask, options } = this
    const { version } = await readServerFacts(ask)
    const { tables, types } = await this.captured()
    const publication = await readPublication(ask, options.publication, version)
    const oids = tables.map(({ oid }) => oid)
    const estimates = await estimateTables(ask, oids)
    return tables.map((table) => ({
      namespace: table.namespace,
      name: table.name,
      estimatedRows: estimates.get(table.oid) ?? null,
      key: keyNames(table),
      columns: describeColumns(table, types, options, publication).map((column) => ({
        name: column.name,
        sourceType: column.sourceType,
        nullable: column.nullable,
        lakeType: column.lakeType,
        note: column.note.text,
      })),
    }))
  }

  async scan(table: string, near: Position, signal: AbortSignal): Promise<TableScan | null> {
    return openScan(this.options, this.ask, this.pool, table, near, signal)
  }

  sample(
    table: string,
    rowsMax: number,
    context: SourceContext,
    signal: AbortSignal,
  ): AsyncIterable<ChangeBatch> {
    return readSample(this.options, this.ask, this.pool, table, rowsMax, context, signal)
  }

  async drop(): Promise<readonly Removal[]> {
    const { ask, options } = this
    const removals: Removal[] = []
    // The slot first: without its publication it could no longer be read.
    if (await dropSlot(ask, options.slot)) {
      removals.push({ what: `replication slot "${options.slot}"`, kept: null })
    }
    const [row] = await ask(
      `SELECT pg_get_userbyid(pubowner) AS owner, pg_has_role(pubowner, 'USAGE') AS ours
       FROM pg_publication WHERE pubname = $1`,
      [options.publication],
    )
    if (row === undefined) return removals
    const what = `publication "${options.publication}"`
    const sql = `DROP PUBLICATION IF EXISTS ${quoteName(options.publication)}`
    if (row['ours'] === true) {
      await ask(sql)
      return [...removals, { what, kept: null }]
    }
    const kept = `it belongs to role "${String(row['owner'])}", who can run: ${sql};`
    return [...removals, { what, kept }]
  }

  async close(): Promise<void> {
    await this.pool.close()
    await this.control.close()
  }
}

function compare(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

function identityFix(table: CatalogTable): string | null {
  const primary = table.indexes.some((index) => index.primary)
  if (primary) return `ALTER TABLE ${qualified(table)} REPLICA IDENTITY DEFAULT;`
  const required = new Set(table.columns.filter(({ notNull }) => notNull).map((c) => c.attnum))
  const unique = table.indexes.some(({ key }) => key.every((attnum) => required.has(attnum)))
  // Under FULL a unique index over required columns serves as the key.
  return unique ? `ALTER TABLE ${qualified(table)} REPLICA IDENTITY FULL;` : null
}

function keyNames(table: CatalogTable): readonly string[] | null {
  const key = keyOf(table)
  if (key === null) return null
  return key.map((attnum) => table.columns.find((c) => c.attnum === attnum)?.name ?? '?')
}

/** @returns the name of a key column that is a list; `null`: none is */
function listIn(
  key: readonly number[] | null,
  { namespace, name: tableName, columns }: CatalogTable,
  types: TypeCatalog,
  options: PostgresOptions,
): string | null {
  const list = columns.find(({ attnum, name, type, modifier }) => {
    const asText = options.columnsAsText(namespace, tableName, name)
    const isList = mapType(type, modifier, types.lookup, asText).type?.kind === 'list'
    return isList && key?.includes(attnum) === true
  })
  return list?.name ?? null
}

interface DescribedColumn {
  readonly name: string
  readonly sourceType: string
  readonly nullable: boolean
  readonly lakeType: string | null
  readonly note: { readonly text: string | null; readonly unsupported: boolean }
}

function describeColumns(
  table: CatalogTable,
  types: TypeCatalog,
  options: PostgresOptions,
  publication: Publication | null,
): DescribedColumn[] {
  const { namespace, name: tableName, oid } = table
  const registry = new TableRegistry(options, types, publication ?? NO_PUBLICATION)
  const source = registry.shapeSource(oid)
  return table.columns.flatMap((column): DescribedColumn[] => {
    if (column.dropped || options.columnsExclude(namespace, tableName, column.name)) return []
    const { name, type, modifier } = column
    const sourceType = typeName(type, modifier, types.lookup)
    const nullable = !column.notNull
    if (!isInLog(column, source)) {
      const what = column.generated === '' ? 'a column' : 'a generated column'
      const note = { text: `${what}, which the log does not carry`, unsupported: false }
      return [{ name, sourceType, nullable, lakeType: null, note }]
    }
    const asText = options.columnsAsText(namespace, tableName, name)
    const mapping = mapType(type, modifier, types.lookup, asText)
    const lakeType = mapping.type === null ? null : formatType(mapping.type)
    const note = { text: mapping.note, unsupported: mapping.type === null }
    return [{ name, sourceType, nullable, lakeType, note }]
  })
}
