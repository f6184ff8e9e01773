// Unpacks Debian packages, with all libraries they need, into the cache without installing them.
// apt works on a list and state folders of its own, so the machine's packages stay untouched.
import { existsSync } from 'node:fs'
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { join, relative } from 'node:path'
import { cached } from './cache.ts'
import { run, type Tool } from './command.ts'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

const MACHINE_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** Where writeCertificates puts its file, below the set's folder. */
export const CERTIFICATES = 'certificates.pem'

export interface DebianSet {
  /** Entry name in the cache. */
  name: string
  suite: string
  /** Taken with everything they depend on. */
  roots: readonly string[]
  /** Taken alone. */
  extra?: readonly string[]
  /** Dependencies that the programs do not load. */
  drop?: RegExp
  /** Last step on the unpacked folder, which is renamed afterwards. */
  finish?: (folder: string) => Promise<void>
}

interface Mirror {
  uri: string
  options: string
}

/** @returns the folder that holds the unpacked `usr` */
export async function unpackDebian(set: DebianSet): Promise<string> {
  return cached(set.name, async (folder) => {
    const work = join(folder, '.apt')
    const apt = await privateApt(work, set.suite)
    await run('apt-get', ['update', '-q', ...apt])
    const names = [...(await dependencies(set, apt)), ...(set.extra ?? [])]
    const downloads = join(work, 'downloads')
    await mkdir(downloads)
    await run('apt-get', ['download', '-q', ...apt, ...names], { cwd: downloads })
    for (const file of await readdir(downloads)) {
      await run('dpkg-deb', ['-x', join(downloads, file), folder])
    }
    await rm(work, { recursive: true, force: true })
    await turnLinksInwards(folder)
    await set.finish?.(folder)
  })
}

/**
 * How to run a program of an unpacked folder: by the folder's own loader and libraries, because
 * they may be newer or older than the machine's.
 */
export function unpackedTool(folder: string, path: string): Tool {
  const libraries = ['usr/lib', 'lib'].flatMap((lib) =>
    ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((machine) => join(folder, lib, machine)),
  )
  const loader = libraries
    .flatMap((at) => [join(at, 'ld-linux-x86-64.so.2'), join(at, 'ld-linux-aarch64.so.1')])
    .find((at) => existsSync(at))
  if (!loader) throw new Error(`no loader in ${folder}`)
  const present = libraries.filter((at) => existsSync(at))
  return { command: loader, args: ['--library-path', present.join(':'), join(folder, path)] }
}

async function privateApt(work: string, suite: string): Promise<string[]> {
  for (const sub of ['lists/partial', 'cache/archives/partial', 'state']) {
    await mkdir(join(work, sub), { recursive: true })
  }
  const { uri, options } = await debianMirror()
  await writeFile(join(work, 'sources.list'), `deb ${options} ${uri} ${suite} main\n`)
  // An empty status file: else apt would prefer what the machine has installed.
  await writeFile(join(work, 'status'), '')
  const settings = {
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferences': '-',
    'Dir::Etc::preferencesparts': '-',
    'Dir::State': join(work, 'state'),
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  }
  return Object.entries(settings).map(([name, value]) => `-o${name}=${value}`)
}

/** Packages link to absolute paths such as /etc; here these are below the folder. */
async function turnLinksInwards(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    const target = await readlink(path)
    if (!target.startsWith('/') || !existsSync(join(folder, target))) continue
    await unlink(path)
    await symlink(relative(entry.parentPath, join(folder, target)), path)
  }
}

/**
 * Writes one file of certificates that programs of an unpacked set can trust: those of the
 * machine, else those of the set's own package `ca-certificates`.
 */
export async function writeCertificates(folder: string): Promise<void> {
  const bundle = join(folder, CERTIFICATES)
  if (existsSync(MACHINE_CERTIFICATES)) return copyFile(MACHINE_CERTIFICATES, bundle)
  const source = join(folder, 'usr/share/ca-certificates/mozilla')
  const files = (await readdir(source)).sort().map((name) => readFile(join(source, name), 'utf8'))
  await writeFile(bundle, (await Promise.all(files)).join('\n'))
}

async function dependencies(set: DebianSet, apt: string[]): Promise<string[]> {
  const only = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances']
  const flags = ['--recurse', ...only.map((kind) => `--no-${kind}`)]
  const text = await run('apt-cache', [...apt, 'depends', ...flags, ...set.roots])
  // Package lines start at the margin; "<name>" is a virtual one that nothing can download.
  const names = text.split('\n').filter((line) => /^[a-z0-9]/.test(line))
  return names.filter((name) => !set.drop?.test(name))
}

/** The Debian mirror of the machine's own apt sources, in either of apt's two formats. */
async function debianMirror(): Promise<Mirror> {
  for (const text of await readSources()) {
    const found = text.includes('URIs:') ? fromStanzas(text) : fromLines(text)
    if (found) return found
  }
  throw new Error('the apt sources of this machine name no Debian mirror')
}

async function readSources(): Promise<string[]> {
  const release = await readFile('/etc/os-release', 'utf8')
  if (!/^ID=debian$/m.test(release)) throw new Error('this machine is no Debian')
  const folder = '/etc/apt/sources.list.d'
  const parts = existsSync(folder) ? (await readdir(folder)).sort() : []
  const files = parts.filter((name) => /\.(list|sources)$/.test(name))
  const paths = ['/etc/apt/sources.list', ...files.map((name) => join(folder, name))]
  return Promise.all(paths.filter((path) => existsSync(path)).map((path) => readFile(path, 'utf8')))
}

function isArchive(suites: string, components: string): boolean {
  const main = components.split(/\s+/).includes('main')
  // Security and third-party archives hold other suites than a Debian mirror does.
  return main && suites.split(/\s+/).some((suite) => /^[a-z]+$/.test(suite))
}

function fromStanzas(text: string): Mirror | undefined {
  for (const stanza of text.split(/\n\s*\n/)) {
    const field = (name: string): string =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(stanza)?.[1]?.trim() ?? ''
    if (/^no$/i.test(field('Enabled')) || !/\bdeb\b/.test(field('Types'))) continue
    if (!isArchive(field('Suites'), field('Components'))) continue
    const [uri] = field('URIs').split(/\s+/)
    if (uri) return { uri, options: signedBy(field('Signed-By')) }
  }
  return undefined
}

function fromLines(text: string): Mirror | undefined {
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line)
    const [, options = '', uri, suite = '', components = ''] = match ?? []
    if (!uri || !isArchive(suite, components)) continue
    return { uri, options: signedBy(/signed-by=(\S+)/.exec(options)?.[1] ?? '') }
  }
  return undefined
}

/** A key given in the stanza itself cannot be repeated in a line; Debian's own keyring serves. */
function signedBy(path: string): string {
  const keyring = path.startsWith('/') ? path : KEYRING
  return existsSync(keyring) ? `[signed-by=${keyring}]` : ''
}
