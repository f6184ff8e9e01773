// `sinks` of a pipeline file: several targets of one reading. Each is read as the one `sink` of the
// file would be, by the same rules; here is what they must agree on.

import type { ConfigDocument } from './document.ts'
import type { PipelineConfig, PipelinePart } from './pipeline-config.ts'
import { lintMessage } from './problems.ts'
import { SINK_NAME } from './schema.ts'

export type Resolved = Omit<PipelineConfig, 'warnings'>

export interface SinksReader {
  /** The file anew, as it stands there. */
  open(): ConfigDocument
  /** @param sinks  their names @returns `null` when an error was reported */
  interpret(document: ConfigDocument, sinks: readonly string[]): Resolved | null
}

/** True where the file has `sinks`. */
export function hasSinks({ value }: ConfigDocument): boolean {
  return typeof value === 'object' && value !== null && 'sinks' in value
}

/** Reports what is wrong. @returns `null` when an error was reported */
export function interpretSinks(document: ConfigDocument, reader: SinksReader): Resolved | null {
  const names = namesIn(document)
  if (names === null) return null
  const root = document.value as Readonly<Record<string, unknown>>
  if ('partition_ready' in root) reportReadiness(document)
  const resolved = names.map((name) => [name, interpretOne(document, name, names, reader)] as const)
  const whole = resolved.flatMap(([name, config]) => (config === null ? [] : [{ name, config }]))
  const [first] = whole
  if (first === undefined || whole.length < names.length) return null
  if (whole.some(({ config }) => config.partitionReady.length > 0)) reportReadiness(document)
  reportKinds(document, whole)
  return { ...first.config, parallelism: writersOf(whole), parts: partsOf(whole) }
}

interface Named {
  readonly name: string
  readonly config: Resolved
}

function namesIn(document: ConfigDocument): string[] | null {
  const { sinks, ...others } = document.value as Readonly<Record<string, unknown>>
  const report = (message: string, atKey = false): null => {
    document.report(['sinks'], { error: 'CONFIG_VALUE', message, atKey })
    return null
  }
  if ('sink' in others) return report('sink and sinks say the same twice: one has to go', true)
  if (typeof sinks !== 'object' || sinks === null || Array.isArray(sinks)) {
    return report('sinks must be a block of sinks by name, as `lake: { type: iceberg, ... }`')
  }
  const names = Object.keys(sinks)
  if (names.length === 0) return report('sinks must have at least one sink')
  const wrong = names.filter((name) => !SINK_NAME.test(name))
  for (const name of wrong) {
    const message = 'sinks: a name has up to 63 of a-z, 0-9, _ and -, and begins with a letter'
    document.report(['sinks', name], { error: 'CONFIG_VALUE', message, atKey: true })
  }
  return wrong.length === 0 ? names : null
}

/** What is said of `sink` is said of this one. */
function interpretOne(
  document: ConfigDocument,
  name: string,
  names: readonly string[],
  reader: SinksReader,
): Resolved | null {
  const own = reader.open()
  own.move(['sinks', name], ['sink'])
  own.remove(['sinks'])
  own.remove(['partition_ready'])
  const config = reader.interpret(own, names)
  const known = new Set(document.messages.map((message) => JSON.stringify(message)))
  for (const { message: text, ...place } of own.messages) {
    const message = text.replaceAll(/\bsink(?=\.[a-z]|$)/g, `sinks.${name}`)
    const named = { ...lintMessage(place, { ...place, message }), severity: place.severity }
    if (!known.has(JSON.stringify(named))) document.messages.push(named)
  }
  return own.messages.some(({ severity }) => severity === 'error') ? null : config
}

function reportReadiness(document: ConfigDocument): void {
  const message =
    'partition_ready is not supported with sinks: a partition would be whole in one of them only; ' +
    'give the sink that has it a pipeline of its own'
  document.report(['partition_ready'], { error: 'CONFIG_UNSUPPORTED', message, atKey: true })
}

/** Rows of different modes have different columns, and are read otherwise. */
function reportKinds(document: ConfigDocument, sinks: readonly Named[]): void {
  const [first] = sinks
  if (first === undefined) return
  for (const [index, { name, config }] of sinks.entries()) {
    const { mode, type } = config.sink
    const report = (message: string): void =>
      document.report(['sinks', name], { error: 'CONFIG_UNSUPPORTED', message, atKey: true })
    const { mode: other } = first.config.sink
    if (mode !== other) {
      report(
        `sinks.${name} keeps rows as ${mode}, and sinks.${first.name} as ${other}: all sinks of ` +
          'a pipeline keep them in one way; set `mode` or `change_format`',
      )
    }
    const before = sinks.slice(0, index).find((one) => one.config.sink.type === type)
    if (before !== undefined) {
      report(
        `sinks.${name} and sinks.${before.name} are both of type ${type}: a pipeline has one of ` +
          'each type so far; give the other a pipeline of its own',
      )
    }
  }
}

/** A transaction of Kafka has one writer, and what is beside it has the same. */
function writersOf(sinks: readonly Named[]): number {
  return Math.min(...sinks.map(({ config }) => config.parallelism))
}

function partsOf(sinks: readonly Named[]): PipelinePart[] {
  const parallelism = writersOf(sinks)
  const ofFiles = sinks.filter(({ config }) => config.sink.type !== 'kafka').length
  return sinks.map(({ name, config }) => {
    const { memoryBytes: all } = config
    const memoryBytes = all === null ? null : Math.floor(all / Math.max(1, ofFiles))
    const routes = config.routes.filter(({ sink = name }) => sink === name)
    const own = { tests: [], warnings: [], memoryBytes, parallelism, routes }
    return { ...config, ...own, part: name }
  })
}
