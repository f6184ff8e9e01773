// The readers' services, for all files of a run: each is started by the first read that asks for it
// and ends with the run.

import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { javaServiceCommand } from '../readers/java.ts'
import { pythonServiceCommand } from '../readers/python.ts'
import { SERVICES } from '../readers/ask.ts'
import { type ServerProcess, serverFolder, serverProcess } from './process.ts'

interface Command {
  command: string
  args: string[]
  env: Record<string, string>
}

/** Vitest calls it once for all files, before the workers start that inherit the variables. */
export async function setup(): Promise<() => Promise<void>> {
  const folder = await serverFolder('readers')
  const services = [
    await Service.open(join(folder, 'python'), 'python', pythonServiceCommand),
    await Service.open(join(folder, 'java'), 'java', javaServiceCommand),
  ]
  return async () => {
    for (const service of services) await service.close()
  }
}

class Service {
  private readonly name: keyof typeof SERVICES
  private readonly command: (socket: string) => Promise<Command>
  private started: Promise<{ process: ServerProcess; socket: string }> | undefined
  private readonly server: Server

  private constructor(name: keyof typeof SERVICES, command: (socket: string) => Promise<Command>) {
    this.name = name
    this.command = command
    this.server = createServer({ allowHalfOpen: true }, (asking) => {
      asking.on('error', () => {})
      this.started ??= this.start()
      this.started.then(
        ({ socket }) => {
          const answering = connect({ path: socket, allowHalfOpen: true })
          answering.on('error', () => asking.destroy())
          asking.pipe(answering).pipe(asking)
        },
        (error: unknown) => {
          this.started = undefined
          asking.end(JSON.stringify({ code: 'no start', out: '', err: String(error) }))
        },
      )
    })
  }

  static async open(
    path: string,
    name: keyof typeof SERVICES,
    command: (socket: string) => Promise<Command>,
  ): Promise<Service> {
    const service = new Service(name, command)
    await new Promise<void>((resolve, reject) => {
      service.server.once('error', reject)
      service.server.listen(path, resolve)
    })
    service.server.unref()
    process.env[SERVICES[name]] = path
    return service
  }

  async close(): Promise<void> {
    delete process.env[SERVICES[this.name]]
    this.server.close()
    const running = await this.started?.catch(() => undefined)
    await running?.process.stop()
  }

  private async start(): Promise<{ process: ServerProcess; socket: string }> {
    const folder = await serverFolder(this.name)
    const socket = join(folder, 'socket')
    const command = await this.command(socket)
    const own = serverProcess({
      name: `${this.name}'s readers`,
      folder,
      launch: () => command,
      deathSignal: 'SIGKILL',
      stopSignals: ['SIGKILL'],
      probe: async () => listens(socket),
    })
    await own.start()
    return { process: own, socket }
  }
}

async function listens(path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
