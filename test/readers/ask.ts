// A reader that stays: Python's and Java's libraries take two seconds to load, which each of some
// hundred reads would pay. Without a service (one file by hand, the benchmarks) a read starts its
// own process.

import { connect } from 'node:net'

/** The socket of each; set by `test/servers/readers.ts` for all files of a run. */
export const SERVICES = {
  python: 'MILLRACE_TEST_PYTHON',
  java: 'MILLRACE_TEST_JAVA',
} as const

interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

/**
 * @param request  one JSON value, as the service's own file says
 * @returns what it printed; `null` where there is no such service
 * @throws Error with the end of both outputs
 */
export async function askService(
  service: keyof typeof SERVICES,
  request: object,
): Promise<string | null> {
  const path = process.env[SERVICES[service]]
  if (path === undefined) return null
  const text = JSON.stringify(request)
  const { code, out, err } = JSON.parse(await exchange(path, `${text}\n`)) as Answer
  if (code === 0) return out
  throw new Error(
    `${service} ${text.slice(0, 300)} ended with ${code}\n${(out + err).slice(-4000)}`,
  )
}

/** @returns all that comes until the other side ends */
async function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ path, allowHalfOpen: true }, () => socket.write(request))
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.once('error', reject)
    socket.once('end', () => {
      socket.end()
      if (chunks.length > 0) resolve(Buffer.concat(chunks).toString())
      else reject(new Error(`the reader at ${path} ended without an answer`))
    })
  })
}
