// The Python packages of the independent readers, installed once into the cache with pip.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from '../servers/cache.ts'
import { run, type Tool } from '../servers/command.ts'
import { CERTIFICATES, unpackDebian, unpackedTool, writeCertificates } from '../servers/debian.ts'
import { askService } from './ask.ts'

const READERS = ['pyiceberg[sql-sqlite,pyarrow]==0.12.0']

export interface Python extends Tool {
  env: Record<string, string>
}

let found: Promise<Python> | undefined

/** Installs packages, wheels only, into a cache entry; the entry's folder goes on PYTHONPATH. */
export async function pythonPackages(name: string, packages: readonly string[]): Promise<string> {
  return cached(name, async (folder) => {
    const options = ['--quiet', '--no-warn-script-location', '--only-binary=:all:']
    await runPython(['-m', 'pip', 'install', ...options, '--target', folder, ...packages])
  })
}

/** Runs a script of this folder with pyiceberg and pyarrow at hand. */
export async function runReaderScript(script: string, args: readonly string[]): Promise<string> {
  const path = join(import.meta.dirname, script)
  const answer = await askService('python', { script: path, args })
  if (answer !== null) return answer
  const packages = await readerPackages()
  // Without -B the scripts' byte code would land in the tree.
  return runPython(['-B', path, ...args], packages)
}

/** What starts the service that has pyiceberg and pyarrow in memory. */
export async function pythonServiceCommand(socket: string): Promise<Python> {
  const args = ['-B', join(import.meta.dirname, 'zygote.py'), socket]
  return pythonCommand(args, await readerPackages())
}

/** Makes everything that the first read needs. */
export async function preparePython(): Promise<void> {
  await readerPackages()
}

async function readerPackages(): Promise<string> {
  return pythonPackages('python-readers-1', READERS)
}

async function runPython(args: readonly string[], packages = ''): Promise<string> {
  const python = await pythonCommand(args, packages)
  return run(python.command, python.args, { env: python.env })
}

async function pythonCommand(args: readonly string[], packages: string): Promise<Python> {
  found ??= findPython()
  const { command, args: first, env } = await found
  const path = [packages, env['PYTHONPATH']].filter(Boolean).join(':')
  return { command, args: [...first, ...args], env: { ...env, PYTHONPATH: path } }
}

/** The machine's Python if it is new enough and has pip, else Debian's, unpacked. */
async function findPython(): Promise<Python> {
  const own = { command: 'python3', args: [], env: {} }
  const check = 'import sys, pip; sys.exit(sys.version_info < (3, 10))'
  const usable = await run(own.command, ['-c', check]).then(
    () => true,
    () => false,
  )
  if (usable) return own
  const root = await unpackDebian({
    name: 'python-3.11',
    suite: 'bookworm',
    roots: ['python3', 'python3-distutils', 'python3-setuptools', 'python3-wheel'],
    extra: ['python3-pip', 'ca-certificates'],
    drop: /debconf|^perl|^dpkg$|^tar$/,
    finish: writeCertificates,
  })
  const libraries = join(root, 'usr/lib/python3/dist-packages')
  const trusted = process.env['PIP_CERT'] ?? join(root, CERTIFICATES)
  const env = { PYTHONHOME: join(root, 'usr'), PYTHONPATH: libraries, PIP_CERT: trusted }
  return { ...unpackedTool(root, 'usr/bin/python3.11'), env }
}

/** All files below a folder whose name ends so. */
export async function filesBelow(folder: string, ending: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true })
  return entries.filter((name) => name.endsWith(ending)).map((name) => join(folder, name))
}
