// Our side of a benchmark: a pipeline file with little but defaults, and `millrace run FILE
// --once` as a user starts it. Lake and state can be put back to where they were, so that one
// stretch of log is read several times.

import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import type { Command } from './measure.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NAME = 'bench'

/** What PostgreSQL calls the pipeline's slot and publication. */
export const SLOT = `millrace_${NAME}`

/** What `source.backfill.parallelism` is by default. */
export const BACKFILL_CONNECTIONS = 2

export interface DatabaseAddress {
  readonly type: 'postgres' | 'mysql'
  /** Without the password. */
  readonly uri: string
  readonly password: string
  readonly table: string
}

export interface TopicAddress {
  readonly type: 'kafka'
  readonly brokers: readonly string[]
  readonly password: ''
  /** In the lake. */
  readonly table: string
  readonly topic: string
  readonly protoFile: string
  readonly message: string
  readonly transform: { readonly projection: string; readonly filter: string }
}

export type SourceAddress = DatabaseAddress | TopicAddress

export interface CatalogView {
  /** Path of the table's current metadata file; `null` when the lake does not have it. */
  location(): string | null
  close(): void
}

export class BenchPipeline {
  readonly file: string
  /** Takes effect with the next `reset`, as the interval does. */
  backfillConnections = BACKFILL_CONNECTIONS
  /** Seconds between two checkpoints; `null`: the product's default. */
  checkpointSeconds: number | null = null
  private readonly folder: string
  private readonly source: SourceAddress
  private readonly main: string

  /**
   * @param folder  empty or absent
   * @param tree  folder of the Millrace that is run
   */
  constructor(folder: string, source: SourceAddress, tree = ROOT) {
    this.folder = folder
    this.source = source
    this.main = join(tree, 'runtime/cli/main.ts')
    this.file = join(folder, 'pipeline.yaml')
  }

  /** As on the first day: no lake, no state. */
  async reset(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
    await mkdir(join(this.folder, 'lake'), { recursive: true })
    await writeFile(
      this.file,
      `version: 1
name: ${NAME}
${this.sourceBlocks()}
sink:
  type: iceberg
  mode: ${this.source.type === 'kafka' ? 'append' : 'upsert'}
  catalog: { type: sql, uri: "sqlite:///${this.catalog()}", name: lake }
  warehouse: file://${join(this.folder, 'lake/warehouse')}
pipeline:
  checkpoint: { ${this.interval()}store: "file://${join(this.folder, 'state')}" }
`,
    )
  }

  private interval(): string {
    return this.checkpointSeconds === null ? '' : `interval: ${this.checkpointSeconds}s, `
  }

  private sourceBlocks(): string {
    const { source } = this
    if (source.type !== 'kafka') {
      return `source:
  type: ${source.type}
  uri: ${source.uri}
  password: { from_env: BENCH_PASSWORD }
  tables: ["${source.table}"]
  backfill: { parallelism: ${this.backfillConnections} }`
    }
    const { brokers, topic, protoFile, message, transform } = source
    return `source:
  type: kafka
  brokers: ${JSON.stringify(brokers)}
  topics: ["${topic}"]
  value: { format: protobuf, proto_file: ${protoFile}, message: ${message} }
transform:
  - from: kafka.${topic}
    projection: ${JSON.stringify(transform.projection)}
    filter: ${JSON.stringify(transform.filter)}`
  }

  /** Keeps lake and state as they are now for `restore`. */
  async keep(): Promise<void> {
    await rm(this.kept(), { recursive: true, force: true })
    await cp(this.folder, this.kept(), { recursive: true })
  }

  async restore(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
    await cp(this.kept(), this.folder, { recursive: true })
  }

  /** @param nodeOptions  for node itself, such as --cpu-prof */
  once(nodeOptions: readonly string[] = []): Command {
    const { args, ...command } = this.running(nodeOptions)
    return { ...command, args: [...args, '--once'] }
  }

  /** Until it is told to stop. */
  running(nodeOptions: readonly string[] = []): Command {
    return {
      program: process.execPath,
      args: [...nodeOptions, this.main, 'run', this.file],
      env: { BENCH_PASSWORD: this.source.password },
      stdout: 'keep',
    }
  }

  /** Path of the table's current metadata file; @throws Error when the lake does not have it */
  metadataLocation(): string {
    const catalog = this.openCatalog()
    try {
      const location = catalog.location()
      if (location === null) throw new Error(`the lake has no table ${this.source.table}`)
      return location
    } finally {
      catalog.close()
    }
  }

  openCatalog(): CatalogView {
    const [namespace = '', name = ''] = this.source.table.split('.')
    const database = new DatabaseSync(this.catalog(), { readOnly: true })
    const statement = database.prepare(
      `SELECT metadata_location AS location FROM iceberg_tables
       WHERE table_namespace = ? AND table_name = ?`,
    )
    return {
      location: () => {
        const row = statement.get(namespace, name)
        return row === undefined ? null : fileURLToPath(String(row['location']))
      },
      close: () => database.close(),
    }
  }

  async remove(): Promise<void> {
    for (const folder of [this.folder, this.kept()]) {
      await rm(folder, { recursive: true, force: true })
    }
  }

  private catalog(): string {
    return join(this.folder, 'lake/catalog.db')
  }

  private kept(): string {
    return `${this.folder}.kept`
  }
}
