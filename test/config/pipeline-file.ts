// Pipeline files for tests: a complete one, changed line by line, in a folder of its own.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatLintMessage } from '../../runtime/job/config/problems.ts'
import { lintFile } from '../../runtime/job/config/load.ts'
import type {
  DatabaseSourceConfig,
  IcebergSinkConfig,
  PipelineConfig,
} from '../../runtime/job/config/pipeline-config.ts'
import type { Environment } from '../../runtime/job/config/variables.ts'

export const COMPLETE = `version: 1
name: shop
source:
  type: postgres
  uri: postgresql://postgres@127.0.0.1:5433/shop
  tables: ["public.*"]
sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:////lake/catalog.db" }
  warehouse: file:///lake/warehouse
pipeline:
  checkpoint: { store: file:///lake/state }
`

/** The same for a topic, which has no key. */
export const KAFKA = COMPLETE.replace(
  /source:\n(?: .*\n)*/,
  `source:
  type: kafka
  brokers: [127.0.0.1:9092]
  topics: [clicks]
  value: { format: raw }
`,
).replace('warehouse\n', 'warehouse\n  mode: append\n')

/** @returns a source that has a connection */
export function databaseOf({ source }: Pick<PipelineConfig, 'source'>): DatabaseSourceConfig {
  if (source.type === 'kafka') throw new Error('the file is about Kafka')
  return source
}

/** @returns a sink that has a catalog */
export function icebergOf({ sink }: Pick<PipelineConfig, 'sink'>): IcebergSinkConfig {
  if (sink.type !== 'iceberg') throw new Error('the file is about a directory')
  return sink
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
let count = 0

/** @returns the path of a new file with this text */
export function writeFile(text: string | Uint8Array, name = `${count++}.yaml`): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

type Edits = readonly (readonly [string, string])[]

/** The complete file with lines replaced: [what stands there, what shall]. */
export function changed(...edits: Edits): string {
  return edited(COMPLETE, edits)
}

export function changedKafka(...edits: Edits): string {
  return edited(KAFKA, edits)
}

function edited(complete: string, edits: Edits): string {
  let text = complete
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`no "${from}" to replace`)
    text = text.replace(from, () => to)
  }
  return text
}

/** @returns lint's lines for a text, without the name of the file */
export function lint(text: string, env: Environment = {}): string[] {
  const path = writeFile(text)
  return lintFile(path, env).map((message) => formatLintMessage(message).slice(path.length + 1))
}
