// `millrace discover`: the tables of the source, and what each column becomes in the lake.

import { loadPipeline } from '../../job/config/load.ts'
import { sourceSelector } from '../../job/config/selector.ts'
import type { DiscoveredTable } from '../../source.ts'
import { type AddCommand, print } from '../context.ts'
import { formatTable } from '../mapping.ts'

export const addDiscover: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('discover')
    .description('list the tables of the source and what their columns become')
    .argument('<file>', 'pipeline file')
    .action(async (file: string, _options, command) => {
      const config = loadPipeline(file, terminal.env)
      const selects = sourceSelector(config.source)
      const inspector = await wiring.inspect(config, 'all')
      try {
        const tables = (await inspector.discover()).map((table) => ({
          ...table,
          selected: selects(table.namespace, table.name),
        }))
        print(context, command, tables, () =>
          tables.length === 0
            ? 'the source shows this user no table that could be copied'
            : tables.map(formatDiscovered).join('\n'),
        )
      } finally {
        await inspector.close()
      }
    })
}

function formatDiscovered(table: DiscoveredTable & { readonly selected: boolean }): string {
  return formatTable(table, table.selected ? '' : 'not selected')
}
