// The program as users start it: another process, its output and its exit code.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import packageFile from '../../package.json' with { type: 'json' }
import { changed, COMPLETE, writeFile } from '../config/pipeline-file.ts'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function millrace(...args: string[]): Ended {
  return millraceWith({}, ...args)
}

function millraceWith(env: Record<string, string>, ...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  return { code: status, stdout, stderr }
}

test('--help names every verb, --version the version', () => {
  const help = millrace('--help')
  expect(help).toMatchObject({ code: 0, stderr: '' })
  const verbs = ['init', 'lint', 'check', 'discover', 'run', 'status', 'resync', 'drop', 'schema']
  for (const verb of [...verbs, 'explain']) expect(help.stdout).toMatch(RegExp(`^  ${verb} `, 'm'))
  expect(millrace('--version')).toEqual({ code: 0, stdout: `${packageFile.version}\n`, stderr: '' })
})

test('lint exits 0 or 2', () => {
  const good = writeFile(COMPLETE, 'good.yaml')
  expect(millrace('lint', good)).toEqual({
    code: 0,
    stdout: `${good}: nothing wrong\n`,
    stderr: '',
  })
  const bad = writeFile(changed(['version: 1', 'version: 2']), 'bad.yaml')
  expect(millrace('lint', bad)).toEqual({
    code: 2,
    stdout: `${bad}:1:10 MR-1003 version must be 1, not 2\n`,
    stderr: '',
  })
})

test('run refuses a wrong file with the exit code of its error, and no stack', () => {
  const bad = writeFile(changed(['type: sql', 'type: rest']), 'rest.yaml')
  const { stdout, ...ended } = millrace('run', bad)
  expect(JSON.parse(stdout)).toMatchObject({ level: 'error', code: 'MR-1005', exit: 2 })
  expect(ended).toEqual({
    code: 2,
    stderr:
      `MR-1005 ${bad}:9:20 sink.catalog.type: rest is not supported: this version takes sql\n` +
      '  fix    : Remove the key or take a value that the message names.\n',
  })
})

test('explain, schema and init work from a process', () => {
  expect(millrace('explain', 'MR-3012').stdout).toMatch(/^MR-3012 LOG_GAP\n/)
  expect(millrace('explain', 'MR-0000').code).toBe(2)
  const schema = JSON.parse(millrace('schema').stdout) as { $id: string }
  expect(schema.$id).toContain('millrace')
  const path = join(mkdtempSync(join(tmpdir(), 'millrace-init-')), 'p.yaml')
  expect(millrace('init', path, '--from', 'mysql').code).toBe(0)
  expect(millrace('lint', path).code).toBe(0)
})

test('a reader that is slow has all that was written', () => {
  const command = `"${process.execPath}" "${MAIN}" schema | { sleep 1; cat; }`
  const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8' })
  // More than a pipe holds.
  expect(stdout.length).toBeGreaterThan(65_536)
  expect(JSON.parse(stdout)).toHaveProperty('$id')
})

test('options may stand in the environment', () => {
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'explain', 'LOG_GAP'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', MILLRACE_JSON: '1' },
  })
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ code: 'MR-3012' })
})

/** With a standard output that nobody reads. */
async function unread(...args: string[]): Promise<Omit<Ended, 'stdout'>> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stderr }
}

test('a pipe that is closed early is no error, and changes no exit code', async () => {
  expect(await unread('schema')).toEqual({ code: 0, stderr: '' })
  const wrong = writeFile(changed(['name: shop', 'nam: shop']))
  expect(await unread('lint', wrong)).toMatchObject({ code: 2 })
})

test('a run whose log nobody reads any more does not end as if it were done', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const lake = mkdtempSync(join(tmpdir(), 'millrace-unread-'))
  // A password in the file is warned of before anything else is done.
  const text = changed([':5433', `:${port}`], ['  tables:', '  password: x\n  tables:'])
  const file = writeFile(text.replaceAll('/lake/', `${lake}/`))
  const { code, stderr } = await unread('run', file, '--once')
  expect(stderr).toContain('MR-5009 standard output cannot be written')
  expect(code).toBe(1)
  silent.close()
})

test('a signal that comes while the program is loaded stops a run that has begun nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-early-'))
  const preload = join(folder, 'preload.mjs')
  // Deep in the imports of the program, long before any command runs.
  const code = `import { registerHooks } from 'node:module'
    registerHooks({
      load: (url, context, next) => {
        if (url.endsWith('/cli/program.ts')) process.kill(process.pid, 'SIGTERM')
        return next(url, context)
      },
    })`
  writeFileSync(preload, code)
  const file = writeFile(COMPLETE.replaceAll('/lake/', `${folder}/`))
  const arguments_ = ['--import', preload, MAIN, 'run', file]
  const { status, signal, stdout } = spawnSync(process.execPath, arguments_, { encoding: 'utf8' })
  expect({ status, signal }).toEqual({ status: 0, signal: null })
  expect(stdout).toContain('stopped before anything was read or made')
  expect(readdirSync(folder)).toEqual(['preload.mjs'])
})

test('compiled code is kept in the cache of the user, where there can be one', () => {
  const caches = mkdtempSync(join(tmpdir(), 'millrace-caches-'))
  const expected = millrace('explain', 'LOG_GAP')
  const kept = (): string[] => readdirSync(caches, { recursive: true, encoding: 'utf8' })
  const off = { XDG_CACHE_HOME: caches, NODE_DISABLE_COMPILE_CACHE: '1' }
  expect(millraceWith(off, 'explain', 'LOG_GAP')).toEqual(expected)
  expect(kept()).toEqual([])
  for (let start = 0; start < 2; start++) {
    expect(millraceWith({ XDG_CACHE_HOME: caches }, 'explain', 'LOG_GAP')).toEqual(expected)
    expect(kept().filter((path) => path.startsWith('millrace/compiled/')).length).toBeGreaterThan(9)
  }
  const nowhere = { XDG_CACHE_HOME: join(caches, 'a-file') }
  writeFileSync(nowhere.XDG_CACHE_HOME, '')
  expect(millraceWith(nowhere, 'explain', 'LOG_GAP')).toEqual(expected)
})
