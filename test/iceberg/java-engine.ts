// Another engine on the same tables: Iceberg's Java library, with the libraries of the readers.

import { join } from 'node:path'
import { javaLibraries } from '../readers/java.ts'
import { run } from '../servers/command.ts'
import { compiledJava } from '../servers/java-compiled.ts'
import { javaTools } from '../servers/java-tools.ts'
import type { Lake } from './lake.ts'

export type JavaAction =
  | 'append'
  | 'rewrite-manifests'
  | 'expire'
  | 'rollback'
  | 'add-column'
  | 'remove-file'

/** Runs one commit of Iceberg Java on a table of the lake. */
export async function javaCommit(
  lake: Lake,
  table: string,
  action: JavaAction,
  argument = '',
): Promise<void> {
  const classPath = await compiledEngine()
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
  const options = ['-Xmx1g', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', quiet]
  const args = [lake.catalogPath, 'lake', table, action, argument]
  const { java, env } = await javaTools()
  await run(java, [...options, '-cp', classPath, 'ForeignEngine', ...args], { env })
}

async function compiledEngine(): Promise<string> {
  const source = join(import.meta.dirname, 'java', 'ForeignEngine.java')
  return compiledJava('java-engine', source, await javaLibraries())
}
