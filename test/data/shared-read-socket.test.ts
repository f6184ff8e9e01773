// A socket that reads into shared memory behaves as Node's own, against a real peer.

import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { SharedReadSocket } from '../../runtime/base/shared-read-socket.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** @returns a connected socket and its peer */
async function pair(): Promise<{ socket: SharedReadSocket; peer: Socket }> {
  const server = createServer()
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve)
  })
  const socket = new SharedReadSocket()
  const { port } = server.address() as { port: number }
  socket.connect(port, '127.0.0.1')
  return { socket, peer: await accepted }
}

async function once(socket: SharedReadSocket, event: string): Promise<unknown> {
  return new Promise((resolve) => {
    socket.once(event, resolve)
  })
}

function pattern(bytes: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: bytes / 4 }, (_, at) => at * 2_654_435_761).buffer)
}

test('what a listener keeps stays as it came, on two sockets at once', async () => {
  const [left, right] = [await pair(), await pair()]
  const kept: Buffer[] = []
  left.socket.on('data', (chunk) => kept.push(chunk))
  left.peer.write('first')
  await once(left.socket, 'data')
  right.socket.on('data', () => undefined)
  right.peer.write('other')
  await once(right.socket, 'data')
  expect(Buffer.concat(kept).toString()).toBe('first')
  for (const { socket } of [left, right]) socket.destroy()
})

test('transient chunks are whole and in order, however often reading is paused', async () => {
  const { socket, peer } = await pair()
  socket.transient = true
  const sent = pattern(8 * 1024 * 1024)
  const received = Buffer.alloc(sent.length)
  let at = 0
  socket.on('data', (chunk) => {
    chunk.copy(received, at)
    at += chunk.length
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
  peer.end(sent)
  await once(socket, 'end')
  expect(received.equals(sent)).toBe(true)
  expect(at).toBe(sent.length)
})

test('nothing is read while it is paused', async () => {
  const { socket, peer } = await pair()
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  peer.write('a')
  await once(socket, 'data')
  socket.pause()
  peer.write('bc')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(bytes).toBe(1)
  socket.resume()
  await once(socket, 'data')
  expect(bytes).toBe(3)
  socket.destroy()
})

test('the end of the peer and a reset are told', async () => {
  const ended = await pair()
  ended.socket.on('data', () => undefined)
  ended.peer.end('bye')
  await once(ended.socket, 'close')
  const reset = await pair()
  reset.socket.on('data', () => undefined)
  const failed = once(reset.socket, 'error')
  reset.peer.resetAndDestroy()
  expect(await failed).toMatchObject({ code: 'ECONNRESET' })
})
