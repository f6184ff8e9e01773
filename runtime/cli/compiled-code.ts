// Keeps the code that Node has compiled (and freed of its types) for the next start: most of the
// CPU time of a short command goes there. The folder is the user's own, since whoever could write
// to it could put other code there; Node's default lies in the folder that all users share.

import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Call it before the code to be kept is imported, which therefore is imported dynamically. Does
 * nothing where the folder cannot be written. NODE_DISABLE_COMPILE_CACHE=1 switches it off,
 * NODE_COMPILE_CACHE names another folder.
 */
export function keepCompiledCode(): void {
  const { env } = process
  const folder = env['NODE_COMPILE_CACHE'] || join(cachesOf(env), 'millrace', 'compiled')
  enableCompileCache(folder)
  // Threads do not inherit the setting, but the variable, and follow it from their first file on.
  env['NODE_COMPILE_CACHE'] = folder
}

function cachesOf(env: NodeJS.ProcessEnv): string {
  return env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
}
