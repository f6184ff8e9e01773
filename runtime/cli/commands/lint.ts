// `millrace lint`: everything that is wrong with pipeline files, without touching a server.

import { lintFile } from '../../job/config/load.ts'
import { formatLintMessage, type Severity } from '../../job/config/problems.ts'
import { type AddCommand, print } from '../context.ts'
import { flag } from '../options.ts'

const EXIT_CONFIGURATION = 2

export const addLint: AddCommand = (program, context) => {
  program
    .command('lint')
    .description('say what is wrong with pipeline files; connects to nothing')
    .argument('<files...>', 'pipeline files')
    .addOption(flag('--strict', 'take warnings for errors'))
    .action((files: string[], options: { strict?: boolean }, command) => {
      const messages = files.flatMap((file) => lintFile(file, context.terminal.env))
      const countOf = (wanted: Severity): number =>
        messages.filter(({ severity }) => severity === wanted).length
      const [errors, warnings, infos] = [countOf('error'), countOf('warning'), countOf('info')]
      print(context, command, { errors, warnings, infos, messages }, () => {
        const lines = messages.map(formatLintMessage)
        const clean = files.filter((file) => !messages.some((message) => message.file === file))
        return [...lines, ...clean.map((file) => `${file}: nothing wrong`)].join('\n')
      })
      if (errors > 0 || (options.strict === true && warnings > 0)) {
        context.setExitCode(EXIT_CONFIGURATION)
      }
    })
}
