// Java and Maven: the machine's own where it has both, else Debian's, unpacked into the cache.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.ts'
import { CERTIFICATES, unpackDebian, writeCertificates } from './debian.ts'

export interface JavaTools {
  java: string
  javac: string
  jcmd: string
  mvn: string
  env: Record<string, string>
}

const TRUST_STORE = 'certificates.p12'
const TRUST_STORE_PASSWORD = 'changeit'

let found: Promise<JavaTools> | undefined

export async function javaTools(): Promise<JavaTools> {
  found ??= findTools()
  return found
}

async function findTools(): Promise<JavaTools> {
  const own = { java: 'java', javac: 'javac', jcmd: 'jcmd', mvn: 'mvn', env: {} }
  const usable = await Promise.all([run('javac', ['-version']), run('mvn', ['-version'])]).then(
    ([version]) => Number(/\d+/.exec(version)?.[0]) >= 17,
    () => false,
  )
  if (usable) return own
  const root = await unpackDebian({
    name: 'java-17',
    suite: 'bookworm',
    roots: ['openjdk-17-jdk-headless', 'maven'],
    extra: ['ca-certificates'],
    // Of the native libraries a program without windows needs only what every Debian has.
    drop: /^(?!openjdk-17|maven$|.*-java$)/,
    finish: async (folder) => {
      await writeCertificates(folder)
      await writeTrustStore(folder)
    },
  })
  return toolsBelow(root)
}

async function toolsBelow(root: string): Promise<JavaTools> {
  const machines = join(root, 'usr/lib/jvm')
  const name = (await readdir(machines)).find((entry) => /^java-17-openjdk-\w+$/.test(entry))
  const home = join(machines, name ?? '')
  const store = [`trustStore=${join(root, TRUST_STORE)}`, 'trustStoreType=PKCS12']
  const trust = [...store, `trustStorePassword=${TRUST_STORE_PASSWORD}`]
  return {
    java: join(home, 'bin/java'),
    javac: join(home, 'bin/javac'),
    jcmd: join(home, 'bin/jcmd'),
    mvn: join(root, 'usr/share/maven/bin/mvn'),
    env: {
      JAVA_HOME: home,
      MAVEN_OPTS: trust.map((option) => `-Djavax.net.ssl.${option}`).join(' '),
    },
  }
}

/** Java trusts a store of its own kind; Debian would make it while installing. */
async function writeTrustStore(folder: string): Promise<void> {
  const { java } = await toolsBelow(folder)
  const source = join(import.meta.dirname, 'java', 'TrustStore.java')
  const files = [join(folder, CERTIFICATES), join(folder, TRUST_STORE)]
  await run(java, [source, ...files, TRUST_STORE_PASSWORD])
}
