// Where PostgreSQL's own client programs are: on the machine, else unpacked from Debian, else
// replaced by readers of our own that do nothing but drain the socket.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Tool } from '../test/servers/command.ts'
import { unpackDebian, unpackedTool } from '../test/servers/debian.ts'

const DRAIN = fileURLToPath(new URL('peers/postgres-drain.ts', import.meta.url))

export interface PostgresTools {
  /** `null`: use `drain`. */
  readonly psql: Tool | null
  readonly pgRecvlogical: Tool | null
  readonly drain: Tool
}

export async function findPostgresTools(): Promise<PostgresTools> {
  const drain = { command: process.execPath, args: [DRAIN] }
  const psql = installed('psql')
  const pgRecvlogical = installed('pg_recvlogical')
  if (psql !== null && pgRecvlogical !== null) return { psql, pgRecvlogical, drain }
  try {
    const root = await unpackDebian({
      name: 'postgresql-client-15',
      suite: 'bookworm',
      roots: ['postgresql-client-15'],
      drop: /perl|debconf|passwd|sensible-utils|postgresql-client-common/,
    })
    const bin = 'usr/lib/postgresql/15/bin'
    return {
      psql: unpackedTool(root, join(bin, 'psql')),
      pgRecvlogical: unpackedTool(root, join(bin, 'pg_recvlogical')),
      drain,
    }
  } catch (error) {
    console.warn(`no PostgreSQL client programs, own drains take their place: ${String(error)}`)
    return { psql, pgRecvlogical, drain }
  }
}

/** Debian's commands in /usr/bin are Perl scripts that look for the newest version first. */
function installed(name: string): Tool | null {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root) : []
  const numeric = versions.toSorted((left, right) => Number(right) - Number(left))
  const folders = [
    ...numeric.map((version) => join(root, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(':'),
  ]
  const folder = folders.find((each) => existsSync(join(each, name)))
  return folder === undefined ? null : { command: join(folder, name), args: [] }
}
