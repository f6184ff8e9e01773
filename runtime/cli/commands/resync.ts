// `millrace resync`: reads tables again and writes only what differs, while everything goes on.

import { PipelineError } from '../../base/errors.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { type AddCommand, print } from '../context.ts'
import { collect, flag } from '../options.ts'
import { shellWord } from '../query-hints.ts'

export const addResync: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('resync')
    .description('read tables again, compare, and repair what differs')
    .argument('<file>', 'pipeline file')
    .addOption(
      flag('--table <name>', 'table as schema.table; may be given several times')
        .argParser(collect)
        .default([]),
    )
    .addOption(flag('--all', 'all tables'))
    .action(async (file: string, options: { table: string[]; all?: boolean }, command) => {
      const config = loadPipeline(file, terminal.env, { missingSecret: 'warning' })
      if ((options.all === true) === options.table.length > 0) {
        const message = 'give either --table, once or several times, or --all'
        throw new PipelineError('CONFIG_VALUE', message, {
          hint: `\`millrace resync ${shellWord(file)} --table schema.table\``,
        })
      }
      const tables = options.all === true ? null : options.table
      await wiring.resync(config, tables)
      const running = await wiring.isRunning(config)
      print(context, command, { requested: tables ?? 'all', running }, () => {
        const what = tables === null ? 'all tables' : tables.join(', ')
        return running
          ? `resync of ${what} begins; \`millrace status ${shellWord(file)}\` shows how far it is`
          : `resync of ${what} begins with the next \`millrace run ${shellWord(file)}\``
      })
    })
}
