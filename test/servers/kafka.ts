// A real Kafka cluster for one test, 4.3 or 3.9, from Maven's jars: one to three nodes, each broker
// and controller in one process, with small topics of its own so that it is ready in seconds.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { connect } from 'node:net'
import { cached } from './cache.ts'
import { run } from './command.ts'
import { javaTools } from './java-tools.ts'
import { hashOf, mavenLibraries } from './maven.ts'
import { freePort, serverFolder, serverProcess, type ServerProcess } from './process.ts'

export const KAFKA_VERSIONS = { kafka4: '4.3.1', kafka3: '3.9.2' } as const

export type KafkaLine = keyof typeof KAFKA_VERSIONS

export interface KafkaOptions {
  line?: KafkaLine
  nodes?: 1 | 2 | 3
  /** Broker settings by name; they win over the defaults. */
  settings?: Record<string, string>
  /**
   * Opens listeners with SASL, with and without TLS, for the users of KAFKA_USERS, and switches
   * the authorizer on: who comes by the plain listener may do everything, others what ACLs allow.
   */
  secured?: boolean
  /**
   * By node: the port of a proxy. It is what a further listener of the node says of itself, so who
   * comes by the proxy stays behind it.
   */
  proxies?: readonly number[]
  /** Options of Java in place of those for a test's short life. */
  jvm?: readonly string[]
}

export interface KafkaServer {
  version: string
  /** `host:port` of each node's plain listener. */
  brokers: readonly string[]
  /** The same with SASL, and with SASL over TLS; empty unless secured. */
  saslBrokers: readonly string[]
  tlsBrokers: readonly string[]
  /** The certificate that the TLS listeners show, as PEM: it is its own CA. */
  ca: string
  /** Where the proxies lead to, by node; empty without them. */
  behindProxies: readonly number[]
  /** By node id - 1. `halt` is a clean end, `kill` a crash; `start` brings it back. */
  nodes: readonly ServerProcess[]
  /** Runs one of Kafka's own programs and gives what it printed. */
  tool: (mainClass: string, args: readonly string[], input?: string) => Promise<string>
  /** What `tool` would start, with the JVM's defaults: for measurements. */
  toolCommand: (mainClass: string, args: readonly string[]) => Promise<ToolCommand>
  stop: () => Promise<void>
}

export interface ToolCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
}

/** Password by user, the same for PLAIN and SCRAM. */
export const KAFKA_USERS = { alice: 'alice-secret', bob: 'bob-secret' } as const

const HOST = '127.0.0.1'
const CLUSTER_ID = 'MillraceTestCluster000'
const STORE_PASSWORD = 'changeit'

// The first compiler tier and one collector thread: a test's broker works for seconds.
const JVM = [
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
]

const BROKER = 'kafka.Kafka'

interface NodePorts {
  readonly plain: number
  readonly controller: number
  readonly sasl: number
  readonly tls: number
  readonly proxied: number
}

export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const { line = 'kafka4', nodes = 1, secured = false, proxies = [] } = options
  const version = KAFKA_VERSIONS[line]
  const libraries = await kafkaLibraries(line)
  const jvm = options.jvm ?? [...JVM, `-XX:SharedArchiveFile=${await brokerClasses(line)}`]
  const ports: NodePorts[] = []
  for (let node = 0; node < nodes; node++) ports.push(await nodePorts())
  const store = secured ? await keyStore() : null
  const processes: ServerProcess[] = []
  for (let node = 1; node <= nodes; node++) {
    const folder = await serverFolder(`kafka-${node}`)
    const given = options.settings
    const settings = nodeSettings({ node, ports, folder, line, store, proxies, given })
    await writeFile(join(folder, 'server.properties'), propertiesText(settings))
    await cp(await formatted(line, node, nodes), join(folder, 'data'), { recursive: true })
    const port = ports[node - 1]?.plain ?? 0
    processes.push(await nodeProcess({ libraries, folder, version, port, jvm }))
  }
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map(async (one) => one.stop()))
  }
  try {
    // Together: a controller alone in a quorum of three never becomes ready.
    await Promise.all(processes.map(async (one) => one.start()))
  } catch (error) {
    await stop()
    throw error
  }
  const at = (key: keyof NodePorts): string[] => ports.map((own) => `${HOST}:${own[key]}`)
  return {
    version,
    brokers: at('plain'),
    saslBrokers: secured ? at('sasl') : [],
    tlsBrokers: secured ? at('tls') : [],
    ca: store === null ? '' : await readFile(join(dirname(store), 'ca.pem'), 'utf8'),
    behindProxies: proxies.map((_, index) => ports[index]?.proxied ?? 0),
    nodes: processes,
    tool: async (mainClass, args, input = '') => runJava(libraries, mainClass, args, input),
    toolCommand: async (mainClass, args) => {
      const { java, env } = await javaTools()
      return { program: java, args: ['-cp', join(libraries, '*'), mainClass, ...args], env }
    },
    stop,
  }
}

/** Makes everything that the first start needs. */
export async function prepareKafka(line: KafkaLine): Promise<void> {
  await kafkaLibraries(line)
  await formatted(line, 1, 1)
  await brokerClasses(line)
}

/** By line; a machine's Java does not change under a process. */
const classes = new Map<KafkaLine, Promise<string>>()

/**
 * The classes of a broker as a JVM has them in memory: a third of the work of a start is to load
 * them. A JVM that cannot use the file, or finds none, starts as ever.
 */
async function brokerClasses(line: KafkaLine): Promise<string> {
  const known = classes.get(line) ?? dumpedClasses(line)
  classes.set(line, known)
  return known
}

async function dumpedClasses(line: KafkaLine): Promise<string> {
  const { java, jcmd, env } = await javaTools()
  const made = hashOf(Buffer.from(await run(java, ['--version'], { env })))
  const entry = await cached(`kafka-${KAFKA_VERSIONS[line]}-classes-${made}`, async (folder) => {
    const broker = await startKafka({ line, jvm: [...JVM, '-XX:+RecordDynamicDumpInfo'] })
    try {
      const dump = [String(broker.nodes[0]?.pid()), 'VM.cds', 'dynamic_dump']
      // Not every JVM can: what is lost is time.
      await run(jcmd, [...dump, join(folder, 'classes.jsa')], { env }).catch(() => '')
    } finally {
      await broker.stop()
    }
  })
  return join(entry, 'classes.jsa')
}

async function kafkaLibraries(line: KafkaLine): Promise<string> {
  const version = KAFKA_VERSIONS[line]
  const pom = join(import.meta.dirname, 'java', 'kafka-pom.xml')
  return mavenLibraries(`kafka-${version}`, pom, { 'kafka.version': version })
}

async function runJava(
  libraries: string,
  mainClass: string,
  args: readonly string[],
  input = '',
): Promise<string> {
  const { java, env } = await javaTools()
  return run(java, [...JVM, '-cp', join(libraries, '*'), mainClass, ...args], { env, input })
}

async function nodePorts(): Promise<NodePorts> {
  const all: number[] = []
  while (all.length < 5) all.push(await freePort())
  if (new Set(all).size < all.length) return nodePorts()
  const [plain = 0, controller = 0, sasl = 0, tls = 0, proxied = 0] = all
  return { plain, controller, sasl, tls, proxied }
}

async function nodeProcess(node: {
  readonly libraries: string
  readonly folder: string
  readonly version: string
  readonly port: number
  readonly jvm: readonly string[]
}): Promise<ServerProcess> {
  const { libraries, folder, version, port, jvm } = node
  const { java, env } = await javaTools()
  const args = [...jvm, '-cp', join(libraries, '*'), BROKER]
  return serverProcess({
    name: `Kafka ${version}`,
    folder,
    launch: () => ({
      command: java,
      args: [...args, join(folder, 'server.properties')],
      env: { ...env, LOG_DIR: folder },
    }),
    deathSignal: 'SIGKILL',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    probe: async () => answers(port),
  })
}

interface NodePlan {
  readonly node: number
  readonly ports: readonly NodePorts[]
  readonly folder: string
  readonly line: KafkaLine
  readonly store: string | null
  readonly proxies: readonly number[]
  readonly given: Record<string, string> | undefined
}

/** Everything as small and as quick as a test's cluster can be. */
function nodeSettings({ node, ports, folder, line, store, proxies, given }: NodePlan): Settings {
  const own = ports[node - 1]
  if (own === undefined) throw new Error(`node ${node} has no ports`)
  const voters = ports.map(({ controller }, index) => `${index + 1}@${HOST}:${controller}`)
  const replicas = String(ports.length)
  const isr = String(Math.min(2, ports.length))
  const listeners = [`PLAIN://${HOST}:${own.plain}`]
  if (store !== null) listeners.push(`SASL://${HOST}:${own.sasl}`, `TLS://${HOST}:${own.tls}`)
  const shown = [...listeners]
  const proxy = proxies[node - 1]
  if (proxy !== undefined) {
    listeners.push(`PROXIED://${HOST}:${own.proxied}`)
    shown.push(`PROXIED://${HOST}:${proxy}`)
  }
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node),
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: [...listeners, `CONTROLLER://${HOST}:${own.controller}`].join(','),
    'advertised.listeners': shown.join(','),
    'listener.security.protocol.map':
      'PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL',
    'inter.broker.listener.name': 'PLAIN',
    'log.dirs': join(folder, 'data'),
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': isr,
    'transaction.state.log.num.partitions': '1',
    ...(line === 'kafka4' && {
      'share.coordinator.state.topic.replication.factor': replicas,
      'share.coordinator.state.topic.min.isr': isr,
    }),
    'group.initial.rebalance.delay.ms': '0',
    // A node that was killed may register again only when its last session is over.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'auto.create.topics.enable': 'false',
    'num.network.threads': '2',
    'num.io.threads': '2',
    'log.cleaner.dedupe.buffer.size': '2097152',
    ...(store !== null && securitySettings(store)),
    ...given,
  }
}

type Settings = Record<string, string>

function securitySettings(store: string): Settings {
  const module = (name: string, rest = ''): string =>
    `org.apache.kafka.common.security.${name} required${rest};`
  const users = Object.entries(KAFKA_USERS).map(([user, word]) => ` user_${user}="${word}"`)
  const settings: Settings = {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    'ssl.keystore.location': store,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': STORE_PASSWORD,
    'ssl.client.auth': 'none',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
  }
  for (const listener of ['sasl', 'tls']) {
    const jaas = (mechanism: string): string =>
      `listener.name.${listener}.${mechanism}.sasl.jaas.config`
    settings[jaas('plain')] = module('plain.PlainLoginModule', users.join(''))
    for (const size of [256, 512]) {
      settings[jaas(`scram-sha-${size}`)] = module('scram.ScramLoginModule')
    }
    // Unsigned tokens, which only a test's broker takes.
    settings[jaas('oauthbearer')] = module(
      'oauthbearer.OAuthBearerLoginModule',
      ' unsecuredLoginStringClaim_sub="broker"',
    )
  }
  return settings
}

function propertiesText(settings: Settings): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/** A data folder as `kafka-storage format` leaves it; it takes a JVM, so it is made once. */
async function formatted(line: KafkaLine, node: number, nodes: number): Promise<string> {
  const users = Object.entries(KAFKA_USERS).flatMap(([name, password]) =>
    [256, 512].flatMap((size) => [
      '--add-scram',
      `SCRAM-SHA-${size}=[name=${name},password="${password}"]`,
    ]),
  )
  const version = KAFKA_VERSIONS[line]
  const made = hashOf(Buffer.from([CLUSTER_ID, ...users].join()))
  const entry = await cached(
    `kafka-${version}-data-${node}-of-${nodes}-${made}`,
    async (folder) => {
      const ports = Array.from({ length: nodes }, () => ({
        plain: 1,
        controller: 2,
        sasl: 3,
        tls: 4,
        proxied: 5,
      }))
      const plan = { node, ports, folder, line, store: null, proxies: [], given: undefined }
      const file = join(folder, 'server.properties')
      await mkdir(join(folder, 'data'))
      await writeFile(file, propertiesText(nodeSettings(plan)))
      const args = ['format', '-t', CLUSTER_ID, '-c', file, ...users]
      await runJava(await kafkaLibraries(line), 'kafka.tools.StorageTool', args)
    },
  )
  return join(entry, 'data')
}

/** A key and a certificate for it that signs itself, for 127.0.0.1 and localhost. */
async function keyStore(): Promise<string> {
  const entry = await cached('kafka-key-store-1', async (folder) => {
    const { java, env } = await javaTools()
    const keytool = java.includes('/') ? join(dirname(java), 'keytool') : 'keytool'
    const store = ['-keystore', join(folder, 'server.p12'), '-storepass', STORE_PASSWORD]
    const own = ['-alias', 'server', '-storetype', 'PKCS12', ...store]
    const key = ['-keyalg', 'RSA', '-keysize', '2048', '-validity', '3650']
    const names = ['-dname', 'CN=localhost', '-ext', 'SAN=dns:localhost,ip:127.0.0.1']
    await run(keytool, ['-genkeypair', ...own, ...key, ...names], { env })
    const file = join(folder, 'ca.pem')
    await run(keytool, ['-exportcert', '-rfc', '-file', file, '-alias', 'server', ...store], {
      env,
    })
  })
  return join(entry, 'server.p12')
}

/** A broker is ready when it answers ApiVersions v0. */
async function answers(port: number): Promise<void> {
  const request = Buffer.from('0000000a001200000000000100000000', 'hex').subarray(0, 14)
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: HOST, port }, () => socket.write(request))
    socket.setTimeout(2000, () => socket.destroy(new Error('the broker does not answer')))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the broker closed the connection')))
    socket.once('data', () => {
      resolve()
      socket.destroy()
    })
  })
}
