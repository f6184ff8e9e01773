// What is wrong with a pattern of names, said at its place in the file.

import type { ConfigDocument } from './document.ts'
import { compilePattern, type NameMatcher, PatternFault } from './glob.ts'
import { formatPath, type Path } from './problems.ts'

/** @returns `null`: it is no pattern, which has been reported */
export function checkPattern(
  pattern: string,
  shape: Parameters<typeof compilePattern>[1],
  path: Path,
  document: ConfigDocument,
): NameMatcher | null {
  const compiled = compilePattern(pattern, shape)
  if (!(compiled instanceof PatternFault)) return compiled
  const message = `${formatPath(path)}: "${pattern}" ${compiled.message}`
  document.report(path, { error: 'CONFIG_VALUE', message, suggestion: compiled.suggestion })
  return null
}
