// A real MariaDB 10.11 for one test, from the packages of Debian 12.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { unpackDebian, unpackedTool } from './debian.ts'
import {
  MYSQL_PASSWORD,
  MYSQL_USER,
  type MysqlOptions,
  type MysqlServer,
  placement,
  startFlavour,
} from './mysql-family.ts'

const SETTINGS: Record<string, string> = { 'innodb-log-file-size': '32M' }

// What mariadb-install-db feeds to the server, in its order, without the test database. The
// anonymous users, which would shadow accounts, come with that database only.
const SYSTEM_SQL = [
  'mysql_system_tables.sql',
  'mysql_performance_tables.sql',
  'mysql_system_tables_data.sql',
  'fill_help_tables.sql',
  'maria_add_gis_sp_bootstrap.sql',
  'mysql_sys_schema.sql',
]

export async function startMariadb(options: MysqlOptions = {}): Promise<MysqlServer> {
  const root = await packages()
  const flavour = { kind: 'mariadb', root, server: 'mariadbd', settings: SETTINGS } as const
  return startFlavour({ ...flavour, template: await dataTemplate(root) }, options)
}

/** Makes everything that the first start needs. */
export async function prepareMariadb(): Promise<void> {
  await dataTemplate(await packages())
}

async function packages(): Promise<string> {
  return unpackDebian({
    name: 'mariadb-10.11',
    suite: 'bookworm',
    roots: ['mariadb-server-core', 'mariadb-client-core'],
    // mariadb-binlog and mariadb-dump; their own dependencies are for running as a service.
    extra: ['mariadb-server', 'mariadb-client'],
    drop: /^(lsb-base|libelogind.*|perl.*|debconf.*|passwd)$/,
  })
}

async function dataTemplate(root: string): Promise<string> {
  const entry = await cached('mariadb-10.11-data', async (folder) => {
    const share = join(root, 'usr/share/mysql')
    const parts = SYSTEM_SQL.map((name) => readFile(join(share, name), 'utf8'))
    const sql = [
      'create database mysql;\nuse mysql;\nSET @auth_root_socket=NULL;',
      ...(await Promise.all(parts)),
      // The installed root accounts have no password and go before ours, being more exact.
      "DELETE FROM mysql.global_priv WHERE User = 'root';",
      'FLUSH PRIVILEGES;',
      `GRANT ALL ON *.* TO ${MYSQL_USER}@'%' IDENTIFIED BY '${MYSQL_PASSWORD}' WITH GRANT OPTION;`,
    ]
    const { command, args } = unpackedTool(root, 'usr/sbin/mariadbd')
    const mode = ['--bootstrap', '--skip-log-bin', '--character-set-server=utf8mb4']
    const logSize = `--innodb-log-file-size=${SETTINGS['innodb-log-file-size']}`
    const sizes = [
      logSize,
      '--max-allowed-packet=8M',
      '--net-buffer-length=16K',
      '--log-warnings=0',
    ]
    const place = `--datadir=${join(folder, 'data')}`
    await run('mkdir', [join(folder, 'data')])
    await run(command, [...args, ...placement(root), place, ...mode, ...sizes], {
      input: `${sql.join('\n')}\n`,
    })
  })
  return join(entry, 'data')
}
