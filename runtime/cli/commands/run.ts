// `millrace run`: the pipeline in the foreground, until a signal, an error, or, with --once, the
// end of what there is to read.

import { PipelineError } from '../../base/errors.ts'
import { LOG_LEVELS, type LogLevel } from '../../base/log.ts'
import type { Console } from '../../console/server.ts'
import { StatusTracker } from '../../console/status.ts'
import type { PipelineSnapshot, PipelineStatus } from '../../console/status.ts'
import { loadPipeline } from '../../job/config/load.ts'
import type { PipelineConfig } from '../../job/config/pipeline-config.ts'
import { type AddCommand, type CommandContext, globalOptions } from '../context.ts'
import { type Display, LogDisplay, ScreenDisplay } from '../display.ts'
import { parseListen, flag } from '../options.ts'
import { POSITION_TYPES } from '../position-types.ts'
import { formatHints, queryHints, shellWord } from '../query-hints.ts'
import { listenForShutdown, type Shutdown, STOP_MS_MAX } from '../shutdown.ts'
import { SlotLagWatch } from '../slot-lag.ts'
import { StatusKeeper } from '../status-keeper.ts'
import { WaitWatch } from '../wait-watch.ts'

interface RunFlags {
  readonly once?: boolean
  readonly listen?: string
  readonly insecure?: boolean
  readonly logLevel: LogLevel
}

const EXIT_FAILED = 1
/** Tables that the end of a run shows how to query; the others go the same way. */
const HINTS_MAX = 1

export const addRun: AddCommand = (program, context) => {
  program
    .command('run')
    .description('run a pipeline in the foreground')
    .argument('<file>', 'pipeline file')
    .addOption(flag('--once', 'read up to the log end of now, commit, and exit'))
    .addOption(flag('--listen <host:port>', 'serve /healthz and /metrics there'))
    .addOption(flag('--insecure', 'let --listen be reached by other machines'))
    .addOption(
      flag('--log-level <level>', 'least level of log lines').choices(LOG_LEVELS).default('info'),
    )
    .action(async (file: string, flags: RunFlags, command) => {
      const config = loadPipeline(file, context.terminal.env)
      context.setPipeline(config.name)
      await new RunCommand(context, config, flags, globalOptions(command)).run()
    })
}

class RunCommand {
  readonly #context: CommandContext
  readonly #config: PipelineConfig
  readonly #flags: RunFlags
  readonly #display: Display
  readonly #screen: boolean
  readonly #tracker: StatusTracker
  readonly #slotLag: SlotLagWatch | null
  readonly #waits: WaitWatch
  #status: PipelineStatus | null = null
  #keeper: StatusKeeper | null = null

  constructor(
    context: CommandContext,
    config: PipelineConfig,
    flags: RunFlags,
    { json, verbose }: { readonly json: boolean; readonly verbose: boolean },
  ) {
    const { terminal } = context
    const { source, name } = config
    this.#context = context
    this.#config = config
    this.#flags = flags
    this.#screen = terminal.interactive && !json
    const level = verbose ? 'debug' : flags.logLevel
    this.#display = this.#screen
      ? new ScreenDisplay(terminal, verbose)
      : new LogDisplay(terminal, level, name)
    this.#tracker = new StatusTracker(name, POSITION_TYPES[source.type])
    const limit = source.type === 'postgres' ? source.maxSlotLagBytes : null
    this.#slotLag = limit === null ? null : new SlotLagWatch(limit, this.#display.log)
    this.#waits = new WaitWatch(this.#display.log)
  }

  async run(): Promise<void> {
    const { log } = this.#display
    for (const { code, message, file, line, severity } of this.#config.warnings) {
      log[severity === 'info' ? 'info' : 'warn'](message, { code, file, line })
    }
    const shutdown = this.#listenForShutdown()
    if (shutdown.signal.aborted) {
      log.info('stopped before anything was read or made', {})
      shutdown.release()
      this.#display.end()
      return
    }
    const served = await this.#serve()
    try {
      await this.#runUntilEnd(shutdown)
      this.#sayHowToQuery()
    } finally {
      this.#display.end()
      shutdown.release()
      await served?.close()
    }
  }

  async #runUntilEnd(shutdown: Shutdown): Promise<void> {
    const { wiring, terminal } = this.#context
    const { log } = this.#display
    this.#keeper = new StatusKeeper(await wiring.openState(this.#config), terminal.clock, log)
    const ended = wiring.run(this.#config, {
      once: this.#flags.once === true,
      stop: shutdown.signal,
      log,
      // On a screen the threads' own lines would tear the picture; errors they report to us.
      logLevel: this.#screen ? 'error' : this.#flags.logLevel,
      onSnapshot: (snapshot) => this.#take(snapshot),
    })
    try {
      // While the lock of another instance is waited for there is nothing to finish.
      const reason = await Promise.race([ended, this.#stoppedBeforeStart(shutdown.signal)])
      log.info(reason === 'finished' ? 'finished: all there was is in the lake' : 'stopped', {})
    } catch (error) {
      throw this.#naming(error)
    } finally {
      if (this.#status !== null) await this.#keeper.flush()
    }
  }

  /** The command that brings parked tables back, with their names in it. */
  #naming(error: unknown): unknown {
    if (!(error instanceof PipelineError) || error.error !== 'TABLE_PARKED') return error
    const tables = this.#status?.table_list ?? []
    const parked = tables.filter(({ phase }) => phase === 'parked').map(({ table }) => table)
    if (parked.length === 0) return error
    const options = parked.map((table) => `--table ${shellWord(table)}`).join(' ')
    const { message, detail } = error
    const hint = `Run \`millrace resync FILE ${options}\`.`
    return new PipelineError('TABLE_PARKED', message, {
      ...(detail === null ? {} : { detail }),
      hint,
      cause: error,
    })
  }

  #stoppedBeforeStart(signal: AbortSignal): Promise<'stopped'> {
    return new Promise((resolve) => {
      const decide = (): void => {
        if (this.#status === null) resolve('stopped')
      }
      if (signal.aborted) decide()
      else signal.addEventListener('abort', decide, { once: true })
    })
  }

  #take(snapshot: PipelineSnapshot): void {
    const status = this.#tracker.statusOf(snapshot, this.#context.terminal.clock.nowMs())
    this.#status = status
    this.#display.show(status)
    this.#keeper?.offer(status)
    this.#slotLag?.look(snapshot)
    this.#waits.look(snapshot)
  }

  #listenForShutdown(): Shutdown {
    const { terminal } = this.#context
    const { log } = this.#display
    return listenForShutdown(terminal, {
      onFirst: () => log.warn('stopping: a last checkpoint and commit', {}),
      onOverdue: () => {
        log.error(`the stop took longer than ${STOP_MS_MAX / 1000} s`, {
          detail: 'The last checkpoint is intact; the next start goes on from it.',
        })
        terminal.exit(EXIT_FAILED)
      },
    })
  }

  /** The server is loaded only where it is asked for. */
  async #serve(): Promise<Console | null> {
    const { listen, insecure } = this.#flags
    if (listen === undefined) return null
    const address = parseListen(listen)
    const { startConsole } = await import('../../console/server.ts')
    const served = await startConsole({
      ...address,
      insecure: insecure === true,
      status: () => this.#status,
    })
    this.#display.log.info('listening', { url: served.url })
    return served
  }

  #sayHowToQuery(): void {
    const hints = (this.#status?.table_list ?? [])
      .flatMap((table) => queryHints(this.#config, table) ?? [])
      .slice(0, HINTS_MAX)
    for (const hint of hints) {
      if (this.#screen) this.#context.terminal.out(`\n${formatHints(hint)}`)
      else this.#display.log.info('query', { ...hint })
    }
  }
}
