// A real schema registry for one test: Apicurio, which speaks Confluent's API. It keeps its schemas
// in memory, so a restart is a registry that has lost everything.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { javaTools } from './java-tools.ts'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { freePort, serverFolder, serverProcess } from './process.ts'

const VERSION = '2.5.11.Final'
const ARTIFACT = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`
const MAVEN_COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy'
const REQUEST_TIMEOUT_MS = 10_000

export interface SchemaToRegister {
  readonly schemaType: 'AVRO' | 'PROTOBUF' | 'JSON'
  readonly schema: string
  readonly references?: readonly {
    readonly name: string
    readonly subject: string
    readonly version: number
  }[]
}

export interface ApicurioServer {
  /** Base of Confluent's API. */
  readonly url: string
  /** @returns the id that the schema has got */
  register: (subject: string, schema: SchemaToRegister) => Promise<number>
  /** Ends it and keeps its port. */
  halt: () => Promise<void>
  /** Starts it again, empty. */
  restart: () => Promise<void>
  stop: () => Promise<void>
}

export async function startApicurio(): Promise<ApicurioServer> {
  const root = await unpacked()
  const { java, env } = await javaTools()
  const folder = await serverFolder('apicurio')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const http = ['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`]
  const jvm = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const jar = join(root, `apicurio-registry-app-${VERSION}-runner.jar`)
  const server = serverProcess({
    name: 'Apicurio',
    folder,
    launch: () => ({ command: java, args: [...jvm, ...http, '-jar', jar], env }),
    deathSignal: 'SIGKILL',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    probe: async () => void (await request(`${url}/subjects`)),
  })
  await server.start()
  return {
    url,
    register: async (subject, schema) => {
      const answer = await request(
        `${url}/subjects/${encodeURIComponent(subject)}/versions`,
        schema,
      )
      return (answer as { id: number }).id
    },
    halt: server.halt,
    restart: server.start,
    stop: server.stop,
  }
}

/** Downloads and unpacks what the first start needs. */
export async function prepareApicurio(): Promise<void> {
  await unpacked()
  await javaTools()
}

async function unpacked(): Promise<string> {
  return cached(`apicurio-${VERSION}`, async (folder) => {
    const { mvn, env } = await javaTools()
    const options = [`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`]
    await run(mvn, ['-q', '-B', MAVEN_COPY, ...options], { cwd: folder, env })
    const archive = (await readdir(folder)).find((name) => name.endsWith('.tar.gz'))
    if (archive === undefined) throw new Error(`Maven did not bring ${ARTIFACT}`)
    await run('tar', ['-xzf', archive], { cwd: folder })
    await rm(join(folder, archive))
  })
}

/** Posts `body`, or asks where there is none. */
async function request(url: string, body?: unknown): Promise<unknown> {
  const answer = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${text.slice(0, 500)}`)
  return JSON.parse(text)
}
