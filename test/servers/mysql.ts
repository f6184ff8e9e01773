// A real MySQL 9.7 for one test, from the packages of Debian unstable.
import { writeFile } from 'node:fs/promises'
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

const SETTINGS: Record<string, string> = {
  'gtid-mode': 'ON',
  'enforce-gtid-consistency': 'ON',
  'innodb-redo-log-capacity': '32M',
  mysqlx: 'OFF',
}

export async function startMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  const root = await packages()
  const flavour = { kind: 'mysql', root, server: 'mysqld', settings: SETTINGS } as const
  return startFlavour({ ...flavour, template: await dataTemplate(root) }, options)
}

/** Makes everything that the first start needs. */
export async function prepareMysql(): Promise<void> {
  await dataTemplate(await packages())
}

async function packages(): Promise<string> {
  return unpackDebian({
    name: 'mysql-9.7',
    suite: 'sid',
    roots: ['mysql-server-core', 'mysql-client-core'],
    drop: /perl|systemd|debconf|passwd/,
  })
}

async function dataTemplate(root: string): Promise<string> {
  const entry = await cached('mysql-9.7-data', async (folder) => {
    // Each statement on one line: that is what an init file can hold.
    const accounts = join(folder, 'accounts.sql')
    const account = `${MYSQL_USER}@'%'`
    const create = `CREATE USER ${account} IDENTIFIED BY '${MYSQL_PASSWORD}';`
    await writeFile(accounts, `${create}\nGRANT ALL ON *.* TO ${account} WITH GRANT OPTION;\n`)
    const { command, args } = unpackedTool(root, 'usr/sbin/mysqld')
    const mode = ['--initialize-insecure', '--skip-log-bin', `--init-file=${accounts}`]
    const size = `--innodb-redo-log-capacity=${SETTINGS['innodb-redo-log-capacity']}`
    const place = `--datadir=${join(folder, 'data')}`
    await run(command, [...args, ...placement(root), place, size, ...mode])
  })
  return join(entry, 'data')
}
