// `millrace test`: runs the tests of pipeline files, without any server.

import { errorCodes } from '../../base/error-codes.ts'
import { PipelineError } from '../../base/errors.ts'
import { isTestFile, testedFile } from '../../job/config/include.ts'
import { loadPipeline } from '../../job/config/load.ts'
import type { FilePlace } from '../../job/config/problems.ts'
import { type AddCommand, type CommandContext, print } from '../context.ts'
import { printable } from '../failure.ts'
import type { TestProblem, TestResult } from '../testing/run-tests.ts'

export const addTest: AddCommand = (program, context) => {
  program
    .command('test')
    .description('run the tests of pipeline files; connects to nothing')
    .argument('<files...>', 'pipeline files, or files of tests (*.test.yaml)')
    .action(async (files: string[], _options, command) => {
      const results: TestResult[] = []
      for (const file of files) results.push(...(await resultsOf(file, context)))
      const failed = results.filter(({ problems }) => problems.length > 0).length
      const passed = results.length - failed
      print(context, command, { passed, failed, tests: results.map(resultJson) }, () =>
        printable([...results.map(formatResult), `${passed} passed, ${failed} failed`].join('\n')),
      )
      if (failed > 0) context.setExitCode(errorCodes.VERIFY_MISMATCH.exit)
    })
}

async function resultsOf(
  file: string,
  { terminal: { env } }: CommandContext,
): Promise<readonly TestResult[]> {
  const { runTests } = await import('../testing/run-tests.ts')
  // No server is asked, so secrets that are not here are not missed.
  const config = isTestFile(file)
    ? loadPipeline(testedFile(file, env), env, { missingSecret: 'warning', testFile: file })
    : loadPipeline(file, env, { missingSecret: 'warning' })
  if (config.tests.length > 0) return runTests(config)
  throw new PipelineError('CONFIG_VALUE', `${file} has no tests`, {
    hint: 'Write some under `tests:`, each with name, table, input and output.',
  })
}

function resultJson({ name, place, problems }: TestResult): object {
  return {
    name,
    ...place,
    ok: problems.length === 0,
    problems: problems.map(({ place: at, message }) => ({ ...at, message })),
  }
}

function formatResult({ name, place, problems }: TestResult): string {
  if (problems.length === 0) return `✔ ${name}`
  return [`✗ ${name}  ${formatPlace(place)}`, ...problems.map(formatProblem)].join('\n')
}

function formatProblem({ place, message }: TestProblem): string {
  return `    ${formatPlace(place)} ${message}`
}

function formatPlace({ file, line, column }: FilePlace): string {
  return `${file}:${line}:${column}`
}
