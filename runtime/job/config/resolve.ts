// From what the file says to what the pipeline is: rules over several keys, paths, and defaults
// that depend on other values. Everything that is wrong is reported; nothing is thrown.

import { createHash } from 'node:crypto'
import { PipelineError } from '../../base/errors.ts'
import { type ConnectionContext, resolveConnection, resolveSecret } from './connection.ts'
import type { ConfigDocument } from './document.ts'
import { resolveEventTime } from './event-time.ts'
import { checkPattern } from './pattern-check.ts'
import type { DatabaseSourceConfig, PipelineConfig } from './pipeline-config.ts'
import { resolveLimits } from './limits.ts'
import { resolvePartitionReady } from './partition-ready.ts'
import { resolveTests } from './pipeline-tests.ts'
import { resolveKafka, resolveOnError } from './resolve-kafka.ts'
import { modeOf, resolveSink } from './resolve-sink.ts'
import { checkRoutes } from './route.ts'
import { checkUnions } from './unions.ts'
import { defaultParallelism, type DatabaseInput, type PipelineInput } from './schema.ts'
import type { Secret } from './secret.ts'
import { COLUMN_SHAPE, TABLE_SHAPE } from './selector.ts'
import { resolveScripts } from './script.ts'
import { resolveTransforms } from './transform.ts'

/**
 * @param sinks  names of several sinks, of which `input` has one; `null`: the file has one `sink`
 * @returns the configuration without its warnings; `null` when an error was reported
 */
export function resolvePipeline(
  input: PipelineInput,
  file: string,
  context: ConnectionContext,
  sinks: readonly string[] | null = null,
): Omit<PipelineConfig, 'warnings'> | null {
  const { document } = context
  checkRoutes(input.route, document, sinks)
  const transforms = resolveTransforms(input.transform, document)
  const scripts = resolveScripts(input.script, context)
  const tests = resolveTests(input.tests, document)
  const { pipeline } = input
  const mode = modeOf(input)
  const source =
    input.source.type === 'kafka'
      ? resolveKafka(input.source, mode, context)
      : resolveDatabase(input.source, input.name, context)
  const onError = resolveOnError(input, mode, document)
  const resolved = resolveSink(input, context)
  if (source === null || resolved === null) return null
  const { sink, store, partitionBy } = resolved
  const partitionReady = resolvePartitionReady(input.partition_ready, {
    ...context,
    sink,
    source,
    transforms,
    scripts,
    partitionBy,
  })
  checkUnions(input, mode, partitionReady.length > 0, sinks !== null, document)
  return {
    name: input.name,
    file,
    source,
    transforms,
    scripts,
    partitionReady,
    routes: input.route,
    tests,
    sink,
    onError,
    maskKey: resolveMaskKey(input, context),
    parallelism: pipeline.parallelism ?? (sink.type === 'kafka' ? 1 : defaultParallelism()),
    memoryBytes: pipeline.memory ?? null,
    checkpoint: {
      intervalMs: pipeline.checkpoint.interval,
      store,
      keep: pipeline.checkpoint.keep,
    },
  }
}

/** Shorter ones can be found by trying: whoever has a value and its hash would have them all. */
const MASK_KEY_BYTES_MIN = 16

function resolveMaskKey(
  { secrets: { mask_key: written } }: PipelineInput,
  context: ConnectionContext,
): Secret | null {
  if (written === undefined) return null
  const path = ['secrets', 'mask_key']
  const secret = resolveSecret(written, path, context)
  let bytes = MASK_KEY_BYTES_MIN
  try {
    bytes = Buffer.byteLength(secret.reveal())
  } catch (error) {
    // One that is not there has been reported.
    if (!(error instanceof PipelineError)) throw error
  }
  if (bytes < MASK_KEY_BYTES_MIN) {
    const message = `secrets.mask_key needs at least ${MASK_KEY_BYTES_MIN} bytes`
    context.document.report(path, { error: 'CONFIG_VALUE', message })
  }
  return secret
}

function resolveDatabase(
  input: DatabaseInput,
  pipeline: string,
  context: ConnectionContext,
): DatabaseSourceConfig | null {
  checkPatterns(input, context.document)
  const connection = resolveConnection(input, context)
  if (connection === null) return null
  const eventTime = resolveEventTime(input.event_time, context.document)
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
    eventTime,
    limits: resolveLimits(input.limits, context.document),
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

function checkPatterns(source: DatabaseInput, document: ConfigDocument): void {
  for (const [name, shape] of [
    ['tables', TABLE_SHAPE],
    ['tables_exclude', TABLE_SHAPE],
    ['columns_exclude', COLUMN_SHAPE],
  ] as const) {
    for (const [index, pattern] of source[name].entries()) {
      const path = ['source', name, index]
      if (checkPattern(pattern, shape, path, document) === null) continue
      if (/^\/.*\([^)]*[+*][^)]*\)[+*{]/.test(pattern)) {
        const message = `source.${name}[${index}]: a repetition of a repetition can take for ever`
        document.report(path, { error: 'CONFIG_VALUE', message, severity: 'warning' })
      }
    }
  }
}
