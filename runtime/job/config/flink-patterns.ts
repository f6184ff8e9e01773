// Table patterns as Flink CDC writes them: a dot stands between the parts, each part is a regular
// expression, and a dot of the expression itself is escaped. Ours are globs, or one expression of
// the whole name between slashes.

/** `a_\.*` of theirs is `a_*` of ours. */
const ANYTHING = '\\.*'
/** What a name has that is no expression. */
const PLAIN = /^[\p{L}\p{N}_$ -]*$/u

/**
 * True for a pattern that begins a part with an escaped dot, as no name of ours does. Elsewhere an
 * escaped dot is a dot in a name.
 */
export function isSurelyFlink(pattern: string): boolean {
  return !pattern.startsWith('/') && /(?:^|(?<!\\)\.)\\\./.test(pattern)
}

/** @returns the patterns of a list that Flink CDC writes as one text */
export function splitFlink(text: string): string[] {
  const patterns: string[] = []
  let depth = 0
  let pattern = ''
  for (const character of text) {
    if (character === '[' || character === '{' || character === '(') depth++
    if (character === ']' || character === '}' || character === ')') depth--
    if (character === ',' && depth <= 0) {
      patterns.push(pattern.trim())
      pattern = ''
    } else pattern += character
  }
  return [...patterns, pattern.trim()].filter((one) => one !== '')
}

/** @returns the same pattern as we write it: a glob where one says it, else an expression */
export function translateFlink(pattern: string): string {
  const parts = pattern.split(/(?<!\\)\./)
  const globs = parts.map((part) => part.replaceAll(ANYTHING, '*'))
  if (globs.every((glob) => PLAIN.test(glob.replaceAll('*', '')))) return globs.join('.')
  const expressions = parts.map((part) => part.replaceAll('\\.', '.'))
  return `/${expressions.join('\\.')}/`
}
