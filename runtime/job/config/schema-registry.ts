// The block `registry` of a record format: where schemas are asked for. Formats that name their
// schemas by id share it.

import { z } from 'zod'
import { duration, secret, text } from './schema-values.ts'

export const REGISTRY_TLS_MODES = ['required', 'verify-full'] as const

const URL_WANTED = 'an address such as https://registry:8081, or a list of them'
const ADDRESS = /^https?:\/\/[^\s]+$/i
const address = z.string(URL_WANTED).regex(ADDRESS, URL_WANTED)

const AUTH = '{ username: NAME, password: { from_env: NAME } } or { token: { from_env: NAME } }'

export const registry = z
  .strictObject({
    url: z
      .union([address, z.array(address).min(1, URL_WANTED)], URL_WANTED)
      .describe("Base of Confluent's API; further ones are asked when one does not answer."),
    auth: z
      .union(
        [
          z.strictObject({
            username: text('a user name'),
            password: secret.describe('Password of the user; read anew for each request.'),
          }),
          z.strictObject({
            token: secret.describe('Bearer token; read anew for each request.'),
          }),
        ],
        AUTH,
      )
      .optional()
      .describe('How this client proves who it is. Default: not at all.'),
    tls: z
      .strictObject({
        mode: z
          .enum(REGISTRY_TLS_MODES)
          .prefault('verify-full')
          .describe('required: encrypted, and whoever answers is believed.'),
        ca: text('the path of a PEM file').optional().describe('Certificates to trust, PEM.'),
        certificate: text('the path of a PEM file').optional().describe('Our own, PEM.'),
        key: text('the path of a PEM file').optional().describe('Of our own certificate, PEM.'),
      })
      .prefault({})
      .describe('Of addresses that begin with https.'),
    timeout: duration(100, 600_000)
      .prefault('10s')
      .describe('Of one request. After it the next address is asked, as often as need be.'),
  })
  .describe('Where the schemas of records are: a registry with the API of Confluent.')

export type RegistryInput = z.output<typeof registry>
