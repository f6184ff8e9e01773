// From zod's findings to ours: one message for each place, in words, with the nearest known name.

import type { z } from 'zod'
import type { ConfigDocument } from './document.ts'
import { nearestName } from '../../base/nearest.ts'
import { formatPath, type Path } from './problems.ts'
import { pipelineJsonSchema } from './schema.ts'

type Issue = z.core.$ZodIssue

/** Reports each issue at its place; what stands in a block already reported is left out. */
export function reportIssues(document: ConfigDocument, issues: readonly Issue[]): void {
  for (const issue of issues) reportIssue(document, issue, [])
}

function reportIssue(document: ConfigDocument, issue: Issue, above: Path): void {
  const path: Path = [...above, ...issue.path.map((step) => step as string | number)]
  if (document.isFaulty(path)) return
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const name of issue.keys) reportUnknownKey(document, path, name)
      return
    case 'invalid_union':
      reportUnion(document, issue, path)
      return
    default:
      reportValue(document, path, wantedOf(issue), issue)
  }
}

function reportUnknownKey(document: ConfigDocument, path: Path, name: string): void {
  const inner = [...path, name]
  if (document.isFaulty(inner)) return
  const others = keyPaths().flatMap(({ path: at, of }) => (at === formatPath(inner) && of) || [])
  const [other] = others
  if (other !== undefined && !others.some((of) => isOf(of, document.value, path))) {
    const values = others.map((of) => of.value).join(' and ')
    const message = `${formatPath(inner)} is a key of ${other.key} ${values} only`
    document.report(inner, { error: 'CONFIG_UNKNOWN_KEY', message, atKey: true })
    return
  }
  const known = keysAt(document.value, path)
  const elsewhere = keyPaths().find((candidate) => candidate.path.split('.').at(-1) === name)
  if (elsewhere?.path === name) {
    const message = `key "${name}" stands at the top of the file, not in ${formatPath(path)}`
    document.report(inner, { error: 'CONFIG_UNKNOWN_KEY', message, atKey: true })
    return
  }
  const suggestion = nearestName(name, known) ?? elsewhere?.path ?? null
  const message = `unknown key "${printable(name)}" in ${formatPath(path)}`
  document.report(inner, { error: 'CONFIG_UNKNOWN_KEY', message, suggestion, atKey: true })
}

function reportUnion(
  document: ConfigDocument,
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
): void {
  if (document.hasFaultBelow(path)) return
  if (issue.errors.length === 0) {
    // A block told apart by its type: without a known one nothing else in it can be judged.
    const options = 'options' in issue ? (issue.options as readonly string[]) : []
    const value = valueAt(document.value, path)
    const suggestion = typeof value === 'string' ? nearestName(value, options) : null
    reportValue(document, path, `one of ${options.join(', ')}`, issue, suggestion)
    document.silence(path.slice(0, -1))
    return
  }
  if (reportChoice(document, path)) return
  // The branch that got furthest: its faults are inside the value, not the value's kind.
  const inside = issue.errors
    .filter((branch) => branch.every((inner) => !isWrongKind(inner)))
    .sort((left, right) => left.length - right.length)[0]
  const written = Object.keys(Object(valueAt(document.value, path)) as object)
  if (inside === undefined || written.length === 0) {
    reportValue(document, path, issue.message, issue)
    return
  }
  // A misspelled key is missing under its right name, too.
  const misspelled = inside.filter(({ code }) => code === 'unrecognized_keys')
  const faults = misspelled.length > 0 ? misspelled : inside
  for (const inner of faults) reportIssue(document, inner, path)
}

/** Keys of several branches, each of which would do alone. */
function reportChoice(document: ConfigDocument, path: Path): boolean {
  const value = valueAt(document.value, path)
  const names = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const blocks = blocksAt(document.value, path)
  const known = blocks.flat()
  if (names.length < 2 || !names.every((name) => known.includes(name))) return false
  // What is wrong lies deeper: one of them takes all of the keys.
  if (blocks.some((keys) => names.every((name) => keys.includes(name)))) return false
  const message = `${formatPath(path)} takes one of ${names.join(' and ')}, not both`
  document.report(path, { error: 'CONFIG_VALUE', message })
  return true
}

function isWrongKind(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_type'
}

function reportValue(
  document: ConfigDocument,
  path: Path,
  wanted: string,
  issue: Issue,
  suggestion: string | null = null,
): void {
  const name = formatPath(path)
  const value = valueAt(document.value, path)
  if (value === undefined || (value === null && !document.has(path))) {
    document.report(path, { error: 'CONFIG_VALUE', message: `${name} is missing: ${wanted}` })
    return
  }
  const choices = issue.code === 'invalid_value' ? issue.values : []
  if (typeof value === 'string' && choices.some((choice) => String(choice) === value)) {
    const message = `${name} must be ${wanted}, without quotes: it is a number, not text`
    document.report(path, { error: 'CONFIG_VALUE', message })
    return
  }
  const near =
    choices.length > 0 && typeof value === 'string'
      ? nearestName(value, choices.map(String))
      : suggestion
  const message = `${name} must be ${wanted}, not ${describe(value, path)}`
  document.report(path, { error: 'CONFIG_VALUE', message, suggestion: near })
}

/** The end of the sentence "<key> must be ...". Messages that schema.ts gave are such ends. */
function wantedOf(issue: Issue): string {
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String)
    return values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`
  }
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')) {
    return issue.expected === 'object' || issue.expected === 'record'
      ? 'a block of keys'
      : 'a value'
  }
  return issue.message
}

/** Secrets are not repeated, long texts are cut. */
function describe(value: unknown, path: Path): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a block of keys'
  if (path.includes('password') || path.includes('token') || path.at(-1) === 'uri') {
    return value === '' ? 'empty' : `a ${typeof value}`
  }
  return printable(JSON.stringify(value))
}

function printable(text: string): string {
  const cut = text.length > 60 ? `${text.slice(0, 60)}...` : text
  // Control characters would let a file write to the terminal of whoever lints it.
  return cut.replace(/[\p{Cc}\u2028\u2029]/gu, '?')
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const step of path) {
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[step] : undefined
  }
  return at
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly oneOf?: readonly JsonSchema[]
  readonly anyOf?: readonly JsonSchema[]
  readonly const?: unknown
}

let schemaOfFile: JsonSchema | null = null

/** Made once: it is asked for at every key of the file, and takes milliseconds to make. */
function fileSchema(): JsonSchema {
  schemaOfFile ??= pipelineJsonSchema() as JsonSchema
  return schemaOfFile
}

/** Keys that the block at `path` may have, given the `type` that it says. */
export function keysAt(value: unknown, path: Path): string[] {
  return blocksAt(value, path).flat()
}

/** The same, by each of the blocks that may stand there. */
function blocksAt(value: unknown, path: Path): string[][] {
  let schemas: JsonSchema[] = [fileSchema()]
  let at = value
  for (const step of [...path, null]) {
    schemas = schemas.flatMap(alternatives).filter((schema) => fits(schema, at))
    if (step === null) break
    schemas = schemas.flatMap((schema) =>
      typeof step === 'number' ? (schema.items ?? []) : (schema.properties?.[step] ?? []),
    )
    at = valueAt(at, [step])
  }
  return schemas.map((schema) => Object.keys(schema.properties ?? {}))
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const inner = schema.oneOf ?? schema.anyOf
  return inner === undefined ? [schema] : inner.flatMap(alternatives)
}

/** Keys that tell the blocks of a union apart. */
const DISCRIMINATORS = ['type', 'format', 'mechanism'] as const

interface Discriminator {
  readonly key: string
  readonly value: string
}

function discriminatorOf(schema: JsonSchema): Discriminator | null {
  for (const key of DISCRIMINATORS) {
    const value = schema.properties?.[key]?.const
    if (typeof value === 'string') return { key, value }
  }
  return null
}

function isOf({ key, value }: Discriminator, root: unknown, path: Path): boolean {
  return valueAt(root, [...path, key]) === value
}

function fits(schema: JsonSchema, value: unknown): boolean {
  const wanted = discriminatorOf(schema)
  return wanted === null || wanted.value === valueAt(value, [wanted.key])
}

interface KeyPath {
  readonly path: string
  /** What the innermost block that knows the key is told apart by; `null`: it is the only one. */
  readonly of: Discriminator | null
}

function keyPaths(): KeyPath[] {
  const paths: KeyPath[] = []
  const visit = (schema: JsonSchema, above: string): void => {
    for (const option of alternatives(schema)) {
      const of = discriminatorOf(option)
      for (const [name, inner] of Object.entries(option.properties ?? {})) {
        const path = above === '' ? name : `${above}.${name}`
        paths.push({ path, of })
        visit(inner, path)
      }
    }
  }
  visit(fileSchema(), '')
  return paths
}
