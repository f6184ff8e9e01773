// What a real registry answers, and what TLS does with one that is not who it says it is.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { localStore } from '../../../connectors/storage/local.ts'
import { systemClock } from '../../../runtime/base/clock.ts'
import { startApicurio } from '../../servers/apicurio.ts'
import { available } from '../../servers/available.ts'
import { clientOf, never } from './made-client.ts'

const ADDRESS = { type: 'record', name: 'Address', namespace: 'shop', fields: [] }
const PERSON = {
  type: 'record',
  name: 'Person',
  namespace: 'shop',
  fields: [{ name: 'home', type: 'shop.Address' }],
}
const INNER = 'syntax = "proto3"; package shop; message Inner { int32 a = 1; }'
const OUTER =
  'syntax = "proto3"; package shop; import "shop/inner.proto"; message Outer { Inner i = 1; }'

test.skipIf(!(await available('apicurio')))(
  'a real registry gives schemas with their references, and says what it does not have',
  async () => {
    const server = await startApicurio()
    const folder = mkdtempSync(join(tmpdir(), 'millrace-schemas-'))
    try {
      const schemaType = 'AVRO'
      await server.register('shop/address', { schemaType, schema: JSON.stringify(ADDRESS) })
      const person = await server.register('person-value', {
        schemaType,
        schema: JSON.stringify(PERSON),
        references: [{ name: 'shop.Address', subject: 'shop/address', version: 1 }],
      })
      await server.register('inner', { schemaType: 'PROTOBUF', schema: INNER })
      const outer = await server.register('outer-value', {
        schemaType: 'PROTOBUF',
        schema: OUTER,
        references: [{ name: 'shop/inner.proto', subject: 'inner', version: 1 }],
      })
      const store = localStore(folder)
      const { client } = clientOf([server.url], { store })
      const kept = await client.schemaById(person, never)
      expect(kept).toEqual({
        id: person,
        kind: 'AVRO',
        text: JSON.stringify(PERSON),
        references: [
          {
            name: 'shop.Address',
            subject: 'shop/address',
            version: 1,
            text: JSON.stringify(ADDRESS),
          },
        ],
      })
      expect(await client.schemaById(outer, never)).toMatchObject({
        kind: 'PROTOBUF',
        references: [{ name: 'shop/inner.proto' }],
      })
      expect(await client.schemaById(12_345, never)).toBe('unknown')
      expect(await client.subjects(never)).toContain('person-value')
      await server.halt()
      const again = clientOf([server.url], { store, clock: systemClock }).client
      expect(await again.schemaById(person, never)).toEqual(kept)
      const waiting = again.schemaById(12_345, AbortSignal.timeout(1500))
      await expect(waiting).rejects.toThrow('timeout')
      await expect(again.subjects(never)).rejects.toMatchObject({ error: 'CONNECT_FAILED' })
    } finally {
      await server.stop()
      rmSync(folder, { recursive: true })
    }
  },
)

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!hasOpenssl())(
  'a registry whose certificate nobody vouches for is refused, unless that is asked for',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const files = ['-keyout', key, '-out', certificate]
    const fresh = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30']
    execFileSync('openssl', ['req', ...fresh, ...files, ...names], { stdio: 'pipe' })
    const own = { key: readFileSync(key), cert: readFileSync(certificate) }
    const server = createServer(own, (_, response) => response.end('{"schema":"\\"int\\""}'))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const url = `https://localhost:${(server.address() as AddressInfo).port}`
    const tls = { ca: null, verify: true, identity: null }
    try {
      const strict = clientOf([url], { tls }).client.schemaById(1, never)
      await expect(strict).rejects.toMatchObject({ error: 'TLS_FAILED' })
      const ca = readFileSync(certificate, 'utf8')
      const trusting = clientOf([url], { tls: { ...tls, ca } }).client
      expect(await trusting.schemaById(1, never)).toMatchObject({ id: 1 })
      const blind = clientOf([url], { tls: { ...tls, verify: false } }).client
      expect(await blind.schemaById(1, never)).toMatchObject({ id: 1 })
    } finally {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true })
    }
  },
)
