// Another engine on the same tables: Iceberg's Java library, with the libraries of the readers.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { prepareJava } from '../readers/java.ts'
import { cached, cacheFolder } from '../servers/cache.ts'
import { run } from '../servers/command.ts'
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
  await run('java', [...options, '-cp', classPath, 'ForeignEngine', ...args])
}

async function compiledEngine(): Promise<string> {
  await prepareJava()
  const readers = join(import.meta.dirname, '../readers/java')
  const pom = await readFile(join(readers, 'pom.xml'))
  const jars = join(cacheFolder(), `java-libraries-${hashOf(pom)}`, '*')
  const source = join(import.meta.dirname, 'java', 'ForeignEngine.java')
  const name = `java-engine-${hashOf(Buffer.concat([await readFile(source), Buffer.from(jars)]))}`
  const classes = await cached(name, async (folder) => {
    await run('javac', ['-nowarn', '-cp', jars, '-d', folder, source])
  })
  return `${classes}:${jars}`
}

function hashOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 12)
}
