// The source thread's first lines: picks the connector that the pipeline names, and runs the task.

import { parentPort, workerData } from 'node:worker_threads'
import { present } from '../base/assert.ts'
import { systemClock } from '../base/clock.ts'
import { recordOf } from '../base/errors.ts'
import { ChannelSender } from '../flow/channel.ts'
import type { SourceCommand, SourceReport, SourceStart } from '../job/messages.ts'
import { SourceTask } from '../job/source-task.ts'
import { lateRules } from './late-rules.ts'
import { loadScripts, operatorPlans } from './operator-plans.ts'
import { LimitsWatch } from './limits-watch.ts'
import { openSource } from './source-connector.ts'
import { openState } from './state-folder.ts'
import { workerConfig, type WorkerSeed } from './worker-seed.ts'

const port = present(parentPort, 'this module runs in a worker thread')
const { config, log } = workerConfig(workerData as WorkerSeed)
/** `millrace throttle` is heard after so long. */
const LIMITS_MS = 1000
let task: SourceTask | null = null

function report(message: SourceReport): void {
  port.postMessage(message)
}

async function start(command: SourceStart): Promise<void> {
  loadScripts(config)
  const channels = command.channels.map((channel) => new ChannelSender(channel))
  const source = await openSource(config, log)
  const plans = operatorPlans(config)
  const late = lateRules(config)
  task = new SourceTask(source, command, channels, { report }, systemClock, plans, late)
  const limits = new LimitsWatch(openState(config), command.options.limits, log)
  await limits.look(task)
  const stop = systemClock.every(LIMITS_MS, () => void limits.look(task))
  await task.run()
  stop()
}

port.on('message', (command: SourceCommand) => {
  if (command.kind !== 'start') task?.handle(command)
  else start(command).catch((error: unknown) => report({ kind: 'failed', error: recordOf(error) }))
})
