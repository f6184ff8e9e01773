// A worker thread as the executor sees it: commands in, reports out, and an end. Tests put tasks of
// the same thread behind it.

import type { TransferListItem } from 'node:worker_threads'
import { Worker } from 'node:worker_threads'
import { PipelineError, recordOf } from '../base/errors.ts'

export interface WorkerPort<Command, Report> {
  send(command: Command, transfer?: readonly TransferListItem[]): void
  onReport(listener: (report: Report) => void): void
  /** Ends the thread at once. */
  terminate(): Promise<void>
}

interface Failed {
  readonly kind: 'failed'
  readonly error: ReturnType<typeof recordOf>
}

/**
 * Starts a thread.
 *
 * @param module  file that runs in it
 * @param data  structured-cloneable; the module reads it as `workerData`
 */
export function spawnWorker<Command, Report extends { readonly kind: string }>(
  module: URL,
  data: unknown,
): WorkerPort<Command, Report | Failed> {
  const worker = new Worker(module, { workerData: data })
  let ending = false
  return {
    send: (command, transfer = []) => worker.postMessage(command, [...transfer]),
    onReport: (listener) => {
      worker.on('message', listener)
      worker.on('error', (error) => listener({ kind: 'failed', error: recordOf(error) }))
      worker.on('exit', (code) => {
        if (ending) return
        const error = new PipelineError('INTERNAL', `a worker thread ended with code ${code}`)
        listener({ kind: 'failed', error: recordOf(error) })
      })
    },
    terminate: async () => {
      ending = true
      await worker.terminate()
    },
  }
}
