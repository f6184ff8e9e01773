// What can be had on this machine: every server and reader by name, prepared on first question.
import { prepareApicurio } from './apicurio.ts'
import { prepareKafka } from './kafka.ts'
import { prepareMariadb } from './mariadb.ts'
import { prepareMysql } from './mysql.ts'
import { preparePostgres } from './postgres.ts'

const preparations = {
  postgres18: async () => preparePostgres(18),
  postgres15: async () => preparePostgres(15),
  mariadb: prepareMariadb,
  mysql: prepareMysql,
  apicurio: prepareApicurio,
  kafka4: async () => prepareKafka('kafka4'),
  kafka3: async () => prepareKafka('kafka3'),
  // Loaded when asked for: DuckDB's binding is large, and most tests need no reader.
  python: async () => (await import('../readers/python.ts')).preparePython(),
  duckdb: async () => (await import('../readers/duckdb.ts')).prepareDuckdb(),
  java: async () => (await import('../readers/java.ts')).prepareJava(),
} as const satisfies Record<string, () => Promise<void>>

export type Facility = keyof typeof preparations

export const facilities = Object.keys(preparations) as readonly Facility[]

const answers = new Map<Facility, Promise<boolean>>()

/** Downloads and builds what the facility needs, unless the cache has it; throws if it cannot. */
export async function prepare(name: Facility): Promise<void> {
  await preparations[name]()
}

/**
 * Whether tests can use the facility; installs it if need be. Under CI a missing one is a
 * failure, for a test that is always skipped protects nothing.
 *
 *     test.skipIf(!(await available('mysql')))('a claim', async () => { ... })
 */
export async function available(name: Facility): Promise<boolean> {
  const known = answers.get(name) ?? answer(name)
  answers.set(name, known)
  return known
}

async function answer(name: Facility): Promise<boolean> {
  try {
    await prepare(name)
    return true
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    console.warn(`${name} cannot be had here, its tests are skipped: ${String(error)}`)
    return false
  }
}
