// What bad input gets: one typed error with a cause and the command or SQL that repairs it, the
// exit code that the manual promises, and never a stack trace.
import { readFile, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { parse, stringify } from 'yaml'
import { errorCodes } from '../../runtime/base/error-codes.ts'
import type { ErrorName } from '../../runtime/base/errors.ts'
import { metadataLocations } from './lake.ts'
import { endOf, type Exit, type Pipeline, withoutProgress } from './pipeline.ts'

/** Longer than the 30 seconds that a start waits for the lock of another instance. */
const REFUSAL_MS = 60_000

/** @param words  all must stand in the message, its facts or its repair */
export function expectRefusal(exit: Exit, error: ErrorName, words: readonly string[] = []): void {
  const { code, exit: exitCode } = errorCodes[error]
  const shown = withoutProgress(exit.stderr + exit.stdout)
  const problems = [
    ...(exit.code === exitCode
      ? []
      : [`it ended with ${exit.code ?? exit.signal}, not ${exitCode}`]),
    ...[code, ...words].filter((word) => !shown.includes(word)).map((word) => `no "${word}"`),
    ...(/fix {4}: \S|"hint": ?"\S/.test(shown) ? [] : ['no way to repair it']),
    ...(/^\s+at .*(\.ts|node:)/m.test(shown) ? ['a stack'] : []),
  ]
  expect({ problems, shown: problems.length > 0 ? shown : '' }).toEqual({ problems: [], shown: '' })
}

/** Starts the pipeline and expects it to end by itself with this error, the lake as it was. */
export async function expectRefused(
  pipeline: Pipeline,
  error: ErrorName,
  words: readonly string[] = [],
  args: readonly string[] = [],
): Promise<void> {
  const before = metadataLocations(pipeline)
  const exit = await endOf(pipeline.spawn(['run', pipeline.file, ...args]), REFUSAL_MS)
  expectRefusal(exit, error, words)
  expect(metadataLocations(pipeline)).toEqual(before)
}

type Document = Record<string, Record<string, unknown>>

/** Rewrites the pipeline's file. */
export async function edit(
  pipeline: Pipeline,
  change: (document: Document) => void,
): Promise<void> {
  const document = parse(await readFile(pipeline.file, 'utf8')) as Document
  change(document)
  await writeFile(pipeline.file, stringify(document))
}
