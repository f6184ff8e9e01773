// What the pipeline file says of Protobuf, with the parts that it needs from outside.

import type { Clock } from '../../../runtime/base/clock.ts'
import type { Log } from '../../../runtime/base/log.ts'
import type { SchemaRegistry } from '../registry/schemas.ts'
import type { FileSource } from './proto-files.ts'

export interface ProtobufOptions {
  /** Where schemas come from. A record of a registry names its own. */
  readonly schema:
    | { readonly kind: 'registry'; readonly registry: SchemaRegistry }
    | { readonly kind: 'files'; readonly source: FileSource }
  /** confluent: byte 0, the schema's id and the place of the message · none: the message alone. */
  readonly framing: 'confluent' | 'none'
  /** Full name of the message that is decoded; `null`: the one that the first record has. */
  readonly message: string | null
  /** Records with another message. */
  readonly otherMessages: 'skip' | 'dirty'
  readonly implicitPresence: 'default' | 'null'
  readonly oneofCase: boolean
  readonly unknownFields: boolean
  /** Columns that somebody wants, by name; the fields of others are passed over. */
  readonly includes: (column: string) => boolean
  readonly clock: Clock
  readonly log: Log
}
