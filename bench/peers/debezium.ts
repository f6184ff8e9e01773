// What Java offers for the logs of databases: Debezium's engine, counting changes.

import { fileURLToPath } from 'node:url'
import { compiledJava } from '../../test/servers/java-compiled.ts'
import { javaTools } from '../../test/servers/java-tools.ts'
import { mavenLibraries } from '../../test/servers/maven.ts'
import type { Reference } from '../engine.ts'

const CLASS = 'CountChanges'
/** As its documentation has it, but without the first seconds of every connector's log. */
const JVM = ['-Xmx2g', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']

/**
 * @param rows    of the log
 * @param config  of the connector
 */
export async function debeziumReference(
  rows: number,
  password: string,
  config: Readonly<Record<string, string>>,
): Promise<Reference> {
  const { java } = await javaTools()
  const options = Object.entries(config).map(([key, value]) => `${key}=${value}`)
  const command = {
    program: java,
    args: [...JVM, '-cp', await classPath(), CLASS, String(rows), ...options],
    env: { BENCH_PASSWORD: password },
    stdout: 'keep',
  } as const
  const name = 'Debezium Engine, counting'
  return { name, kind: 'peer', commands: [command], reportsItself: true }
}

async function classPath(): Promise<string> {
  const source = fileURLToPath(new URL(`java/${CLASS}.java`, import.meta.url))
  const pom = fileURLToPath(new URL('java/pom.xml', import.meta.url))
  const jars = `${await mavenLibraries('debezium', pom)}/*`
  return compiledJava('debezium-peer', source, jars)
}
