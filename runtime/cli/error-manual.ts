// The manual of errors as a document: docs/errors.md is this text, and a test holds it to that.

import { errorCodes } from '../base/error-codes.ts'
import type { ErrorName } from '../base/errors.ts'

/** Chapters by the first digits of the number. */
const CHAPTERS: readonly (readonly [string, string])[] = [
  ['1', 'Configuration and lint'],
  ['2', 'Connection and privileges'],
  ['3', 'Source log and positions'],
  ['4', 'Rows, state and trace'],
  ['5', 'Catalog, table and object store'],
  ['6', 'Kafka'],
  ['9', 'Our own mistakes'],
]

const HEAD = `# Errors

Every error that a user can meet, from the table that the program itself uses
(\`runtime/base/errors.ts\`); \`millrace explain CODE\` prints the same. The exit code is that of the
process when the error ends it. \`retry\`: Millrace tries again by itself first. \`operator\`: somebody
must act. \`bug\`: report it.

This file is printed by \`millrace explain --markdown\`.
`

/** @returns Markdown, with a line feed at its end */
export function errorManual(): string {
  const names = (Object.keys(errorCodes) as ErrorName[]).sort((left, right) =>
    errorCodes[left].code < errorCodes[right].code ? -1 : 1,
  )
  const chapters = CHAPTERS.flatMap(([digit, title]) => {
    const entries = names.filter((name) => errorCodes[name].code.startsWith(`MR-${digit}`))
    return entries.length === 0 ? [] : [`\n## ${title}\n`, ...entries.map(formatEntry)]
  })
  return [HEAD, ...chapters].join('')
}

function formatEntry(name: ErrorName): string {
  const { code, meaning, action, exit, hint } = errorCodes[name]
  return `\n### ${code} ${name}\n\n${meaning}\n\nAction: ${action}. Exit code: ${exit}. ${hint}\n`
}
