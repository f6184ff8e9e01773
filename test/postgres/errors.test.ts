// What errors of the driver and of our own code are called.

import { expect, test } from 'vitest'
import { translate } from '../../connectors/postgres/connect.ts'

function nameOf(message: string, code?: string): string {
  return translate(Object.assign(new Error(message), { code }), 'x').error
}

test('a lost connection is told by the texts of the driver and by codes of sockets', () => {
  for (const message of [
    'Connection terminated',
    'Connection terminated unexpectedly',
    'Query read timeout',
    'timeout expired',
    'Client has encountered a connection error and is not queryable',
    'Client was closed and is not queryable',
  ]) {
    expect([message, nameOf(message)]).toEqual([message, 'CONNECT_FAILED'])
  }
  for (const code of ['ECONNRESET', 'ECONNABORTED', 'ENETDOWN', 'EHOSTDOWN', 'EADDRNOTAVAIL']) {
    expect([code, nameOf('no text of its own', code)]).toEqual([code, 'CONNECT_FAILED'])
  }
  for (const code of ['08006', '57P01', '53300', '55P03', '57014']) {
    expect([code, nameOf('of the server', code)]).toEqual([code, 'CONNECT_FAILED'])
  }
  expect(nameOf('socket is gone', 'ERR_STREAM_DESTROYED')).toBe('CONNECT_FAILED')
  const both = new AggregateError([new Error('connect ECONNREFUSED ::1:1')], '')
  expect(translate(Object.assign(both, { code: 'ECONNREFUSED' }), 'x').error).toBe('CONNECT_FAILED')
})

test('the other names stay', () => {
  expect(nameOf('The server does not support SSL connections')).toBe('TLS_FAILED')
  expect(nameOf('There was an error establishing an SSL connection')).toBe('TLS_FAILED')
  expect(nameOf('bad certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT')).toBe('TLS_FAILED')
  expect(nameOf('SASL: client password must be a string')).toBe('AUTH_FAILED')
  expect(nameOf('no such role', '28000')).toBe('AUTH_FAILED')
  expect(nameOf('division by zero', '22012')).toBe('SERVER_UNSUITABLE')
})

test('an error of our own is no lost connection, and keeps its place in the code', () => {
  const own = translate(new TypeError("Cannot read properties of undefined (reading 'x')"), 'x')
  expect(own.error).toBe('INTERNAL')
  expect(own.detail).toContain('errors.test.ts')
  expect(nameOf('a list is never a literal')).toBe('INTERNAL')
})
