// `millrace drop`: undoes what a pipeline has made. What it removes cannot be had back, so whoever
// sits at a terminal is asked first.

import { PipelineError } from '../../base/errors.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { type AddCommand, globalOptions, print } from '../context.ts'
import { printable } from '../failure.ts'
import { flag } from '../options.ts'

export const addDrop: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('drop')
    .description('remove slot, publication, state and lake tables of a pipeline')
    .argument('<file>', 'pipeline file')
    .addOption(flag('--keep-lake', 'keep the lake tables'))
    .addOption(flag('--yes', 'do not ask'))
    .action(async (file: string, options: { keepLake?: boolean; yes?: boolean }, command) => {
      const config = loadPipeline(file, terminal.env)
      const keepLake = options.keepLake === true
      // Not of the output: `drop FILE | tee log` has somebody to ask as well.
      const asks = terminal.answers && options.yes !== true && !globalOptions(command).json
      if (asks) {
        const what = keepLake ? 'slot, publication and state' : 'slot, publication, state and LAKE'
        const answer = await terminal.ask(`This removes ${what} of "${config.name}". Its name? `)
        if (answer !== config.name) {
          throw new PipelineError('CONFIG_VALUE', 'the answer is not the name of the pipeline', {
            detail: 'Nothing was removed.',
            hint: 'Type the name, or add `--yes`.',
          })
        }
      }
      const notice = (text: string): void => {
        if (!globalOptions(command).json) terminal.err(printable(text))
      }
      const removals = await wiring.drop(config, { keepLake, notice })
      const removed = removals.flatMap(({ what, kept }) => (kept === null ? [what] : []))
      const stays = removals.filter(({ kept }) => kept !== null)
      print(context, command, { removed, kept: stays }, () =>
        removals.length === 0
          ? 'there was nothing to remove'
          : [
              ...removed.map((what) => `removed ${what}`),
              ...stays.map(({ what, kept }) => `kept ${what}: ${kept}`),
            ].join('\n'),
      )
    })
}
