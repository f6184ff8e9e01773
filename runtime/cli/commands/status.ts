// `millrace status`: what the running process leaves in the state store, and whether it still runs.

import { PipelineError } from '../../base/errors.ts'
import { readStatus } from '../../console/status-file.ts'
import { renderProgress } from '../../console/progress.ts'
import type { PipelineStatus } from '../../console/status.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { type AddCommand, print } from '../context.ts'

const WIDE = 160

export const addStatus: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('status')
    .description('show how far a pipeline is')
    .argument('<file>', 'pipeline file')
    .action(async (file: string, _options, command) => {
      // No server is asked, so secrets that are not here are not missed.
      const config = loadPipeline(file, terminal.env, { missingSecret: 'warning' })
      const status = await readStatus(await wiring.openState(config))
      const running = await wiring.isRunning(config)
      if (status === null) {
        throw new PipelineError('STATE_MISSING', `pipeline "${config.name}" has left no status`, {
          detail: `No status was found in ${config.checkpoint.store.uri}.`,
        })
      }
      print(context, command, { running, ...status }, () => {
        const columns = terminal.interactive ? terminal.columns() : WIDE
        const lines = renderProgress(status, columns)
        return [...staleness(status, running), ...lines].join('\n')
      })
    })
}

/** A status outlives its process; whoever reads it must not take it for the present. */
function staleness(status: PipelineStatus, running: boolean): string[] {
  if (running) return []
  const ended = status.state === 'STOPPED' || status.state === 'FAILED'
  const how = ended ? '' : ' without saying so'
  return [`not running: the process ${status.pid} ended${how}; as of ${status.updated_at}:`]
}
