// A pipeline file as plain values that remember where they stand, in this file or in one that it
// includes. Files are input from outside: their size, their aliases and their tags are bounded
// before anything else looks at them.

import { Alias, type Document, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Node, Scalar, YAMLError, YAMLMap } from 'yaml'
import { formatPath, lintMessage } from './problems.ts'
import type { FilePlace, LintMessage, Path, Problem } from './problems.ts'
import { type Environment, expandVariables } from './variables.ts'

export const FILE_BYTES_MAX = 1024 * 1024

/** Aliases of aliases can make a few bytes stand for gigabytes. */
const NODES_MAX = 20_000
const DEPTH_MAX = 64

/** A file, and where its lines begin. */
interface Text {
  readonly file: string
  readonly lines: LineCounter
}

interface Place {
  readonly text: Text
  readonly keyOffset: number
  readonly valueOffset: number
  readonly fromEnvironment: boolean
  /** Text with variables and without quotes. */
  readonly plain: boolean
}

/** Reads one file; afterwards tells where in it each value stands. */
export class ConfigDocument {
  readonly file: string
  /** Messages so far, in the order in which they were found. */
  readonly messages: LintMessage[] = []
  /** Plain values without prototypes; `undefined` when the text is not one YAML document. */
  readonly value: unknown

  readonly #text: Text
  readonly #places = new Map<string, Place>()
  readonly #env: Environment
  readonly #faulty = new Set<string>()
  #nodes = 0

  constructor(text: string, file: string, env: Environment) {
    this.file = file
    this.#text = { file, lines: new LineCounter() }
    this.#env = env
    this.value = this.#read(text)
  }

  /** Notes a problem at the value of `path`, or at the nearest value above it that is there. */
  report(path: Path, problem: Problem): void {
    if ((problem.severity ?? 'error') === 'error') this.#faulty.add(key(path))
    let at = path
    let place = this.#places.get(key(at))
    const exact = place !== undefined
    while (place === undefined && at.length > 0) {
      at = at.slice(0, -1)
      place = this.#places.get(key(at))
    }
    // A missing key is shown at the key of the block that lacks it.
    const atKey = problem.atKey === true || !exact
    const offset = atKey ? (place?.keyOffset ?? 0) : (place?.valueOffset ?? 0)
    this.#note(offset, problem, place?.text)
  }

  /** @returns where the value of `path` stands, or the nearest value above it that is there */
  placeAt(path: Path): FilePlace {
    let at = path
    while (at.length > 0 && !this.#places.has(key(at))) at = at.slice(0, -1)
    const place = this.#places.get(key(at))
    return placeIn(place?.text ?? this.#text, place?.valueOffset ?? 0)
  }

  /**
   * Takes a value of another file over, which keeps its places there.
   *
   * @param to  in a block or list of ours; what is there is replaced
   */
  take(other: ConfigDocument, from: Path, to: Path): void {
    const target = this.#containerAt(to.slice(0, -1))
    const value = valueAt(other.value, from)
    if (target === null || value === undefined) return
    target[String(to.at(-1))] = value
    for (const [at, place] of other.#places) {
      const path = JSON.parse(at) as (string | number)[]
      if (from.every((step, index) => step === path[index])) {
        this.#places.set(key([...to, ...path.slice(from.length)]), place)
      }
    }
  }

  /** Forgets a value, and everything that stands in it. */
  remove(path: Path): void {
    const parent = this.#containerAt(path.slice(0, -1))
    if (parent === null) return
    delete parent[String(path.at(-1))]
    for (const at of this.#places.keys()) {
      const there = JSON.parse(at) as (string | number)[]
      if (path.every((step, index) => step === there[index])) this.#places.delete(at)
    }
  }

  #containerAt(path: Path): Record<string, unknown> | null {
    const found = valueAt(this.value, path)
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : null
  }

  /** Makes `isFaulty` true for a block whose one problem has been reported elsewhere. */
  silence(path: Path): void {
    this.#faulty.add(key(path))
  }

  /** True when an error at `path`, or at a block that holds it, has been noted. */
  isFaulty(path: Path): boolean {
    return path.some((_, index) => this.#faulty.has(key(path.slice(0, index + 1))))
  }

  /** True when the text could not be read as a whole, so that nothing said of it is certain. */
  hasSyntaxError(): boolean {
    return this.messages.some((message) => message.error === 'CONFIG_FILE')
  }

  /** True when an error inside the block at `path` has been noted. */
  hasFaultBelow(path: Path): boolean {
    const prefix = `${key(path).slice(0, -1)},`
    return [...this.#faulty].some((faulty) => faulty.startsWith(prefix))
  }

  has(path: Path): boolean {
    return this.#places.has(key(path))
  }

  /** True when a part of the text at `path` came from an environment variable. */
  fromEnvironment(path: Path): boolean {
    return this.#places.get(key(path))?.fromEnvironment ?? false
  }

  /**
   * `port: ${PORT}` is a number where a number is wanted, as if it stood there; a password of
   * digits stays text. Asked only for values that the schema refused as text.
   *
   * @returns true when the value was changed
   */
  retype(path: Path): boolean {
    const name = path.at(-1)
    if (name === undefined || this.#places.get(key(path))?.plain !== true) return false
    let parent = this.value as Record<string | number, unknown>
    for (const step of path.slice(0, -1)) parent = parent[step] as typeof parent
    const text = parent[name]
    if (typeof text !== 'string' || !/^(?:-?\d{1,15}|true|false)$/.test(text)) return false
    parent[name] = text === 'true' ? true : text === 'false' ? false : Number(text)
    return true
  }

  /**
   * Moves a value to where the schema has it; messages still point to where it stands in the file.
   *
   * @returns false when there is a value already, or the blocks above are none: nothing is moved
   */
  move(from: Path, to: Path): boolean {
    const source = this.#blockAt(from.slice(0, -1), false)
    const target = this.#blockAt(to.slice(0, -1), true)
    const [name, next] = [String(from.at(-1)), String(to.at(-1))]
    if (source === null || target === null || next in target) return false
    target[next] = source[name]
    delete source[name]
    const inside = `${key(from).slice(0, -1)},`
    for (const [at, place] of this.#places) {
      if (at !== key(from) && !at.startsWith(inside)) continue
      const path = JSON.parse(at) as (string | number)[]
      this.#places.delete(at)
      this.#places.set(key([...to, ...path.slice(from.length)]), place)
    }
    return true
  }

  /** @param make  blocks that are not there are added; `null`: something else is there */
  #blockAt(path: Path, make: boolean): Record<string, unknown> | null {
    let at = this.value as Record<string, unknown>
    for (const step of path) {
      if (make && at[step] === undefined) at[step] = Object.create(null)
      const inner = at[step]
      if (typeof inner !== 'object' || inner === null) return null
      at = inner as Record<string, unknown>
    }
    return Array.isArray(at) ? null : at
  }

  #note(offset: number, problem: Problem, text = this.#text): void {
    this.messages.push(lintMessage(placeIn(text, offset), problem))
  }

  #read(text: string): unknown {
    if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
      this.#note(0, { error: 'CONFIG_FILE', message: 'the file is larger than 1 MiB' })
      return undefined
    }
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      lineCounter: this.#text.lines,
      prettyErrors: false,
      uniqueKeys: true,
      stringKeys: false,
    })
    for (const fault of firstOf([...document.errors, ...document.warnings])) {
      this.#noteSyntax(text, fault)
    }
    if (this.hasSyntaxError()) return undefined
    if (document.contents === null) {
      this.#note(0, { error: 'CONFIG_FILE', message: 'the file is empty' })
      return undefined
    }
    this.#remember([], 0, 0)
    return this.#convert(document.contents, [], document, 0)
  }

  #noteSyntax(text: string, fault: YAMLError): void {
    const offset = fault.pos[0]
    if (fault.code === 'DUPLICATE_KEY') {
      const name = /^["']?([^"':\s]*)/.exec(text.slice(offset, offset + 200))?.[1] ?? ''
      const message = `key "${name}" stands twice in the same block`
      this.#note(offset, { error: 'CONFIG_UNKNOWN_KEY', message })
      return
    }
    if (fault.code === 'MULTIPLE_DOCS') {
      const message = 'the file has several documents, but a pipeline is one'
      this.#note(offset, { error: 'CONFIG_FILE', message })
      return
    }
    const [first = 'the text is not YAML'] = fault.message.split('\n')
    const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1).split('\n', 1)[0] ?? ''
    // `[ ${A} ]` is a map in a list to YAML.
    const quotes = line.includes('${') ? '; put quotes around text with ${...}' : ''
    const sentence = first.charAt(0).toLowerCase() + first.slice(1).replace(/[.:]$/, '')
    const message = sentence + quotes
    this.#note(offset, { error: 'CONFIG_FILE', message })
  }

  #convert(node: unknown, path: Path, document: Document, depth: number): unknown {
    if (++this.#nodes > NODES_MAX || depth > DEPTH_MAX) {
      const message = 'the file has too many values, or aliases that contain themselves'
      if (this.#nodes < Infinity) this.report(path, { error: 'CONFIG_FILE', message })
      this.#nodes = Infinity
      return undefined
    }
    if (node instanceof Alias) {
      const target = node.resolve(document)
      if (target !== undefined) return this.#convert(target, path, document, depth + 1)
      const message = `the alias *${node.source} has no anchor &${node.source} above it`
      this.report(path, { error: 'CONFIG_FILE', message })
      return undefined
    }
    if (isMap(node)) return this.#convertMap(node, path, document, depth)
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const inner = [...path, index]
        this.#remember(inner, offsetOf(item), offsetOf(item))
        return this.#convert(item, inner, document, depth + 1)
      })
    }
    return isScalar(node) ? this.#convertScalar(node, path) : null
  }

  #convertMap(map: YAMLMap, path: Path, document: Document, depth: number): unknown {
    // No prototype: a key `__proto__` is a key like any other here, and an unknown one.
    const record = Object.create(null) as Record<string, unknown>
    for (const pair of map.items) {
      const name = nameOf(pair.key)
      if (name === null) {
        const message = `${formatPath(path)} has a key that is not text`
        this.#note(offsetOf(pair.key), { error: 'CONFIG_UNKNOWN_KEY', message })
        continue
      }
      // The first of two equal keys counts; the second has been reported, or is not spelled alike.
      if (name in record) {
        if (this.messages.some(({ error }) => error === 'CONFIG_UNKNOWN_KEY')) continue
        const message = `key "${name}" stands twice in the same block`
        this.#note(offsetOf(pair.key), { error: 'CONFIG_UNKNOWN_KEY', message })
        continue
      }
      const inner = [...path, name]
      const keyOffset = offsetOf(pair.key)
      this.#remember(inner, keyOffset, pair.value === null ? keyOffset : offsetOf(pair.value))
      record[name] = this.#convert(pair.value, inner, document, depth + 1)
    }
    return record
  }

  #convertScalar(node: Scalar, path: Path): unknown {
    const source = node.source ?? ''
    if (typeof node.value !== 'string' || !source.includes('$')) return node.value
    const expansion = expandVariables(node.value, this.#env)
    if (expansion.fault !== null) {
      this.report(path, { error: 'CONFIG_VARIABLE', message: expansion.fault })
      return undefined
    }
    const place = this.#places.get(key(path))
    const { text, fromEnvironment } = expansion
    const plain = node.type === 'PLAIN'
    if (place !== undefined) this.#places.set(key(path), { ...place, fromEnvironment, plain })
    return text
  }

  #remember(path: Path, keyOffset: number, valueOffset: number): void {
    const text = this.#text
    const place = { text, keyOffset, valueOffset, fromEnvironment: false, plain: false }
    this.#places.set(key(path), place)
  }
}

/** Behind the first place that cannot be read, the parser guesses. */
function firstOf(faults: readonly YAMLError[]): readonly YAMLError[] {
  const inOrder = faults.toSorted((left, right) => left.pos[0] - right.pos[0])
  const first = inOrder.findIndex(({ code }) => code !== 'DUPLICATE_KEY')
  return first < 0 ? inOrder : inOrder.slice(0, first + 1)
}

function placeIn({ file, lines }: Text, offset: number): FilePlace {
  const { line, col } = lines.linePos(offset)
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const step of path) {
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[step] : undefined
  }
  return at
}

function key(path: Path): string {
  return JSON.stringify(path)
}

function offsetOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0
}

/** Numbers of partitions are keys without quotes. @returns `null`: the key is neither */
function nameOf(key: unknown): string | null {
  const value = isScalar(key) ? key.value : undefined
  if (typeof value === 'string') return value
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : null
}
