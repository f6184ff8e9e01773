// The script's thread: loads the user's file, says what it declares, and answers batches, one after
// the other. Whoever asks is blocked meanwhile and is woken by a counter in shared memory.

import { pathToFileURL } from 'node:url'
import type { MessagePort } from 'node:worker_threads'
import type { ScriptDefinition } from '../../runtime/script.ts'
import { forbidChance } from './determinism.ts'
import type { Definition, ScriptAnswer, ScriptQuestion, ScriptSeed } from './messages.ts'
import { messageOf, runScript } from './work.ts'

/** @param port  of the questions; the first answer comes without one */
export async function serveScript(seed: ScriptSeed, port: MessagePort): Promise<void> {
  const answers = new Int32Array(seed.answers)
  const answer = (message: ScriptAnswer): void => {
    port.postMessage(message)
    Atomics.add(answers, 0, 1)
    Atomics.notify(answers, 0)
  }
  let definition: ScriptDefinition
  try {
    definition = await load(seed)
    answer(declared(definition))
  } catch (error) {
    answer({ kind: 'failed', row: null, message: messageOf(error) })
    return
  }
  port.on('message', (question: ScriptQuestion) => {
    runScript(definition, question).then(answer, (error: unknown) =>
      answer({ kind: 'failed', row: null, message: messageOf(error) }),
    )
  })
}

async function load({ file, export: name }: ScriptSeed): Promise<ScriptDefinition> {
  const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  const found = module[name]
  if (found === undefined) {
    const names = Object.keys(module).join(', ')
    throw new Error(`the file exports no "${name}"${names === '' ? '' : `, but ${names}`}`)
  }
  const definition = typeof found === 'function' ? { onRow: found } : found
  if (!isDefinition(definition)) {
    throw new Error(`"${name}" is neither a function nor what rowOperator and batchOperator give`)
  }
  // Behind the import: libraries look at the clock while they are loaded, which changes no row.
  if (definition.deterministic !== false) forbidChance()
  return definition
}

function isDefinition(value: unknown): value is ScriptDefinition {
  if (typeof value !== 'object' || value === null) return false
  const { onRow, onBatch } = value as ScriptDefinition
  return typeof onRow === 'function' || typeof onBatch === 'function'
}

function declared({ output = {} }: ScriptDefinition): Definition {
  return { kind: 'defined', add: Object.entries(output.add ?? {}), drop: [...(output.drop ?? [])] }
}
