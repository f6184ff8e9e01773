// The demo's Millrace: the same command line that a user types, as a child process that can be
// killed.

import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url))

export interface Status {
  readonly state: string
  readonly rates: { readonly read_rows: number }
  readonly backfill: { readonly rows_done: number | null }
  readonly tables: { readonly total: number; readonly streaming: number }
  readonly commit: { readonly total: number; readonly last_epoch: number | null }
}

export class Millrace {
  readonly file: string
  readonly catalog: string
  readonly warehouse: string
  private readonly log: WriteStream
  private child: ChildProcess | null = null

  private constructor(folder: string, name: string) {
    this.file = join(folder, `${name}.yaml`)
    this.catalog = join(folder, 'catalog.db')
    this.warehouse = join(folder, 'warehouse')
    this.log = createWriteStream(join(folder, 'millrace.log'), { flags: 'a' })
  }

  /**
   * Writes the pipeline file.
   *
   * @param blocks  everything between the name and the sink
   * @param sink  more lines of the sink, as text without a password anywhere
   */
  static async configure(
    folder: string,
    name: string,
    blocks: string,
    sink: string,
  ): Promise<Millrace> {
    const millrace = new Millrace(folder, name)
    await writeFile(
      millrace.file,
      `version: 1
name: ${name}
${blocks.trim()}
sink:
  type: iceberg
  catalog: { type: sql, uri: "sqlite:///${millrace.catalog}", name: lake }
  warehouse: file://${millrace.warehouse}
${sink.trimEnd()}
pipeline:
  parallelism: 1
  checkpoint: { interval: 1s, store: "file://${join(folder, 'state')}" }
`,
    )
    return millrace
  }

  start(): void {
    this.child = this.spawn(['run', this.file])
  }

  /** SIGKILL: no handler runs, no file is closed. */
  async kill(): Promise<void> {
    const { child } = this
    if (child === null) return
    const ended = exitOf(child)
    child.kill('SIGKILL')
    await ended
    this.child = null
  }

  /** SIGTERM: a last checkpoint, a last commit. @returns the exit code */
  async stop(): Promise<number> {
    const { child } = this
    if (child === null) return 0
    const ended = exitOf(child)
    child.kill('SIGTERM')
    this.child = null
    return ended
  }

  /** @returns the exit code of `millrace run FILE --once` */
  async once(): Promise<number> {
    return exitOf(this.spawn(['run', this.file, '--once']))
  }

  /** @throws where it has ended by itself */
  expectAlive(): void {
    if (this.child !== null && this.child.exitCode !== null) {
      throw new Error(`millrace ended with code ${this.child.exitCode}; see ${this.log.path}`)
    }
  }

  /** @returns null while there is no status yet */
  async status(): Promise<Status | null> {
    this.expectAlive()
    const child = spawn(process.execPath, [MAIN, 'status', this.file, '--json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    return (await exitOf(child)) === 0 ? (JSON.parse(text) as Status) : null
  }

  close(): void {
    this.child?.kill('SIGKILL')
    this.log.end()
  }

  private spawn(args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.pipe(this.log, { end: false })
    child.stderr.pipe(this.log, { end: false })
    return child
  }
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1))
  })
}
