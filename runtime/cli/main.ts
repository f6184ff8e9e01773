#!/usr/bin/env node
// Where the process begins.

import { nextTurn } from '../base/clock.ts'
import { keepCompiledCode } from './compiled-code.ts'
import { holdSignals } from './early-signals.ts'

const args = process.argv.slice(2)
if (args.find((argument) => !argument.startsWith('-')) === 'run') holdSignals()
keepCompiledCode()
const { runProcess } = await import('./command-line.ts')
// A signal is heard when the event loop turns, which it need not have done while files were loaded.
await nextTurn()
await runProcess()
