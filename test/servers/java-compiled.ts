// A Java program of one file, compiled once: its class path.
import { readFile } from 'node:fs/promises'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { javaTools } from './java-tools.ts'
import { hashOf } from './maven.ts'

/**
 * @param name    of the cache entry, which also depends on the source and the libraries
 * @param source  path of the file
 * @param jars    class path of what it needs
 * @returns the class path with which the program starts
 */
export async function compiledJava(name: string, source: string, jars: string): Promise<string> {
  const content = Buffer.concat([await readFile(source), Buffer.from(jars)])
  const classes = await cached(`${name}-${hashOf(content)}`, async (folder) => {
    const { javac, env } = await javaTools()
    await run(javac, ['-nowarn', '-cp', jars, '-d', folder, source], { env })
  })
  return `${classes}:${jars}`
}
