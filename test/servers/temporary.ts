// One folder for all that a run of the tests puts into the temporary folder: a test that is killed
// in the middle, or forgets, leaves nothing behind on the machine of somebody who ran `npm test`.

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Vitest calls it once a project, before the workers start that inherit the variable. */
export async function setup(): Promise<() => Promise<void>> {
  const before = process.env['TMPDIR']
  // Short: a server's socket lies below, and its path may have 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'millrace-'))
  // PostgreSQL does not run as root: its data, below, belongs to another user then.
  await chmod(folder, 0o755)
  process.env['TMPDIR'] = folder
  return async () => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
