// The script's thread as the source's thread sees it: a question is asked, and the asking thread
// waits, at most for the script's timeout. A script that does not answer is ended and started anew.

import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { systemClock } from '../../runtime/base/clock.ts'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Definition, ScriptAnswer, ScriptQuestion, ScriptSeed } from './messages.ts'

/** Loading a file and what it imports is no work on rows, and slow on a busy machine. */
const LOAD_MS = 60_000

export interface ScriptFile {
  /** Absolute path. */
  readonly file: string
  readonly export: string
  /** Of one batch. */
  readonly timeoutMs: number
  /** Of the thread's heap. */
  readonly memoryBytes: number
}

export class ScriptHost {
  readonly definition: Definition
  private readonly script: ScriptFile
  private readonly entry: URL
  private thread: Thread

  /**
   * @param entry  module that calls `serveScript`
   * @throws PipelineError SCRIPT_INVALID when the file cannot be loaded
   */
  constructor(script: ScriptFile, entry: URL) {
    this.script = script
    this.entry = entry
    const { thread, definition } = this.start()
    this.thread = thread
    this.definition = definition
  }

  /** @returns `null`: no answer within the timeout, or no memory; the thread is a new one then */
  ask(question: ScriptQuestion): Exclude<ScriptAnswer, Definition> | null {
    const answer = this.thread.ask(question, this.script.timeoutMs)
    if (answer?.kind === 'defined') throw new PipelineError('INTERNAL', 'a script is defined once')
    if (answer !== null) return answer
    this.thread.end()
    this.thread = this.start().thread
    return null
  }

  private start(): { thread: Thread; definition: Definition } {
    const { file } = this.script
    const thread = new Thread(this.script, this.entry)
    const definition = thread.answer(LOAD_MS)
    if (definition?.kind === 'defined') return { thread, definition }
    thread.end()
    const why = definition?.kind === 'failed' ? definition.message : 'it does not end to load'
    throw new PipelineError('SCRIPT_INVALID', `script "${file}": ${why}`)
  }
}

class Thread {
  private readonly worker: Worker
  private readonly port: MessagePort
  private readonly answers = new Int32Array(new SharedArrayBuffer(4))

  constructor({ file, export: name, memoryBytes }: ScriptFile, entry: URL) {
    const { port1, port2 } = new MessageChannel()
    const seed: ScriptSeed = { file, export: name, answers: this.answers.buffer }
    this.worker = new Worker(entry, {
      workerData: { seed, port: port2 },
      transferList: [port2],
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memoryBytes / 2 ** 20) },
    })
    // Out of memory: whoever waits for its answer learns that there is none.
    this.worker.on('error', () => undefined)
    this.worker.unref()
    port1.unref()
    this.port = port1
  }

  ask(question: ScriptQuestion, timeoutMs: number): ScriptAnswer | null {
    this.port.postMessage(question)
    return this.answer(timeoutMs)
  }

  /** Blocks the calling thread: the order of rows is that of the log, and nothing may overtake. */
  answer(timeoutMs: number): ScriptAnswer | null {
    const untilMs = systemClock.elapsedMs() + timeoutMs
    for (;;) {
      const seen = Atomics.load(this.answers, 0)
      const received = receiveMessageOnPort(this.port)
      if (received !== undefined) return received.message as ScriptAnswer
      const leftMs = untilMs - systemClock.elapsedMs()
      if (leftMs <= 0) return null
      Atomics.wait(this.answers, 0, seen, leftMs)
    }
  }

  end(): void {
    this.port.close()
    void this.worker.terminate()
  }
}
