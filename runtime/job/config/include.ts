// `include` of a pipeline file: files that hold its logic, so that several pipelines share it. What
// they say stands behind what the file itself says, in the order in which they are named, and keeps
// its own places. A path begins at the folder of the file that names it.

import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve as resolvePath } from 'node:path'
import { z } from 'zod'
import { PipelineError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest.ts'
import { ConfigDocument } from './document.ts'
import type { Path } from './problems.ts'
import type { Environment } from './variables.ts'

const INCLUDE = 'a list of files such as [./shop.logic.yaml]'
const FILES_MAX = 100

export const includeSchema = z
  .array(z.string('the path of a file').min(1, 'the path of a file'), INCLUDE)
  .prefault([])
  .describe('Files that hold `transform`, `route`, `partition_ready` and `tests` as well.')

/** Blocks that such a file may hold. */
const LISTS: readonly string[] = ['transform', 'route', 'tests']
const BLOCKS: readonly string[] = ['partition_ready']

/**
 * Brings what the file includes into `document.value`, and takes `include` out of it. Reports what
 * is wrong.
 *
 * @param path  of the pipeline file, absolute
 */
export function readIncludes(document: ConfigDocument, path: string, env: Environment): void {
  const root = rootOf(document)
  if (root === null || root['include'] === undefined) return
  new Including(document, path, env).follow(document, path, [path])
  document.remove(['include'])
}

/** @throws PipelineError CONFIG_FILE */
export function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (cause) {
    const reason = cause instanceof TypeError ? 'is not UTF-8 text' : 'cannot be read'
    throw new PipelineError('CONFIG_FILE', `the pipeline file ${path} ${reason}`, { cause })
  }
}

/**
 * Puts the `tests` of another file in the place of those of the pipeline file. Reports what is wrong.
 *
 * @param path  of that file, as the caller named it
 * @throws PipelineError CONFIG_FILE
 */
export function readTestFile(document: ConfigDocument, path: string, env: Environment): void {
  const tests = new ConfigDocument(readText(path), path, env)
  const root = rootOf(tests)
  for (const name of Object.keys(root ?? {})) {
    if (TEST_FILE_KEYS.includes(name)) continue
    const message = `"${printable(name)}" has no place in a file of tests`
    const suggestion = nearestName(name, TEST_FILE_KEYS)
    tests.report([name], { error: 'CONFIG_UNKNOWN_KEY', message, suggestion, atKey: true })
  }
  document.remove(['tests'])
  document.take(tests, ['tests'], ['tests'])
  document.messages.push(...tests.messages)
}

/** @returns the pipeline file that a file of tests is about, as it says or by its own name */
export function testedFile(path: string, env: Environment): string {
  const named = rootOf(new ConfigDocument(readText(path), path, env))?.['pipeline']
  if (typeof named === 'string') return join(dirname(path), named)
  return path.replace(TEST_FILE, '.$1')
}

const TEST_FILE = /\.test\.(ya?ml)$/
const TEST_FILE_KEYS: readonly string[] = ['version', 'pipeline', 'tests']

export function isTestFile(path: string): boolean {
  return TEST_FILE.test(path)
}

function printable(name: string): string {
  return name.replace(/\p{Cc}/gu, '?')
}

class Including {
  private readonly document: ConfigDocument
  private readonly env: Environment
  private readonly folder: string
  private readonly seen: Set<string>

  constructor(document: ConfigDocument, path: string, env: Environment) {
    this.document = document
    this.env = env
    this.folder = dirname(path)
    this.seen = new Set([path])
  }

  /** @param chain  absolute paths from the pipeline file to `path`, both in it */
  follow(from: ConfigDocument, path: string, chain: readonly string[]): void {
    const written = rootOf(from)?.['include']
    // What is no list, the schema says; in an included file there is no schema that would.
    if (!Array.isArray(written)) {
      const message = `include must be ${INCLUDE}`
      if (written !== undefined) this.report(from, ['include'], message)
      return
    }
    for (const [index, name] of written.entries()) {
      const at = ['include', index]
      if (typeof name !== 'string' || name === '') {
        this.report(from, at, `include[${index}] must be the path of a file`)
        continue
      }
      const next = resolvePath(dirname(path), name)
      const fault = this.faultOf(next, name, chain)
      if (fault !== null) this.report(from, at, fault)
      else this.read(from, at, next, chain)
    }
  }

  private faultOf(path: string, name: string, chain: readonly string[]): string | null {
    if (chain.includes(path)) return `include: ${name} includes itself`
    if (this.seen.has(path)) return `include: ${name} is included twice`
    this.seen.add(path)
    return this.seen.size > FILES_MAX ? `include: more than ${FILES_MAX} files` : null
  }

  private read(from: ConfigDocument, at: Path, path: string, chain: readonly string[]): void {
    let text: string
    try {
      text = readText(path)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      this.report(from, at, `include: ${path} cannot be read`)
      return
    }
    const shown = this.shownPath(path)
    const included = new ConfigDocument(text, shown, this.env)
    const root = rootOf(included)
    if (root !== null) this.requireKeys(included, root)
    if (included.value !== undefined && root === null) {
      const message = `${shown} must hold blocks such as \`transform\``
      included.report([], { error: 'CONFIG_VALUE', message })
    }
    if (root !== null) {
      this.merge(included, root)
      this.follow(included, path, [...chain, path])
    }
    this.document.messages.push(...included.messages.splice(0))
  }

  /** Relative to the folder in which the pipeline file was named, as that was. */
  private shownPath(path: string): string {
    const { file } = this.document
    return file.startsWith('/')
      ? path
      : `${dirname(file)}/${relative(this.folder, path)}`.replace(/^\.\//, '')
  }

  private requireKeys(included: ConfigDocument, root: Record<string, unknown>): void {
    const known = [...LISTS, ...BLOCKS, 'include']
    for (const name of Object.keys(root)) {
      if (known.includes(name)) continue
      if (name === 'version' && root[name] === 1) continue
      const message =
        `"${printable(name)}" has no place in an included file: ` +
        `it holds ${known.slice(0, -1).join(', ')} and include`
      const suggestion = nearestName(name, known)
      included.report([name], { error: 'CONFIG_UNKNOWN_KEY', message, suggestion, atKey: true })
    }
  }

  private merge(included: ConfigDocument, root: Record<string, unknown>): void {
    for (const name of LISTS) {
      const theirs = root[name]
      if (theirs === undefined) continue
      const ours = this.ownBlock(name, [])
      if (!Array.isArray(theirs)) {
        included.report([name], {
          error: 'CONFIG_VALUE',
          message: `${name} must be a list of blocks`,
        })
      } else if (Array.isArray(ours)) {
        const start = ours.length
        for (const index of theirs.keys()) {
          this.document.take(included, [name, index], [name, start + index])
        }
      }
    }
    for (const name of BLOCKS) this.mergeBlock(included, name, root[name])
  }

  private mergeBlock(included: ConfigDocument, name: string, theirs: unknown): void {
    if (theirs === undefined) return
    const ours = this.ownBlock(name, Object.create(null))
    if (typeof theirs !== 'object' || theirs === null || Array.isArray(theirs)) {
      included.report([name], { error: 'CONFIG_VALUE', message: `${name} must be a block of keys` })
      return
    }
    if (typeof ours !== 'object' || ours === null) return
    for (const inner of Object.keys(theirs)) {
      if (inner in ours) {
        const message = `${name} has "${printable(inner)}" in another file already`
        included.report([name, inner], { error: 'CONFIG_VALUE', message, atKey: true })
      } else this.document.take(included, [name, inner], [name, inner])
    }
  }

  /** @returns what the pipeline file has under `name`, which is `empty` if it had nothing */
  private ownBlock(name: string, empty: unknown): unknown {
    const root = rootOf(this.document)
    if (root === null) return null
    root[name] ??= empty
    return root[name]
  }

  private report(document: ConfigDocument, path: Path, message: string): void {
    document.report(path, { error: 'CONFIG_FILE', message })
  }
}

function rootOf({ value }: ConfigDocument): Record<string, unknown> | null {
  const isBlock = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isBlock ? (value as Record<string, unknown>) : null
}
