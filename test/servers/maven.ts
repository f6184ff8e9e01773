// Java libraries with all that they need, by Maven, once: a folder of jars in the cache.
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { javaTools } from './java-tools.ts'

/**
 * @param name        of the cache entry, which also depends on the content of the pom
 * @param pom         names the libraries; nothing is built by Maven itself
 * @param properties  of the pom, given from outside
 * @returns the folder with the jars
 */
export async function mavenLibraries(
  name: string,
  pom: string,
  properties: Readonly<Record<string, string>> = {},
): Promise<string> {
  const given = Object.entries(properties).map(([key, value]) => `-D${key}=${value}`)
  const text = Buffer.concat([await readFile(pom), Buffer.from(given.join('\n'))])
  return cached(`${name}-${hashOf(text)}`, async (folder) => {
    // Maven writes beside the pom it reads, so it reads a copy.
    const work = join(folder, 'work')
    await mkdir(work)
    await cp(pom, join(work, 'pom.xml'))
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime']
    const { mvn, env } = await javaTools()
    const args = ['-q', '-B', ...goal, `-DoutputDirectory=${folder}`, ...given]
    await run(mvn, args, { cwd: work, env })
    await rm(work, { recursive: true, force: true })
  })
}

/** Short, and another one for any other content. */
export function hashOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 12)
}
