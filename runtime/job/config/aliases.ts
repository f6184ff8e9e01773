// Spellings of other tools that mean the same as ours: keys with hyphens, dots or capitals, and
// what Flink CDC's pipeline files say. They are taken, with a word about how we write them; where
// they mean something that this version does not do, they are errors with what it does instead.

import type { ConfigDocument } from './document.ts'
import { isSurelyFlink, splitFlink, translateFlink } from './flink-patterns.ts'
import { keysAt } from './issues.ts'
import { laterKeysAt } from './later.ts'
import { snakeCase } from '../../base/nearest.ts'
import { formatPath, type Path } from './problems.ts'

type Block = Record<string, unknown>

/** Reports each, and writes `document.value` in our own spelling. */
export function readAliases(document: ConfigDocument): void {
  for (const [name, rules] of FLINK) {
    const block = blockAt(document.value, [name])
    // Keys of Flink CDC first: a few are, by their letters, keys of ours with another sense.
    for (const key of Object.keys(block ?? {})) rules.get(snakeCase(key))?.(document, [name, key])
  }
  respell(document, [])
  for (const name of ['tables', 'tables_exclude']) readPatterns(document, ['source', name])
  for (const name of TABLE_LISTS) readEntries(document, name)
}

/** Lists of blocks that are each about some tables. */
const TABLE_LISTS = ['transform', 'route']
/** Their keys in those blocks, as we write them. */
const ENTRY_KEYS: ReadonlyMap<string, string> = new Map([
  ['source_table', 'from'],
  ['sink_table', 'into'],
])

/** What becomes of one key of Flink CDC's. */
type Rule = (document: ConfigDocument, path: Path) => void

/** By block and by the key with underscores. */
const FLINK: ReadonlyMap<string, ReadonlyMap<string, Rule>> = new Map([
  [
    'source',
    new Map<string, Rule>([
      ['name', ignored('a source has no name of its own')],
      ['scan_startup_mode', readStartup],
      ['scan_incremental_snapshot_chunk_size', moved(['source', 'backfill', 'chunk_rows'])],
      ['schema_change_enabled', only([true, 'true'], 'carries every change of structure over')],
      ['decoding_plugin_name', only(['pgoutput'], 'reads pgoutput')],
      ['server_time_zone', readTimeZone],
      ['server_id', readServerId],
    ]),
  ],
  ['sink', new Map([['name', ignored('a sink has no name of its own')]])],
  [
    'pipeline',
    new Map([
      ['name', moved(['name'])],
      [
        'schema_change_behavior',
        only(['evolve'], 'carries every change of structure over (evolve)'),
      ],
    ]),
  ],
])

/** Flink CDC's modes, as we write them. */
const STARTUP_MODES: ReadonlyMap<string, string> = new Map([
  ['initial', 'initial'],
  ['latest-offset', 'latest'],
  ['latest', 'latest'],
  ['snapshot', 'backfill_only'],
])

function readStartup(document: ConfigDocument, path: Path): void {
  const written = textOf(valueAt(document.value, path))
  const mode = STARTUP_MODES.get(written)
  if (mode === undefined) {
    const message =
      `${formatPath(path)}: ${written} is not supported: ` +
      'this version takes initial, latest and backfill_only'
    const suggestion = 'startup: { mode: initial }'
    document.report(path, { error: 'CONFIG_UNSUPPORTED', message, suggestion })
    remove(document, path)
    return
  }
  const block = blockAt(document.value, path.slice(0, -1))
  if (block !== null) block[String(path.at(-1))] = mode
  const place = ['source', 'startup', 'mode']
  moveAs(document, path, place, `startup: { mode: ${mode} }`)
}

/** Theirs is a range: each of their parallel readers has one. */
function readServerId(document: ConfigDocument, path: Path): void {
  const written = valueAt(document.value, path)
  const first = typeof written === 'string' ? /^(\d+)\s*-\s*\d+$/.exec(written)?.[1] : undefined
  if (first === undefined) return
  const message = `${formatPath(path)} must be one number: one reader follows the log`
  document.report(path, { error: 'CONFIG_VALUE', message, suggestion: first })
  remove(document, path)
}

function readTimeZone(document: ConfigDocument, path: Path): void {
  // Any other zone is refused as a key of a later version.
  if (valueAt(document.value, path) === 'UTC') ignore(document, path, 'timestamps are in UTC')
}

function moved(to: Path): Rule {
  return (document, path) => move(document, path, to)
}

function ignored(why: string): Rule {
  return (document, path) => ignore(document, path, why)
}

/** A key whose one sense is what happens anyway. */
function only(values: readonly unknown[], now: string): Rule {
  return (document, path) => {
    const written = valueAt(document.value, path)
    if (values.includes(written)) {
      ignore(document, path, `this version ${now}`)
      return
    }
    const message = `${formatPath(path)}: ${textOf(written)} is not supported: this version ${now}`
    const suggestion = String(values[0])
    document.report(path, { error: 'CONFIG_UNSUPPORTED', message, suggestion, atKey: true })
    remove(document, path)
  }
}

function ignore(document: ConfigDocument, path: Path, why: string): void {
  const message = `${formatPath(path)} says nothing here: ${why}`
  document.report(path, { error: 'CONFIG_UNKNOWN_KEY', message, severity: 'info', atKey: true })
  remove(document, path)
}

/** Brings every key to our spelling whose letters are those of a key that is known there. */
function respell(document: ConfigDocument, path: Path): void {
  const list = valueAt(document.value, path)
  if (Array.isArray(list)) {
    for (const index of list.keys()) respell(document, [...path, index])
    return
  }
  const block = blockAt(document.value, path)
  if (block === null) return
  for (const name of Object.keys(block)) {
    const known = knownAt(document, path)
    if (known.includes(name)) continue
    const place = placeOf(document, path, name, known)
    if (place !== null) move(document, [...path, name], place)
  }
  for (const name of Object.keys(block)) respell(document, [...path, name])
}

/** `chunk-rows` and `chunkRows` beside other keys, `slot.name` as a key of a block. */
function placeOf(
  document: ConfigDocument,
  path: Path,
  name: string,
  known: readonly string[],
): Path | null {
  const folded = snakeCase(name)
  if (folded !== name && known.includes(folded)) return [...path, folded]
  const [first = '', ...rest] = name.split('.')
  if (rest.length === 0) return null
  const outer = snakeCase(first)
  if (!known.includes(outer)) return null
  const inner = [...path, outer]
  const within = rest.join('.')
  const names = knownAt(document, inner)
  return names.includes(within) ? [...inner, within] : placeOf(document, inner, within, names)
}

function knownAt(document: ConfigDocument, path: Path): string[] {
  return [...keysAt(document.value, path), ...laterKeysAt(path)]
}

function move(document: ConfigDocument, from: Path, to: Path): void {
  const [name = '', ...inner] = to.slice(Math.min(to.length, from.length) - 1)
  const where = to.length < from.length ? ' at the top of the file' : ''
  const block = inner.reduceRight((value, step) => `{ ${String(step)}: ${value} }`, '...')
  moveAs(document, from, to, inner.length === 0 ? `${name}${where}` : `${name}: ${block}`)
}

/** @param use  how we write it */
function moveAs(document: ConfigDocument, from: Path, to: Path, use: string): void {
  const name = formatPath(from)
  const report = { error: 'CONFIG_UNKNOWN_KEY', atKey: true } as const
  if (!document.has(to)) {
    document.report(from, { ...report, message: `${name}: use ${use}`, severity: 'info' })
    if (document.move(from, to)) return
  }
  document.report(from, { ...report, message: `${name} and ${formatPath(to)} say the same twice` })
  remove(document, from)
}

/** One text in the place of a list, and patterns with Flink CDC's escapes. */
function readPatterns(document: ConfigDocument, path: Path): void {
  const block = blockAt(document.value, path.slice(0, -1))
  const name = String(path.at(-1))
  const written = block?.[name]
  if (block === null || written === undefined) return
  if (typeof written === 'string' && written.trim() !== '') {
    const patterns = splitFlink(written).map((pattern) => translated(pattern))
    const list = patterns.map((pattern) => JSON.stringify(pattern)).join(', ')
    const message = `${formatPath(path)}: use a list: [${list}]`
    document.report(path, { error: 'CONFIG_VALUE', message, severity: 'info' })
    block[name] = patterns
  }
  if (!Array.isArray(written)) return
  for (const [index, pattern] of written.entries()) {
    if (typeof pattern !== 'string' || !isSurelyFlink(pattern)) continue
    const ours = translateFlink(pattern)
    if (ours === pattern) continue
    const message = `${formatPath([...path, index])}: use ${JSON.stringify(ours)}`
    document.report([...path, index], { error: 'CONFIG_VALUE', message, severity: 'info' })
    written[index] = ours
  }
}

function readEntries(document: ConfigDocument, list: string): void {
  const entries = blockAt(document.value, [])?.[list]
  if (!Array.isArray(entries)) return
  for (const index of entries.keys()) {
    const block = blockAt(document.value, [list, index])
    for (const name of Object.keys(block ?? {})) {
      const ours = ENTRY_KEYS.get(snakeCase(name))
      if (ours !== undefined) moveAs(document, [list, index, name], [list, index, ours], ours)
    }
    const from = block?.['from']
    if (block === null || typeof from !== 'string' || !isSurelyFlink(from)) continue
    block['from'] = translateFlink(from)
    const message = `${list}[${index}].from: use ${JSON.stringify(block['from'])}`
    document.report([list, index, 'from'], { error: 'CONFIG_VALUE', message, severity: 'info' })
  }
}

/** In one text the patterns are theirs, unless they can only be ours. */
function translated(pattern: string): string {
  const star = !pattern.includes('\\.') && /(?:^|\.)\*(?:\.|$)/.test(pattern)
  return star || pattern.startsWith('/') ? pattern : translateFlink(pattern)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

function remove(document: ConfigDocument, path: Path): void {
  const block = blockAt(document.value, path.slice(0, -1))
  if (block !== null) delete block[String(path.at(-1))]
}

function blockAt(value: unknown, path: Path): Block | null {
  const at = valueAt(value, path)
  return typeof at === 'object' && at !== null && !Array.isArray(at) ? (at as Block) : null
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const step of path) {
    at = typeof at === 'object' && at !== null ? (at as Block)[String(step)] : undefined
  }
  return at
}
