// How a scenario runs: a fresh server, our pipeline and its references over the same log or table,
// one after the other in each round, and the lake compared with the source after each run of ours.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaEngine } from './engine-kafka.ts'
import { MysqlEngine } from './engine-mysql.ts'
import { PostgresEngine } from './engine-postgres.ts'
import type { Engine, Reference } from './engine.ts'
import type { Figure, Sample } from './figures.ts'
import { assertEqual, lakeFingerprint } from './lake-check.ts'
import type { Loaded } from './loads.ts'
import { watchLake } from './latency/lake-watch.ts'
import { formatCommand, measure, measureDuring, type Usage } from './measure.ts'
import { BenchPipeline } from './pipeline.ts'
import { formatProfiles, nameProfiles } from './profile.ts'
import { tableShapes, type TableName } from './table-shapes.ts'
import type { TimeShare } from './time-share.ts'

const HOT_FUNCTIONS = 5
/** Runs that find nothing get one part in so many of a scenario's time. */
const STARTUP_PART = 4

export interface Context {
  /** Rounds of each scenario, where they fit into its time. */
  readonly runs: number
  readonly time: TimeShare
  /** Of databases. */
  readonly table: TableName
  /** Of another version of Millrace that is run in place of this one. */
  readonly tree?: string
  /** Also measure what is not on npm. */
  readonly peers: boolean
  /** Profile ours instead of measuring. */
  readonly profile: boolean
  /** Tells whoever waits what is being done. */
  say(text: string): void
}

export async function startEngine(kind: Engine['kind'], table: TableName): Promise<Engine> {
  const shape = tableShapes[table]
  if (kind === 'postgres') return PostgresEngine.start(shape)
  return kind === 'kafka' ? KafkaEngine.start() : MysqlEngine.start(kind, shape)
}

/** What it takes to start and to end without anything to read. */
export interface Startup {
  readonly seconds: number
  readonly cpuSeconds: number
}

/** One server and one pipeline on it, and the measuring of both. */
export class Bench {
  readonly engine: Engine
  readonly context: Context
  private readonly pipeline: BenchPipeline

  private constructor(engine: Engine, context: Context, folder: string) {
    this.engine = engine
    this.context = context
    this.pipeline = new BenchPipeline(join(folder, 'pipeline'), engine.source, context.tree)
  }

  /** Gives the work a server with an empty table `orders`, and ends both afterwards. */
  static async with<T>(
    kind: Engine['kind'],
    context: Context,
    work: (bench: Bench) => Promise<T>,
  ): Promise<T> {
    const engine = await startEngine(kind, context.table)
    const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
    const bench = new Bench(engine, context, folder)
    try {
      await engine.createTable()
      return await work(bench)
    } finally {
      await engine.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }

  get command(): string {
    return formatCommand(this.pipeline.once())
  }

  get runningCommand(): string {
    return formatCommand(this.pipeline.running())
  }

  /** The first run ever, unmeasured: afterwards the pipeline stands at the log's end. */
  async begin(): Promise<void> {
    await this.forget()
    await this.runOurs()
    await this.checkLake()
    await this.pipeline.keep()
  }

  /** Runs that find nothing new. @param prepare  before each */
  async startup(prepare: () => Promise<void>): Promise<Startup> {
    // A profile does not need it.
    if (this.context.profile) return { seconds: 0, cpuSeconds: 0 }
    const usages: Usage[] = []
    const { time, runs } = this.context
    const rounds = time.part(STARTUP_PART).rounds(runs)
    while (rounds.next()) {
      await prepare()
      usages.push(await this.runOurs())
    }
    return {
      // The least: neighbours only make a run slower, and what is taken off makes figures better.
      seconds: Math.min(...usages.map(({ seconds }) => seconds)),
      cpuSeconds: Math.min(...usages.map(({ cpuSeconds }) => cpuSeconds)),
    }
  }

  /** Back to where `begin` left the pipeline, and the server's log to its mark. */
  async rewind(): Promise<void> {
    await this.pipeline.restore()
    await this.engine.rewind()
  }

  /** @param connections  of every backfill after the next `forget` */
  backfillWith(connections: number): void {
    this.pipeline.backfillConnections = connections
  }

  /** Back to the first day, on the server too. */
  async forget(): Promise<void> {
    await this.pipeline.reset()
    await this.engine.forget()
  }

  /**
   * Rounds of ours and of each reference, so that a slow minute of the machine hits all of them.
   *
   * @param loaded  what all of them read
   * @param time  for all rounds; the first is run in any case
   */
  async rounds(
    { rows, bytesPerRow, startup, prepare }: Loaded,
    references: readonly Reference[],
    time: TimeShare = this.context.time,
  ): Promise<Figure[]> {
    const { runs } = this.context
    const say = (text: string): void => this.context.say(text)
    const ours: Sample[] = []
    const others: Sample[][] = references.map(() => [])
    const rounds = time.rounds(runs)
    while (rounds.next()) {
      const at = `  round ${rounds.begun}:`
      await prepare()
      ours.push(await this.run(startup))
      say(`${at} ours ${ours.at(-1)?.seconds.toFixed(1)} s`)
      for (const [index, reference] of references.entries()) {
        await prepare()
        const usage = await measure(reference.commands, this.engine.pid())
        others[index]?.push(referenceSample(usage, reference))
        say(`${at} ${reference.name} ${usage.seconds.toFixed(1)} s`)
      }
    }
    if (rounds.begun < runs) say(`  no time for more than ${rounds.begun} of ${runs} rounds`)
    const mine: Figure = {
      name: 'millrace run --once',
      kind: 'ours',
      rows,
      bytesPerRow,
      command: this.command,
      samples: ours,
    }
    const theirs = references.map((reference, at): Figure => {
      const { name, kind, commands, rows: some = rows } = reference
      const command = commands.map(formatCommand).join(' & ')
      return { name, kind, rows: some, bytesPerRow, command, samples: others[at] ?? [] }
    })
    return [mine, ...theirs]
  }

  /** Ours once, and whether all of it has arrived. */
  async run(startup: Startup): Promise<Sample> {
    const usage = await this.runOurs()
    await this.checkLake()
    return oursSample(usage, startup)
  }

  /** @param seconds  between two checkpoints, after the next `forget` */
  checkpointEvery(seconds: number): void {
    this.pipeline.checkpointSeconds = seconds
  }

  /**
   * Ours runs on while `work` is done; afterwards the lake has what the source has.
   *
   * @param work  gets the id of our process
   * @param see  rows that the lake shows, at each change
   */
  async during<T>(
    work: (pid: number) => Promise<T>,
    see: (rows: number, atMs: number) => void,
  ): Promise<{ usage: Usage; value: T }> {
    const stop = watchLake(this.pipeline, see)
    try {
      return await measureDuring(this.pipeline.running(), this.engine.pid(), work)
    } finally {
      stop()
      await this.checkLake()
    }
  }

  /** For what starts and ends ours by itself; afterwards the lake has what the source has. */
  async steered<T>(work: (pipeline: BenchPipeline) => Promise<T>): Promise<T> {
    const value = await work(this.pipeline)
    await this.checkLake()
    return value
  }

  /** @returns the hottest functions of one run, as text, with the profiles' files, which stay */
  async profile(scenario: string): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), `millrace-profile-${scenario}-`))
    await measure([this.pipeline.once(['--cpu-prof', `--cpu-prof-dir=${folder}`])], null)
    return formatProfiles(nameProfiles(folder, HOT_FUNCTIONS))
  }

  private async runOurs(): Promise<Usage> {
    return measure([this.pipeline.once()], this.engine.pid())
  }

  private async checkLake(): Promise<void> {
    const { fingerprintColumns: wanted } = this.engine
    const lake = await lakeFingerprint(this.pipeline.metadataLocation(), wanted)
    assertEqual(await this.engine.fingerprint(), lake, wanted)
  }
}

function oursSample(usage: Usage, startup: Startup): Sample {
  const { seconds, cpuSeconds } = usage
  const steadySeconds = seconds - startup.seconds
  const steadyCpuSeconds = cpuSeconds - startup.cpuSeconds
  if (steadySeconds <= 0) {
    const found = `${seconds.toFixed(2)} s against ${startup.seconds.toFixed(2)} s for nothing`
    throw new Error(`too few rows to measure: ${found}; give more by --rows`)
  }
  return sampleOf(usage, steadySeconds, Math.max(0, steadyCpuSeconds))
}

function referenceSample(usage: Usage, reference: Reference): Sample {
  const said = reference.reportsItself === true ? saidSeconds(usage.output) : usage.seconds
  return sampleOf(usage, said, usage.cpuSeconds)
}

function sampleOf(usage: Usage, steadySeconds: number, steadyCpuSeconds: number): Sample {
  const { seconds, cpuSeconds, peakRssBytes, serverCpuSeconds, threads, memory } = usage
  const measured = { seconds, cpuSeconds, peakRssBytes, serverCpuSeconds, threads, memory }
  return { ...measured, steadySeconds, steadyCpuSeconds }
}

function saidSeconds(output: string): number {
  const { seconds } = JSON.parse(output) as { seconds: number }
  return seconds
}
