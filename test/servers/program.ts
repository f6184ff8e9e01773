// The program as one file a thread, for tests that start it a thousand times: loading its own and
// its libraries' modules one by one is half of what a short run costs. `tidy.test.ts` and the unit
// tests see the sources; what is bundled here is those sources and nothing else.

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const THREADS = ['main', 'source-worker', 'writer-worker', 'script-worker'] as const
/** Libraries that load files of their own by name: native code, WebAssembly, descriptors. */
const WHOLE =
  /^(?:node:|@node-rs\/|@platformatic\/wasm-utils|@vlasky\/|pino|protobufjs|roaring-wasm)/

/** Where `spawnMillrace` finds the program; unset, it starts the sources. */
export const PROGRAM_VARIABLE = 'MILLRACE_TEST_PROGRAM'

/** Vitest calls it once for all files, before the workers start that inherit the variable. */
export async function setup(): Promise<() => Promise<void>> {
  // Only here: every test file imports this one for the variable's name.
  const { rolldown } = await import('rolldown')
  // Inside the checkout: libraries that stay outside are found from there.
  const folder = await mkdtemp(join(ROOT, '.program-'))
  const bundle = await rolldown({
    cwd: ROOT,
    input: Object.fromEntries(THREADS.map((name) => [name, `runtime/cli/${name}.ts`])),
    platform: 'node',
    external: WHOLE,
  })
  await bundle.write({
    dir: join(folder, 'runtime/cli'),
    format: 'esm',
    entryFileNames: '[name].js',
  })
  await bundle.close()
  process.env[PROGRAM_VARIABLE] = join(folder, 'runtime/cli/main.js')
  return () => rm(folder, { recursive: true, force: true })
}
