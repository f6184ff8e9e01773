// From what the file says to what the pipeline is: rules over several keys, paths, and defaults
// that depend on other values. Everything that is wrong is reported; nothing is thrown.

import { createHash } from 'node:crypto'
import { isAbsolute, resolve as resolvePath } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type ConnectionContext, resolveConnection } from './connection.ts'
import type { ConfigDocument } from './document.ts'
import { compilePattern, PatternFault } from './glob.ts'
import type {
  ConnectionConfig,
  FolderConfig,
  PipelineConfig,
  SinkConfig,
  SourceConfig,
} from './pipeline-config.ts'
import type { Path } from './problems.ts'
import { defaultParallelism, type PipelineInput, type SourceInput } from './schema.ts'
import { COLUMN_SHAPE, TABLE_SHAPE } from './selector.ts'

/** @returns the configuration without its warnings; `null` when an error was reported */
export function resolvePipeline(
  input: PipelineInput,
  file: string,
  context: ConnectionContext,
): Omit<PipelineConfig, 'warnings'> | null {
  const { document, folder } = context
  checkPatterns(input.source, document)
  const connection = resolveConnection(input.source, context)
  const source = connection && resolveSource(input.source, connection, input.name)
  const sink = resolveSink(input.sink, context)
  const path = ['pipeline', 'checkpoint', 'store']
  const store = resolveFolder(input.pipeline.checkpoint.store, path, folder, document)
  if (source === null || sink === null || store === null) return null
  if (store.path === sink.warehouse.path) {
    const message = 'pipeline.checkpoint.store and sink.warehouse must be two folders'
    document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return {
    name: input.name,
    file,
    source,
    sink,
    parallelism: input.pipeline.parallelism ?? defaultParallelism(),
    memoryBytes: input.pipeline.memory ?? null,
    checkpoint: {
      intervalMs: input.pipeline.checkpoint.interval,
      store,
      keep: input.pipeline.checkpoint.keep,
    },
  }
}

function resolveSource(
  input: SourceInput,
  connection: ConnectionConfig,
  pipeline: string,
): SourceConfig | null {
  const shared = {
    connection,
    tables: input.tables,
    tablesExclude: input.tables_exclude,
    columnsExclude: input.columns_exclude,
    startup: input.startup.mode,
    backfill: {
      parallelism: input.backfill.parallelism,
      chunkRows: input.backfill.chunk_rows,
    },
    heartbeatMs: typeof input.heartbeat === 'number' ? input.heartbeat : input.heartbeat.every,
  }
  if (input.type === 'mysql') return { type: 'mysql', ...shared, serverId: input.server_id ?? null }
  const { database } = connection
  if (database === null) return null
  const name = serverName(pipeline)
  return {
    type: 'postgres',
    ...shared,
    connection: { ...connection, database },
    slotName: input.slot.name ?? name,
    publicationName: input.publication.name ?? name,
    maxSlotLagBytes: input.max_slot_lag ?? null,
  }
}

const SERVER_NAME_MAX = 63
const DIGEST_LENGTH = 8

/**
 * The default name of slot and publication. A slot's name has no hyphens, and a name in which they
 * are replaced is also that of another pipeline: `shop-a` would take over the slot of `shop_a`, and
 * each would lose what the other has read. So such a name carries a digest of the pipeline's own.
 */
function serverName(pipeline: string): string {
  const plain = `millrace_${pipeline.replaceAll('-', '_')}`
  if (!pipeline.includes('-')) return plain
  const digest = createHash('sha256').update(pipeline).digest('hex').slice(0, DIGEST_LENGTH)
  return `${plain.slice(0, SERVER_NAME_MAX - DIGEST_LENGTH - 1)}_${digest}`
}

function checkPatterns(source: SourceInput, document: ConfigDocument): void {
  for (const [name, shape] of [
    ['tables', TABLE_SHAPE],
    ['tables_exclude', TABLE_SHAPE],
    ['columns_exclude', COLUMN_SHAPE],
  ] as const) {
    for (const [index, pattern] of source[name].entries()) {
      const path = ['source', name, index]
      const compiled = compilePattern(pattern, shape)
      if (compiled instanceof PatternFault) {
        const { suggestion } = compiled
        const message = `source.${name}[${index}]: "${pattern}" ${compiled.message}`
        document.report(path, { error: 'CONFIG_VALUE', message, suggestion })
      } else if (/^\/.*\([^)]*[+*][^)]*\)[+*{]/.test(pattern)) {
        const message = `source.${name}[${index}]: a repetition of a repetition can take for ever`
        document.report(path, { error: 'CONFIG_VALUE', message, severity: 'warning' })
      }
    }
  }
}

function resolveSink(input: PipelineInput['sink'], context: ConnectionContext): SinkConfig | null {
  const { document, folder } = context
  const warehouse = resolveFolder(input.warehouse, ['sink', 'warehouse'], folder, document)
  const path = resolveSqlite(input.catalog.uri, folder, document)
  if (warehouse === null || path === null) return null
  return {
    type: 'iceberg',
    catalog: { type: 'sql', path, uri: `sqlite:///${path}`, name: input.catalog.name },
    warehouse,
    mode: input.mode,
    profile: input.profile,
  }
}

/** `file:///abs`, `/abs`, or a path relative to the pipeline file. */
function resolveFolder(
  written: string,
  path: Path,
  folder: string,
  document: ConfigDocument,
): FolderConfig | null {
  const absolute = written.startsWith('file:') ? pathOfUrl(written) : resolvePath(folder, written)
  if (absolute === null || (/^[a-z][a-z0-9+.-]*:/i.test(written) && !written.startsWith('file:'))) {
    const message = `${path.join('.')} must be a local folder, as file:///var/lib/lake or ./lake`
    document.report(path, { error: 'CONFIG_VALUE', message })
    return null
  }
  const trimmed = resolvePath(absolute)
  return { path: trimmed, uri: pathToFileURL(trimmed).href }
}

function pathOfUrl(written: string): string | null {
  try {
    return fileURLToPath(written)
  } catch {
    return null
  }
}

/** SQLAlchemy's spelling: three slashes before a relative path, four before an absolute one. */
function resolveSqlite(written: string, folder: string, document: ConfigDocument): string | null {
  const path = ['sink', 'catalog', 'uri']
  const location = /^sqlite:\/\/\/([^?#]+)$/.exec(written)?.[1]
  if (location === undefined || location === ':memory:' || location.endsWith('/')) {
    const message = 'sink.catalog.uri must be a SQLite file, as sqlite:////var/lib/lake/catalog.db'
    document.report(path, { error: 'CONFIG_VALUE', message })
    return null
  }
  return isAbsolute(location) ? resolvePath(location) : resolvePath(folder, location)
}
