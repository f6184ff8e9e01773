// The findings of `check` about the server's settings and the user's privileges, each with the SQL
// that repairs it.

import { tableKey } from '../../runtime/data/schema.ts'
import type { Finding } from '../../runtime/source.ts'
import type { Ask, CatalogTable } from './catalog.ts'
import { quoteName } from './connect.ts'
import type { PostgresOptions } from './options.ts'
import { qualified, type Publication } from './publication.ts'
import { VERSION_END, VERSION_MIN, type ServerFacts } from './server.ts'

export function pass(name: string, message: string): Finding {
  return { name, ok: true, warning: false, message, fix: null }
}

export function warning(name: string, message: string, fix: string | null): Finding {
  return { name, ok: false, warning: true, message, fix }
}

export function fail(name: string, message: string, fix: string | null): Finding {
  return { name, ok: false, warning: false, message, fix }
}

const SERVER_SQL = `
SELECT current_setting('max_replication_slots')::int AS slots,
  (SELECT count(*)::int FROM pg_replication_slots) AS "slotsUsed",
  EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1) AS "slotExists",
  current_setting('max_wal_senders')::int AS senders,
  (SELECT count(*)::int FROM pg_stat_replication) AS "sendersUsed",
  current_setting('max_slot_wal_keep_size') AS kept`

export async function checkServer(
  ask: Ask,
  facts: ServerFacts,
  { slot }: PostgresOptions,
): Promise<Finding[]> {
  const [row] = await ask(SERVER_SQL, [slot])
  const [slots, slotsUsed] = [Number(row?.['slots']), Number(row?.['slotsUsed'])]
  const [senders, sendersUsed] = [Number(row?.['senders']), Number(row?.['sendersUsed'])]
  const slotsFree = slots - slotsUsed + (row?.['slotExists'] === true ? 1 : 0)
  return [
    checkVersion(facts),
    checkLevel(facts),
    checkEncoding(facts),
    enough('max_replication_slots', slotsFree, slots),
    enough('max_wal_senders', senders - sendersUsed, senders),
    checkKept(String(row?.['kept'])),
  ]
}

function checkVersion({ version, standby }: ServerFacts): Finding {
  const major = Math.floor(version / 10_000)
  if (standby) return fail('server', 'the server is a standby: connect to the primary', null)
  if (version >= VERSION_MIN && version < VERSION_END) return pass('server', `PostgreSQL ${major}`)
  return fail('server', `PostgreSQL ${major} is not supported: 14 to 18 are`, null)
}

function checkLevel({ walLevel }: ServerFacts): Finding {
  if (walLevel === 'logical') return pass('wal_level', 'logical')
  const fix = 'ALTER SYSTEM SET wal_level = logical;\n-- then restart the server'
  return fail('wal_level', `is ${walLevel}; the log then has no rows`, fix)
}

function checkEncoding({ encoding }: ServerFacts): Finding {
  if (encoding !== 'SQL_ASCII') return pass('encoding', encoding)
  return fail('encoding', 'SQL_ASCII does not say what its text means', null)
}

function enough(setting: string, free: number, total: number): Finding {
  if (free > 0) return pass(setting, `${free} of ${total} are free`)
  const fix = `ALTER SYSTEM SET ${setting} = ${total + 5};\n-- then restart the server`
  return fail(setting, `all ${total} are in use`, fix)
}

/** Without a bound a pipeline that is down fills the disk; with a small one it loses its slot. */
function checkKept(kept: string): Finding {
  const name = 'max_slot_wal_keep_size'
  if (kept !== '-1') return pass(name, `the slot is invalidated when it is ${kept} behind`)
  const what = 'is unlimited: a pipeline that does not run keeps the log until the disk is full'
  return warning(name, what, `ALTER SYSTEM SET ${name} = '100GB';\nSELECT pg_reload_conf();`)
}

const USER_SQL = `
SELECT rolsuper AS super, rolreplication AS replication,
  has_database_privilege(current_database(), 'CREATE') AS create, current_user AS name,
  current_database() AS database
FROM pg_roles WHERE rolname = current_user`

const TABLE_SQL = `
SELECT c.oid::text AS oid, has_table_privilege(c.oid, 'SELECT') AS "canSelect",
  has_schema_privilege(c.relnamespace, 'USAGE') AS "canUse",
  pg_has_role(c.relowner, 'USAGE') AS owns,
  row_security_active(c.oid) AS "hidesRows"
FROM pg_class c WHERE c.oid = ANY($1::oid[])`

export async function checkUser(
  ask: Ask,
  tables: readonly CatalogTable[],
  publication: Publication | null,
  { publication: name }: PostgresOptions,
): Promise<Finding[]> {
  const [user] = await ask(USER_SQL)
  const who = quoteName(String(user?.['name']))
  const rights = await ask(TABLE_SQL, [tables.map(({ oid }) => oid)])
  const byOid = new Map(rights.map((row) => [Number(row['oid']), row]))
  const findings: Finding[] = []
  if (user?.['super'] !== true && user?.['replication'] !== true) {
    findings.push(fail('REPLICATION', `user ${who} lacks it`, `ALTER ROLE ${who} REPLICATION;`))
  }
  if (publication === null && user?.['super'] !== true && user?.['create'] !== true) {
    const on = `ON DATABASE ${quoteName(String(user?.['database']))}`
    const what = `user ${who} may not create publication "${name}"`
    findings.push(fail('CREATE', what, `GRANT CREATE ${on} TO ${who};`))
  }
  for (const table of tables) {
    const row = byOid.get(table.oid)
    const what = tableKey(table)
    const isMember = publication?.members.has(table.oid) === true
    if (row?.['canUse'] !== true) {
      const fix = `GRANT USAGE ON SCHEMA ${quoteName(table.namespace)} TO ${who};`
      findings.push(fail(what, `user ${who} may not use its schema`, fix))
    }
    if (row?.['canSelect'] !== true) {
      const fix = `GRANT SELECT ON ${qualified(table)} TO ${who};`
      findings.push(fail(what, `user ${who} may not read it`, fix))
    }
    if (!isMember && user?.['super'] !== true && row?.['owns'] !== true) {
      const fix = `ALTER PUBLICATION ${quoteName(name)} ADD TABLE ONLY ${qualified(table)};`
      findings.push(fail(what, 'only its owner can add it to the publication', fix))
    }
    if (row?.['hidesRows'] === true) {
      const fix = `ALTER ROLE ${who} BYPASSRLS;`
      findings.push(fail(what, 'row security hides rows from the backfill', fix))
    }
  }
  if (findings.length > 0) return findings
  return [pass('privileges', `user ${who} may do all that is needed`)]
}
