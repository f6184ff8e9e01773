// Names by pattern: `shop.orders_*` with dots between the parts, or a regular expression between
// slashes. Case is exact, as the databases' own catalogs have it. Globs match in time linear in the
// name for each star; no pattern can hang the process as a regular expression could.

import { translateFlink } from './flink-patterns.ts'

/** Tests the parts of a name, as many as the pattern was compiled for. */
export type NameMatcher = (parts: readonly string[]) => boolean

/** What is wrong with a pattern, as the end of a sentence that begins with the pattern. */
export class PatternFault {
  readonly message: string
  readonly suggestion: string | null

  constructor(message: string, suggestion: string | null = null) {
    this.message = message
    this.suggestion = suggestion
  }
}

const STAR = -1
const ANY = -2

/** Code points, STAR or ANY. */
type Glob = readonly number[]

/**
 * @param pattern  `namespace.name` with `*` (any text), `?` (one character) and `\` before a
 *                 character that stands for itself; or `/regular expression/` for the whole name
 * @param shape    names of the parts, for messages: ['schema', 'table']; in a name of one part a dot
 *                 stands for itself
 */
export function compilePattern(
  pattern: string,
  shape: readonly string[],
): NameMatcher | PatternFault {
  if (pattern.startsWith('/')) return compileRegex(pattern)
  const parts = splitGlob(pattern, shape.length > 1)
  if (parts instanceof PatternFault) return parts
  if (parts.length !== shape.length || parts.some((part) => part.length === 0)) {
    return new PatternFault(
      `is not of the form ${shape.join('.')}`,
      completed(pattern, parts, shape),
    )
  }
  return (names) =>
    parts.every((part, index) => matchGlob(part, Array.from(names[index] ?? '', codePoint)))
}

/**
 * What the stars of a glob, or the groups of an expression, have matched, in order. A star takes as
 * little as it can.
 *
 * @param pattern  one that `compilePattern` takes, for as many parts
 * @returns `null` when the pattern does not match the name
 */
export function captureName(pattern: string, names: readonly string[]): readonly string[] | null {
  if (pattern.startsWith('/')) {
    const found = new RegExp(`^(?:${pattern.slice(1, -1)})$`, 'u').exec(names.join('.'))
    return found === null ? null : found.slice(1).map((text) => (text as string | undefined) ?? '')
  }
  const parts = splitGlob(pattern, names.length > 1)
  if (parts instanceof PatternFault || parts.length !== names.length) return null
  const captured: string[] = []
  for (const [index, part] of parts.entries()) {
    const source = part.map((code) =>
      code === STAR ? '(.*?)' : code === ANY ? '.' : `\\u{${code.toString(16)}}`,
    )
    const found = new RegExp(`^${source.join('')}$`, 'su').exec(names[index] ?? '')
    if (found === null) return null
    captured.push(...found.slice(1))
  }
  return captured
}

/**
 * @param dotted  a dot stands between two parts
 * @returns the parts of the one name that a pattern stands for; `null`: it may match several
 */
export function literalName(pattern: string, dotted = true): readonly string[] | null {
  const parts = pattern.startsWith('/') ? null : splitGlob(pattern, dotted)
  if (parts === null || parts instanceof PatternFault) return null
  if (parts.some((part) => part.some((code) => code < 0))) return null
  return parts.map((part) => String.fromCodePoint(...part))
}

function compileRegex(pattern: string): NameMatcher | PatternFault {
  if (pattern.length < 3 || !pattern.endsWith('/')) {
    return new PatternFault('begins a regular expression that does not end with a slash')
  }
  let regex: RegExp
  try {
    // The whole name must match: `/shop.orders/` must not take `shop.orders_archive` along.
    regex = new RegExp(`^(?:${pattern.slice(1, -1)})$`, 'u')
  } catch {
    return new PatternFault('is not a regular expression that JavaScript can read')
  }
  return (names) => regex.test(names.join('.'))
}

/** @returns the expression that the pattern most likely stands for; `null`: it is none */
function asRegex(pattern: string): string | null {
  const expression = translateFlink(pattern)
  return compileRegex(expression) instanceof PatternFault ? null : expression
}

/** Wildcards of other tools: to take them as letters would match nothing, silently. */
const FOREIGN = '[]{}|()'

/** @param dotted  false: the name has one part, and a dot stands for itself */
function splitGlob(pattern: string, dotted: boolean): Glob[] | PatternFault {
  const parts: number[][] = [[]]
  const characters = Array.from(pattern)
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? ''
    const part = parts.at(-1) ?? []
    if (character === '\\') {
      const escaped = characters[++index]
      if (escaped === undefined) return new PatternFault('ends with a backslash')
      if (dotted && escaped === '.' && part.length === 0) {
        return new PatternFault('is written as Flink CDC does', translateFlink(pattern))
      }
      part.push(codePoint(escaped))
    } else if (dotted && character === '.') parts.push([])
    else if (character === '*') part.push(STAR)
    else if (character === '?') part.push(ANY)
    else if (FOREIGN.includes(character)) {
      const fault = `has ${character}, which needs a regular expression between slashes`
      return new PatternFault(fault, asRegex(pattern))
    } else part.push(codePoint(character))
  }
  return parts
}

function completed(
  pattern: string,
  parts: readonly Glob[],
  shape: readonly string[],
): string | null {
  // A database before the schema, as other tools have it: a pipeline reads one.
  const rest = pattern.slice(pattern.indexOf('.') + 1)
  if (parts.length === shape.length + 1 && !pattern.includes('\\')) return rest
  if (parts.length !== 1 || parts[0]?.length !== 1 || parts[0][0] !== STAR) return null
  return shape.map(() => '*').join('.')
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0
}

/** Greedy match with one place to go back to, the last star: O(pattern x name) at the worst. */
function matchGlob(glob: Glob, name: readonly number[]): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < name.length;) {
    const wanted = glob[at]
    if (wanted === STAR) {
      star = at++
      resume = index
    } else if (wanted === ANY || (wanted !== undefined && wanted === name[index])) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume
    } else return false
  }
  while (glob[at] === STAR) at++
  return at === glob.length
}
