import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { httpNotifier, signature } from '../../connectors/notify/http.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import type { Delivery, Notifier } from '../../runtime/notifier.ts'
import { EVENT } from './played-event.ts'

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
}

const servers: Server[] = []
const never = new AbortController().signal

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** @param answer  `null`: it says nothing */
async function listen(answer: () => Answer | null): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (piece: string) => (body += piece))
    request.on('end', () => {
      received.push({ headers: request.headers, body })
      const given = answer()
      if (given !== null) response.writeHead(given.status, given.headers).end('never read')
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=1`, received }
}

function notifierOf(url: string, secret: string | null = null): Notifier {
  const bearer = secret === null ? null : (): string => 'token'
  const asked = secret === null ? null : (): string => secret
  const options = { name: 'http', url, secret: asked, bearer, timeoutMs: 300, clock: systemClock }
  return httpNotifier(options)
}

function textOf(delivery: Delivery): string {
  return delivery.kind === 'failed' ? delivery.error.message : delivery.kind
}

test('a signature is that of Standard Webhooks', () => {
  // The example of the standard's own libraries.
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
  expect(signature(secret, id, '1614265330', '{"test": 2432232314}')).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

test('a webhook gets a signed CloudEvents message, the same each time', async () => {
  const { url, received } = await listen(() => ({ status: 204 }))
  const notifier = notifierOf(url, 'a secret')
  expect(await notifier.deliver(EVENT, never)).toEqual({ kind: 'delivered' })
  expect(await notifier.deliver(EVENT, never)).toEqual({ kind: 'delivered' })
  const [first, again] = received
  expect(again?.body).toBe(first?.body)
  expect(JSON.parse(first?.body ?? '')).toEqual({
    specversion: '1.0',
    type: 'millrace.partition.ready.v1',
    id: 'c0ffee',
    source: '/pipelines/clicks',
    subject: 'lake.clicks/ts_hour=2026-11-20-07',
    time: '2026-11-20T08:05:04.000Z',
    datacontenttype: 'application/json',
    data: {
      table: 'lake.clicks',
      partition: { ts_hour: '2026-11-20-07' },
      generation: 1,
      watermark: '2026-11-20T08:05:00Z',
      rows: 1_843_223,
      files: 7,
      bytes: 1_702_334_211,
      late_rows: 0,
      epoch: 418,
      snapshot_id: '9007199254740993',
      completeness: 'EXACT',
    },
  })
  const { headers, body } = first!
  expect(headers['content-type']).toContain('application/cloudevents+json')
  expect(headers['authorization']).toBe('Bearer token')
  expect(headers['webhook-id']).toBe('c0ffee')
  const timestamp = String(headers['webhook-timestamp'])
  expect(Math.abs(Date.now() / 1000 - Number(timestamp))).toBeLessThan(60)
  const key = await crypto.subtle.importKey(
    'raw',
    Buffer.from('a secret'),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['verify'],
  )
  const [version, digest = ''] = String(headers['webhook-signature']).split(',')
  expect(version).toBe('v1')
  const signed = Buffer.from(`c0ffee.${timestamp}.${body}`)
  const isValid = await crypto.subtle.verify('HMAC', key, Buffer.from(digest, 'base64'), signed)
  expect(isValid).toBe(true)
})

test('what a webhook answers says whether it took the message', async () => {
  let status = 0
  const { url } = await listen(() => ({ status, headers: { location: 'http://127.0.0.1:1/' } }))
  const notifier = notifierOf(url)
  for (status of [200, 202, 409]) {
    expect(await notifier.deliver(EVENT, never)).toEqual({ kind: 'delivered' })
  }
  for (status of [302, 400, 401, 404, 410, 429, 500, 503]) {
    const delivery = await notifier.deliver(EVENT, never)
    expect(textOf(delivery)).toContain(`it answered ${status}`)
    // A key in the address is nobody's business.
    expect(textOf(delivery)).not.toContain('key=1')
  }
})

test('Retry-After counts in seconds and as a date', async () => {
  let value = '120'
  const { url } = await listen(() => ({ status: 429, headers: { 'retry-after': value } }))
  const notifier = notifierOf(url)
  expect(await notifier.deliver(EVENT, never)).toMatchObject({ retryAfterMs: 120_000 })
  value = new Date(Date.now() + 60_000).toUTCString()
  const delivery = await notifier.deliver(EVENT, never)
  const after = delivery.kind === 'failed' ? (delivery.retryAfterMs ?? 0) : 0
  expect(after).toBeGreaterThan(50_000)
  expect(after).toBeLessThanOrEqual(60_000)
  value = 'soon'
  expect(await notifier.deliver(EVENT, never)).toMatchObject({ retryAfterMs: null })
})

test('a webhook that is not there, or says nothing, is a failure within its time', async () => {
  const { url } = await listen(() => null)
  const started = performance.now()
  expect(textOf(await notifierOf(url).deliver(EVENT, never))).toContain('no answer within 300 ms')
  expect(performance.now() - started).toBeLessThan(10_000)
  const gone = await notifierOf('http://127.0.0.1:1/hook').deliver(EVENT, never)
  expect(gone).toMatchObject({ kind: 'failed', error: { error: 'NOTIFICATION_FAILED' } })
})
