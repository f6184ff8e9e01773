// A pipeline as its user has it: a file, a state folder, a lake, and a process started from the
// command line that the test may kill at any moment. Nothing of the product runs in the test
// itself.
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { localStore } from '../../connectors/storage/local.ts'
import type { CheckpointRecord } from '../../runtime/checkpoint/manifest.ts'
import { CheckpointStore } from '../../runtime/checkpoint/store.ts'
import { readStatus } from '../../runtime/console/status-file.ts'
import type { PipelineStatus } from '../../runtime/console/status.ts'
import type { KafkaServer } from '../servers/kafka.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import type { PostgresServer } from '../servers/postgres.ts'
import { serverFolder } from '../servers/process.ts'
import { PROGRAM_VARIABLE } from '../servers/program.ts'
import type { Random } from '../workload/random.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = process.env[PROGRAM_VARIABLE] ?? join(ROOT, 'runtime/cli/main.ts')
const PINNED_NODE = join(ROOT, 'node_modules/node/bin/node')
const POLL_MS = 60
/** What the manual promises for a stop. */
const STOP_MS = 30_000
/** A command that hangs must say what it did, not run into the time limit of its test. */
const COMMAND_MS = 120_000
const SHOWN_CHARACTERS = 6000

export interface PipelineOptions {
  server: PostgresServer | MysqlServer | KafkaServer
  /** Database of PostgreSQL; `postgres` if not given. */
  database?: string
  name?: string
  tables?: readonly string[]
  mode?: 'upsert' | 'append' | 'changelog'
  parallelism?: number
  interval?: string
  chunkRows?: number
  backfillParallelism?: number
  /** More keys of the `source` block; they win. */
  source?: Record<string, unknown>
  /** The same of the Iceberg sink; without, each checkpoint is visible in every mode. */
  sinkKeys?: Record<string, unknown>
  onError?: Record<string, unknown>
  /** Instead of the Iceberg sink; its `path` is the warehouse. */
  sink?: Record<string, unknown>
  partitionReady?: Record<string, unknown>
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** One process of the command line. */
export interface Child {
  readonly pid: number
  readonly exit: Promise<Exit>
  hasEnded: () => boolean
  /** The end of both outputs, for failure messages. */
  output: () => string
  signal: (name: NodeJS.Signals) => void
  /** SIGKILL, and waits until it is gone. */
  kill: () => Promise<Exit>
  /** SIGTERM, and waits for the last checkpoint; throws unless it exits with 0. */
  stop: () => Promise<Exit>
}

export interface ChildOptions {
  env?: Record<string, string>
  /** Arguments of node, before the program. */
  node?: readonly string[]
}

export class Pipeline {
  readonly folder: string
  readonly name: string
  readonly file: string
  readonly catalog: string
  readonly warehouse: string
  /** The state of this pipeline, inside the store. */
  readonly state: string
  readonly password: string
  private readonly children = new Set<Child>()

  private constructor(folder: string, name: string, password: string) {
    this.folder = folder
    this.name = name
    this.password = password
    this.file = join(folder, 'pipeline.yaml')
    this.catalog = join(folder, 'lake/catalog.db')
    this.warehouse = join(folder, 'lake/warehouse')
    this.state = join(folder, 'state', name)
  }

  static async create(options: PipelineOptions): Promise<Pipeline> {
    const folder = await serverFolder('pipeline')
    await mkdir(join(folder, 'lake'))
    const { server, name = 'shop' } = options
    const pipeline = new Pipeline(folder, name, 'password' in server ? server.password : '')
    await writeFile(pipeline.file, stringify(pipeline.document(options)))
    return pipeline
  }

  /** The pipeline file as data, to be changed by tests of bad input. */
  document(options: PipelineOptions): Record<string, Record<string, unknown>> & object {
    const { interval = '1s', chunkRows = 7, parallelism = 1, mode = 'upsert' } = options
    return {
      version: 1 as never,
      name: this.name as never,
      source: { ...sourceOf(options, chunkRows), ...options.source },
      sink:
        options.sink === undefined
          ? {
              type: 'iceberg',
              catalog: { type: 'sql', uri: `sqlite:///${this.catalog}`, name: 'lake' },
              warehouse: `file://${this.warehouse}`,
              mode,
              ...(mode === 'append' && { max_freshness: '0s' }),
              ...options.sinkKeys,
            }
          : { path: this.warehouse, ...options.sink },
      pipeline: {
        parallelism,
        checkpoint: { interval, store: `file://${join(this.folder, 'state')}` },
      },
      ...(options.onError !== undefined && { on_error: options.onError }),
      ...(options.partitionReady !== undefined && { partition_ready: options.partitionReady }),
    }
  }

  /** `millrace run FILE`. */
  start(options: ChildOptions = {}): Child {
    return this.spawn(['run', this.file], options)
  }

  /** `millrace run FILE --once`; throws unless it exits with 0. */
  async once(options: ChildOptions = {}): Promise<Exit> {
    const exit = await endOf(this.spawn(['run', this.file, '--once'], options), COMMAND_MS)
    if (exit.code !== 0) throw new Error(`run --once ended with ${describe(exit)}`)
    return exit
  }

  /** Any command, to its end. */
  async command(args: readonly string[], options: ChildOptions = {}): Promise<Exit> {
    return endOf(this.spawn(args, options), COMMAND_MS)
  }

  /** The newest checkpoint that is durable; `null` before the first. */
  async checkpoint(): Promise<CheckpointRecord | null> {
    return new CheckpointStore(localStore(this.state)).peekNewest()
  }

  /**
   * Rows that chunks have brought, of the table that is furthest, while one is being backfilled.
   */
  async backfilledRows(): Promise<number> {
    const tables = (await this.checkpoint())?.source.tables ?? []
    return Math.max(0, ...tables.map(({ backfill }) => backfill?.rowsDone ?? 0))
  }

  /** What the running process wrote last. */
  async status(): Promise<PipelineStatus | null> {
    if (!existsSync(this.state)) return null
    return readStatus(localStore(this.state))
  }

  /**
   * Waits until the condition holds. A child that ends first, or time that runs out, fails the
   * test with the child's output.
   */
  async until(
    claim: string,
    condition: () => Promise<boolean> | boolean,
    { child, timeoutMs = 60_000 }: { child?: Child; timeoutMs?: number } = {},
  ): Promise<void> {
    const startMs = performance.now()
    while (!(await condition())) {
      const late = performance.now() - startMs > timeoutMs
      if (late || child?.hasEnded()) {
        const why = late ? `not within ${timeoutMs} ms` : 'the process ended'
        const status = JSON.stringify(await this.status().catch(String)).slice(0, 3000)
        throw new Error(`${claim}: ${why}\n${status}\n${child?.output() ?? ''}`)
      }
      await sleep(POLL_MS)
    }
  }

  /** Waits until the process has left its first word: from then on it hears signals. */
  async untilUp(child: Child): Promise<void> {
    const spoke = async (): Promise<boolean> => (await this.status())?.pid === child.pid
    await this.until('the process runs', spoke, { child })
  }

  /** Waits until every table that the newest checkpoint knows is handed over. */
  async untilStreaming(child: Child, tables = 1, timeoutMs = 120_000): Promise<void> {
    await this.untilUp(child)
    const handedOver = async (): Promise<boolean> => {
      const records = (await this.checkpoint())?.source.tables ?? []
      for (const { schema, phase, reason } of records) {
        if (phase !== 'parked') continue
        throw new Error(`${schema.table} is parked: ${JSON.stringify(reason)}\n${child.output()}`)
      }
      const there = records.filter(({ phase }) => phase !== 'dropped')
      return there.length >= tables && there.every(({ phase }) => phase === 'streaming')
    }
    await this.until('all tables are handed over', handedOver, { child, timeoutMs })
  }

  /**
   * SIGKILL at a time drawn by the seed: mostly once the process has written a checkpoint of its
   * own and a while after it, else while it starts. A time of the wall clock alone would kill a
   * slow machine's processes before they do anything.
   */
  async killAtRandom(child: Child, random: Random, msMax: number): Promise<void> {
    const before = (await this.checkpoint())?.epoch ?? 0
    if (random.chance(0.8)) {
      const wrote = async (): Promise<boolean> => ((await this.checkpoint())?.epoch ?? 0) > before
      await this.until('the process writes a checkpoint', wrote, { child })
    }
    const ended = await Promise.race([sleep(random.int(0, msMax), 'alive'), child.exit])
    if (ended !== 'alive') throw new Error(`it ended by itself: ${child.output()}`)
    await child.kill()
  }

  /** Ends what still runs and removes everything, unless KEEP is set. */
  async remove(): Promise<void> {
    for (const child of this.children) await child.kill()
    if (process.env['KEEP'] === undefined) await rm(this.folder, { recursive: true, force: true })
    else console.log(`kept ${this.folder}`)
  }

  spawn(args: readonly string[], options: ChildOptions = {}): Child {
    const child = spawnMillrace(args, {
      ...options,
      env: { DB_PASSWORD: this.password, ...options.env },
    })
    this.children.add(child)
    void child.exit.finally(() => this.children.delete(child))
    return child
  }
}

export function describe({ code, signal, stdout, stderr }: Exit): string {
  return `${code ?? signal}\n${withoutProgress(stdout + stderr).slice(-SHOWN_CHARACTERS)}`
}

/** Two lines a second that say little to whoever looks for a failure. */
export function withoutProgress(output: string): string {
  return output.replaceAll(/^.*"msg":"(progress|query|already committed)".*\n/gm, '')
}

/** One process of the command line, which the kernel ends when the test's own process dies. */
export function spawnMillrace(args: readonly string[], options: ChildOptions = {}): Child {
  const node = existsSync(PINNED_NODE) ? PINNED_NODE : process.execPath
  const guard = deathGuard()
  const command = [...guard, node, ...(options.node ?? []), MAIN, ...args]
  const child = spawn(command[0] ?? node, command.slice(1), {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return handleOf(child)
}

/** Kills a process that has not ended by then, and fails with what it printed. */
export async function endOf(child: Child, timeoutMs: number): Promise<Exit> {
  const exit = await Promise.race([child.exit, sleep(timeoutMs, null)])
  if (exit !== null) return exit
  await child.kill()
  throw new Error(`it did not end within ${timeoutMs} ms: ${child.output()}`)
}

function handleOf(child: ChildProcess): Child {
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
  const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString()
  const exit = new Promise<Exit>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: text(out), stderr: text(err) }),
    )
  })
  const handle: Child = {
    pid: child.pid ?? 0,
    exit,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    output: () => withoutProgress(text(out) + text(err)).slice(-SHOWN_CHARACTERS),
    signal: (name) => void child.kill(name),
    kill: async () => {
      child.kill('SIGKILL')
      return exit
    },
    stop: async () => {
      child.kill('SIGTERM')
      const end = await endOf(handle, STOP_MS)
      if (end.code !== 0) throw new Error(`after SIGTERM it ended with ${describe(end)}`)
      return end
    },
  }
  return handle
}

function deathGuard(): string[] {
  try {
    accessSync('/usr/bin/setpriv', constants.X_OK)
    return ['setpriv', '--pdeathsig', 'SIGKILL', '--']
  } catch {
    return []
  }
}

function sourceOf(options: PipelineOptions, chunkRows: number): Record<string, unknown> {
  const { server, database = 'postgres', tables, backfillParallelism = 2 } = options
  if ('brokers' in server) {
    return {
      type: 'kafka',
      brokers: server.brokers,
      topics: tables ?? ['clicks'],
      value: { format: 'raw' },
    }
  }
  const password = { from_env: 'DB_PASSWORD' }
  const backfill = { parallelism: backfillParallelism, chunk_rows: chunkRows }
  const at = `${server.user}@${server.host}:${server.port}`
  if ('major' in server) {
    const uri = `postgresql://${at}/${database}`
    return { type: 'postgres', uri, password, tables: tables ?? ['public.*'], backfill }
  }
  const uri = `mysql://${at}`
  return { type: 'mysql', uri, password, tables: tables ?? ['shop.*'], backfill }
}
