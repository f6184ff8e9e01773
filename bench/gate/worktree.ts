// Another commit of this repository beside the working tree, ready to run.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LOCK = 'package-lock.json'

/**
 * Checks the commit out into a folder of its own, which is removed after the work. Packages are
 * those of this tree where both lock files say the same, else they are installed.
 *
 * @param work  gets the folder
 * @throws Error when there is no such commit
 */
export async function withCommit<T>(
  commit: string,
  work: (folder: string, id: string) => Promise<T>,
): Promise<T> {
  const id = git(['rev-parse', '--verify', '--short=12', '--end-of-options', `${commit}^{commit}`])
  const parent = mkdtempSync(join(tmpdir(), 'millrace-against-'))
  const folder = join(parent, id)
  try {
    git(['worktree', 'add', '--detach', folder, id])
    if (readFileSync(join(folder, LOCK), 'utf8') === readFileSync(join(ROOT, LOCK), 'utf8')) {
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    } else {
      execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'ignore' })
    }
    return await work(folder, id)
  } finally {
    rmSync(parent, { recursive: true, force: true })
    git(['worktree', 'prune'])
  }
}

function git(args: readonly string[]): string {
  return execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    .toString()
    .trim()
}
