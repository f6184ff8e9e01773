// How a Kafka cluster is reached, wherever a pipeline file says it: brokers, encryption, and who we
// are.

import { z } from 'zod'
import { secret, text } from './schema-values.ts'

export const KAFKA_TLS_MODES = ['disabled', 'required', 'verify-ca', 'verify-full'] as const

const BROKER = 'a broker such as kafka1:9092'
const BROKER_PATTERN = /^(?:\[[0-9a-f:.]+\]|[^\s:/[\]]+)(?::\d{1,5})?$/i

const byPassword = {
  username: text('a user name'),
  password: secret.describe('Password of the user.'),
}
const sasl = z
  .discriminatedUnion(
    'mechanism',
    [
      z.strictObject({ mechanism: z.literal('PLAIN'), ...byPassword }),
      z.strictObject({ mechanism: z.literal('SCRAM-SHA-256'), ...byPassword }),
      z.strictObject({ mechanism: z.literal('SCRAM-SHA-512'), ...byPassword }),
      z.strictObject({
        mechanism: z.literal('OAUTHBEARER'),
        token: secret.describe('Bearer token; read anew for each connection.'),
      }),
    ],
    'a block such as { mechanism: SCRAM-SHA-512, username: millrace, password: { from_env: PW } }',
  )
  .describe('How this client proves who it is.')

export const kafkaTls = z
  .strictObject({
    mode: z
      .enum(KAFKA_TLS_MODES)
      .optional()
      .describe('Default: verify-full, or disabled where every broker is this machine.'),
    ca: text('the path of a PEM file').optional().describe('Certificates to trust, PEM.'),
  })
  .describe('Encryption of the connections to the brokers.')

export const brokers = z
  .array(z.string(BROKER).regex(BROKER_PATTERN, BROKER), 'a list such as [kafka1:9092]')
  .min(1, 'a list of at least one broker such as [kafka1:9092]')
  .describe('host:port of some brokers; the others are learned from them. Default port 9092.')

/** The keys of a block that names a cluster. */
export const endpointKeys = { brokers, tls: kafkaTls.prefault({}), sasl: sasl.optional() }

const endpoint = z.strictObject(endpointKeys)

export type KafkaEndpointInput = z.output<typeof endpoint>
