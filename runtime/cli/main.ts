#!/usr/bin/env node
// Where the process begins.

import { keepCompiledCode } from './compiled-code.ts'

keepCompiledCode()
const { runProcess } = await import('./command-line.ts')
await runProcess()
