// Reads a pipeline file: `loadPipeline` for those who run it, `lintFile` for those who only want to
// know what is wrong with it. Both go the same way, so what lint passes, run takes.

import { dirname, resolve as resolvePath } from 'node:path'
import { PipelineError } from '../../base/errors.ts'
import { readAliases } from './aliases.ts'
import { ConfigDocument } from './document.ts'
import { readIncludes, readTestFile, readText } from './include.ts'
import { reportIssues } from './issues.ts'
import { reportLater } from './later.ts'
import type { PipelineConfig } from './pipeline-config.ts'
import { hasSinks, interpretSinks, type Resolved } from './several-sinks.ts'
import { formatLintMessage, lintMessage } from './problems.ts'
import type { FilePlace, LintMessage } from './problems.ts'
import { resolvePipeline } from './resolve.ts'
import { pipelineSchema } from './schema.ts'
import type { Environment } from './variables.ts'

/** How secrets that are not there are taken: only a run needs them. */
export interface LoadOptions {
  readonly missingSecret?: 'error' | 'warning'
  /** A file whose `tests` take the place of those of the pipeline file. */
  readonly testFile?: string
}

interface Outcome {
  /** By line. */
  readonly messages: readonly LintMessage[]
  readonly config: PipelineConfig | null
}

/**
 * @param path  of the pipeline file; relative paths in it begin at its folder
 * @param env   for `${NAME}` and `from_env`
 * @throws PipelineError CONFIG_FILE, CONFIG_UNKNOWN_KEY, CONFIG_VALUE, CONFIG_VARIABLE,
 *         CONFIG_UNSUPPORTED: the first of the file, with the others as detail
 */
export function loadPipeline(
  path: string,
  env: Environment = process.env,
  { missingSecret = 'error', testFile }: LoadOptions = {},
): PipelineConfig {
  const { messages, config } = read(path, env, missingSecret, testFile)
  if (config !== null) return config
  const [first, ...others] = messages.filter((message) => message.severity === 'error')
  if (first === undefined) throw new PipelineError('INTERNAL', `no configuration from ${path}`)
  const { file, line, column, message, suggestion } = first
  const place = line === 0 ? file : `${file}:${line}:${column}`
  const hint = suggestion === null ? '' : ` (did you mean "${suggestion}"?)`
  const detail = others.map(formatLintMessage).join('\n')
  throw new PipelineError(
    first.error,
    `${place} ${message}${hint}`,
    detail === '' ? {} : { detail },
  )
}

/**
 * @returns everything that is wrong with a pipeline file, by line; [] when nothing is. A missing
 *          secret is a warning: files are linted where nobody has the secrets.
 */
export function lintFile(path: string, env: Environment = process.env): readonly LintMessage[] {
  try {
    return read(path, env, 'warning').messages
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return [lintMessage({ file: path, line: 1, column: 1 }, error)]
  }
}

function read(
  path: string,
  env: Environment,
  missingSecret: 'error' | 'warning',
  testFile?: string,
): Outcome {
  const text = readText(path)
  const open = (): ConfigDocument => {
    const opened = new ConfigDocument(text, path, env)
    if (testFile !== undefined && opened.value !== undefined) readTestFile(opened, testFile, env)
    return opened
  }
  const document = open()
  const interpretOf = (from: ConfigDocument, sinks: readonly string[] | null): Resolved | null =>
    interpret(from, resolvePath(path), env, missingSecret, sinks)
  const config = hasSinks(document)
    ? interpretSinks(document, { open, interpret: interpretOf })
    : interpretOf(document, null)
  const messages = document.messages
    .slice()
    .sort((left, right) => compareFiles(left, right, path) || comparePlaces(left, right))
  const failed = messages.some((message) => message.severity === 'error')
  return { messages, config: config === null || failed ? null : { ...config, warnings: messages } }
}

/** The pipeline file first, then those that it includes. */
function compareFiles(left: FilePlace, right: FilePlace, first: string): number {
  if (left.file === right.file) return 0
  if (left.file === first || right.file === first) return left.file === first ? -1 : 1
  return left.file < right.file ? -1 : 1
}

function comparePlaces(left: FilePlace, right: FilePlace): number {
  return left.line - right.line || left.column - right.column
}

function interpret(
  document: ConfigDocument,
  file: string,
  env: Environment,
  missingSecret: 'error' | 'warning',
  sinks: readonly string[] | null,
): Resolved | null {
  if (document.value === undefined || document.hasSyntaxError()) return null
  readIncludes(document, file, env)
  if (document.hasSyntaxError()) return null
  readAliases(document)
  reportLater(document)
  let parsed = pipelineSchema.safeParse(document.value)
  const wrong = parsed.success ? [] : parsed.error.issues
  const retyped = wrong.filter((issue) => document.retype(issue.path as (string | number)[]))
  if (retyped.length > 0) parsed = pipelineSchema.safeParse(document.value)
  if (!parsed.success) {
    reportIssues(document, parsed.error.issues)
    return null
  }
  const context = { document, env, folder: dirname(file), missingSecret }
  return resolvePipeline(parsed.data, file, context, sinks)
}
