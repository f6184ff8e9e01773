// A writer thread's first lines: loads the sink writer's state, says that it is ready, and runs the
// task on the channel that it is given.

import { parentPort, workerData } from 'node:worker_threads'
import { present } from '../base/assert.ts'
import { recordOf } from '../base/errors.ts'
import { ChannelReceiver } from '../flow/channel.ts'
import { InputGate } from '../flow/gate.ts'
import type { WriterCommand, WriterReport } from '../job/messages.ts'
import type { WriterPlan } from '../job/run.ts'
import { WriterTask } from '../job/writer-task.ts'
import { openWriter } from './writer-connector.ts'
import { workerConfig, type WorkerSeed } from './worker-seed.ts'

const port = present(parentPort, 'this module runs in a worker thread')
const seed = workerData as WorkerSeed & { readonly plan: WriterPlan }
let task: WriterTask | null = null

function report(message: WriterReport): void {
  port.postMessage(message)
}

async function main(): Promise<void> {
  const { config, log } = workerConfig(seed)
  const sink = await openWriter(config, seed.plan, log)
  port.on('message', (command: WriterCommand) => {
    if (command.kind === 'stop') {
      task?.stop()
      return
    }
    const gate = new InputGate([new ChannelReceiver(command.channel)])
    task = new WriterTask(gate, sink, { report }, config.sink.mode === 'append')
    void task.run()
  })
  report({ kind: 'ready' })
}

main().catch((error: unknown) => report({ kind: 'failed', error: recordOf(error) }))
