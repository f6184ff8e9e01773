// What the demo says before it starts anything. Its stories are run by hand and take their own
// verdict: each compares what it has made, row by row.

import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../examples/demo/main.ts', import.meta.url))

function demo(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): { code: number | null; out: string; err: string } {
  const result = spawnSync(process.execPath, [MAIN, ...args], { env, encoding: 'utf8' })
  return { code: result.status, out: result.stdout, err: result.stderr }
}

test('--help names both demos, and starts none', () => {
  const { code, out, err } = demo(['--help'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toContain('npm run demo -- --kafka')
  expect(out).toContain('Exit codes:')
})

test('an option that does not exist is named, with those that do', () => {
  const { code, out, err } = demo(['--kafak'])
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain("'--kafak'")
  expect(err).toContain('npm run demo -- --kafka')
  expect(err).not.toContain('at parseArgs')
})

test('without Java the demo of topics says what is missing, and ends', () => {
  // Neither a program of the machine nor one that was unpacked before is found.
  const cache = mkdtempSync(join(tmpdir(), 'millrace-no-java-'))
  const { code, out, err } = demo(['--kafka'], { PATH: cache, MILLRACE_CACHE: cache })
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain('needs a JDK (17 or newer) and Maven')
  expect(err).toContain('npm run demo')
  expect(err).not.toMatch(/^\s+at /m)
})
