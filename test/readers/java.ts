// Reads Iceberg tables with Iceberg's own Java library, the strictest independent reader. The
// libraries come by Maven and the one class is compiled once; both stay in the cache.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../servers/command.ts'
import { compiledJava } from '../servers/java-compiled.ts'
import { javaTools } from '../servers/java-tools.ts'
import { mavenLibraries } from '../servers/maven.ts'
import { serverFolder } from '../servers/process.ts'
import { catalogNameOf } from './catalog-name.ts'
import { type CatalogRequest, type LakeDump, readDumpFile, requestText } from './dump-file.ts'
import { askService } from './ask.ts'

const SOURCES = join(import.meta.dirname, 'java')
const PROGRAMS = ['ReaderService', 'IcebergDump', 'IcebergPlan']

// A JVM costs seconds: the first compiler tier and one collector thread halve that.
const JVM = ['-Xmx1g', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'

/** One program for all tables and snapshots of the request, so ask for many at once. */
export async function readIcebergWithJava(request: CatalogRequest): Promise<LakeDump[]> {
  const folder = await serverFolder('java')
  try {
    const output = join(folder, 'dump')
    const tables = (request.tables ?? []).map(requestText)
    const args = [output, request.catalog, catalogNameOf(request), ...tables]
    await runReader('IcebergDump', args)
    return await readDumpFile(output)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * @param args  as of IcebergPlan.java, without the output
 * @returns its output
 */
export async function planIcebergWithJava(args: readonly string[]): Promise<string> {
  const folder = await serverFolder('java-plan')
  try {
    const output = join(folder, 'plan')
    await runReader('IcebergPlan', [output, ...args])
    return await readFile(output, 'utf8')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Makes everything that the first read needs. */
export async function prepareJava(): Promise<void> {
  for (const name of PROGRAMS) await compiled(name)
}

/** What starts the JVM that stays. */
export async function javaServiceCommand(
  socket: string,
): Promise<{ command: string; args: string[]; env: Record<string, string> }> {
  const classPath = await Promise.all(PROGRAMS.map(compiled))
  const { java, env } = await javaTools()
  const args = [...JVM, QUIET, '-cp', classPath.join(':'), 'ReaderService', socket]
  return { command: java, args, env }
}

async function runReader(className: string, args: readonly string[]): Promise<void> {
  if ((await askService('java', [className, ...args])) !== null) return
  const classPath = await compiled(className)
  const { java, env } = await javaTools()
  await run(java, [...JVM, QUIET, '-cp', classPath, className, ...args], { env })
}

/** @returns the class path of Iceberg for Java and what it needs */
export async function javaLibraries(): Promise<string> {
  return join(await mavenLibraries('java-libraries', join(SOURCES, 'pom.xml')), '*')
}

async function compiled(className: string): Promise<string> {
  const source = join(SOURCES, `${className}.java`)
  return compiledJava('java-reader', source, await javaLibraries())
}
