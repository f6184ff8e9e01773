// What MySQL and MariaDB test servers share: a data folder made once into the cache and copied
// for every start, and the handle that tests hold. The differences are in their own files.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { run, type Tool } from './command.ts'
import { unpackedTool } from './debian.ts'
import { freePort, serverFolder, serverProcess } from './process.ts'

export interface MysqlOptions {
  /** Server settings by name, without the dashes; they win over the defaults. */
  settings?: Record<string, string>
}

export interface MysqlServer {
  kind: 'mysql' | 'mariadb'
  host: string
  port: number
  user: string
  password: string
  dataFolder: string
  binFolder: string
  /** Without a database name: no default database. */
  uri: (database?: string) => string
  /** How to run `mysqlbinlog`, `mysql`, `mysqldump` ...: append arguments to `args`. */
  tool: (name: string) => Tool
  /** Arguments that connect such a tool to this server. */
  connection: readonly string[]
  pid: () => number
  log: () => Promise<string>
  stop: () => Promise<void>
  /** SIGKILL; restart() then recovers. */
  kill: () => Promise<void>
  /** Starts again on the same port and data; given settings are added to those before. */
  restart: (settings?: Record<string, string>) => Promise<void>
}

/** What sets one of the two apart. */
export interface MysqlFlavour {
  kind: MysqlServer['kind']
  /** Folder that holds `usr`. */
  root: string
  template: string
  server: string
  settings: Record<string, string>
}

const HOST = '127.0.0.1'
export const MYSQL_USER = 'root'
export const MYSQL_PASSWORD = 'millrace'

// A commit is on disk before it is acknowledged, in the engine and in the binary log alike:
// only then does the log after a kill hold what clients were told.
const SETTINGS: Record<string, string> = {
  'bind-address': HOST,
  'skip-name-resolve': 'ON',
  'character-set-server': 'utf8mb4',
  'default-time-zone': '+00:00',
  'server-id': '1',
  'log-bin': 'binlog',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'binlog-row-metadata': 'FULL',
  'sync-binlog': '1',
  'innodb-flush-log-at-trx-commit': '1',
  'innodb-buffer-pool-size': '64M',
  'secure-file-priv': '',
}

/** Settings that find the program's own files, and allow root where we are root. */
export function placement(root: string): string[] {
  const share = join(root, 'usr/share/mysql')
  return [
    '--no-defaults',
    `--basedir=${join(root, 'usr')}`,
    `--lc-messages-dir=${share}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
  ]
}

export async function startFlavour(
  flavour: MysqlFlavour,
  options: MysqlOptions,
): Promise<MysqlServer> {
  const folder = await serverFolder(flavour.kind)
  const dataFolder = join(folder, 'data')
  await run('cp', ['-a', flavour.template, dataFolder])
  // The server's UUID is in there; without it each start makes a new one.
  await rm(join(dataFolder, 'auto.cnf'), { force: true })
  const port = await freePort()
  const settings = { ...SETTINGS, ...flavour.settings, ...options.settings }
  const uri = (database = ''): string =>
    `mysql://${MYSQL_USER}:${MYSQL_PASSWORD}@${HOST}:${port}/${encodeURIComponent(database)}`
  const tool = (name: string): Tool => programOf(flavour.root, name)
  const server = serverProcess({
    name: flavour.kind,
    folder,
    launch: () => {
      const { command, args } = tool(flavour.server)
      const own = { datadir: dataFolder, socket: join(folder, 'socket'), port: String(port) }
      const flags = Object.entries({ ...settings, ...own, 'pid-file': join(folder, 'pid') })
      const all = [...args, ...placement(flavour.root), ...flags.map(([k, v]) => `--${k}=${v}`)]
      return { command, args: all }
    },
    deathSignal: 'SIGKILL',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    probe: async () => probe(uri()),
  })
  await server.start()
  return {
    kind: flavour.kind,
    host: HOST,
    port,
    user: MYSQL_USER,
    password: MYSQL_PASSWORD,
    dataFolder,
    binFolder: join(flavour.root, 'usr/bin'),
    uri,
    tool,
    connection: [`-h${HOST}`, `-P${port}`, `-u${MYSQL_USER}`, `-p${MYSQL_PASSWORD}`],
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

function programOf(root: string, name: string): Tool {
  const path = ['usr/bin', 'usr/sbin']
    .map((at) => join(at, name))
    .find((at) => existsSync(join(root, at)))
  if (!path) throw new Error(`no program ${name} in ${root}`)
  return unpackedTool(root, path)
}

async function probe(uri: string): Promise<void> {
  const connection = await mysql.createConnection({ uri, connectTimeout: 5000 })
  try {
    await connection.query('SELECT 1')
  } finally {
    connection.destroy()
  }
}
