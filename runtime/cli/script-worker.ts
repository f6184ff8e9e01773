// A script thread's first lines.

import { type MessagePort, workerData } from 'node:worker_threads'
import type { ScriptSeed } from '../../operators/script/messages.ts'
import { serveScript } from '../../operators/script/thread.ts'

const { seed, port } = workerData as { readonly seed: ScriptSeed; readonly port: MessagePort }
await serveScript(seed, port)
