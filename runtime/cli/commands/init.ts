// `millrace init`: a pipeline file to begin with, and the grants of a user that may do no more than
// the pipeline needs.

import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { PipelineError } from '../../base/errors.ts'
import { type AddCommand, print } from '../context.ts'
import { flag } from '../options.ts'
import { shellWord } from '../query-hints.ts'
import { grantsEnding, grantsFor, pipelineFileFor } from '../templates.ts'
import type { TemplateKind, TemplateSink } from '../templates.ts'

export const addInit: AddCommand = (program, context) => {
  program
    .command('init')
    .description('write a commented pipeline file, and the grants that its user needs')
    .argument('[file]', 'where to write it; default millrace.yaml')
    .addOption(
      flag('--from <kind>', 'kind of the source')
        .choices(['postgres', 'mysql', 'kafka'])
        .default('postgres'),
    )
    .addOption(
      flag('--to <kind>', 'kind of the sink')
        .choices(['iceberg', 'parquet', 'kafka'])
        .default('iceberg'),
    )
    .addOption(flag('--output <file>', 'the same'))
    .addOption(flag('--force', 'replace files that exist'))
    .action(async (argument: string | undefined, options: InitOptions, command) => {
      const file = argument ?? options.output ?? 'millrace.yaml'
      const grantsFile = `${file.replace(/\.ya?ml$/, '')}${grantsEnding(options.from)}`
      // Both or none: a file beside the grants of another would grant the wrong things.
      if (options.force !== true) for (const path of [file, grantsFile]) refuseExisting(path)
      await write(file, pipelineFileFor(options.from, options.to, grantsFile))
      await write(grantsFile, grantsFor(options.from))
      print(context, command, { file, grants: grantsFile }, () =>
        [
          `wrote ${file} and ${grantsFile}`,
          `  1. have an administrator of the server run ${grantsFile}:`,
          ...grantsFor(options.from)
            .trimEnd()
            .split('\n')
            .map((line) => `       ${line}`.trimEnd()),
          `  2. edit ${file}, then: millrace check ${shellWord(file)}`,
          `  3. millrace run ${shellWord(file)}`,
        ].join('\n'),
      )
    })
}

interface InitOptions {
  readonly from: TemplateKind
  readonly to: TemplateSink
  readonly output?: string
  readonly force?: boolean
}

function refuseExisting(path: string): void {
  if (!existsSync(path)) return
  throw new PipelineError('CONFIG_FILE', `${path} exists already`, {
    hint: 'Choose another name, or add `--force` to replace it.',
  })
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (cause) {
    throw new PipelineError('CONFIG_FILE', `${path} cannot be written`, {
      hint: 'Check that the folder exists and that this user may write to it.',
      cause,
    })
  }
}
