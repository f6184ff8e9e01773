// `millrace schema`: the JSON Schema of a pipeline file, for editors.

import { pipelineJsonSchema } from '../../job/config/schema.ts'
import type { AddCommand } from '../context.ts'

export const addSchema: AddCommand = (program, context) => {
  program
    .command('schema')
    .description('print the JSON Schema of pipeline files')
    .action(() => {
      context.terminal.out(JSON.stringify(pipelineJsonSchema(), null, 2))
    })
}
