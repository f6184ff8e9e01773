// The block of the record format `protobuf`.

import { z } from 'zod'
import { registry } from './schema-registry.ts'
import { text } from './schema-values.ts'

export const protobuf = z
  .strictObject({
    format: z.literal('protobuf'),
    registry: registry.optional(),
    proto_file: text('the path of a .proto file')
      .optional()
      .describe('The file that has the message. It is read again when it changes.'),
    import_roots: z
      .array(text('a folder'))
      .prefault([])
      .describe('Folders of what `proto_file` imports, besides its own.'),
    descriptor_file: text('the path of a descriptor set')
      .optional()
      .describe('What `protoc --descriptor_set_out --include_imports` writes.'),
    framing: z
      .enum(['confluent', 'none'])
      .optional()
      .describe(
        'confluent: a schema id and the place of the message stand in front of it, which is the ' +
          'default with a registry. none: records are the message alone.',
      ),
    message: text('the full name of a message')
      .optional()
      .describe('`acme.Play`. Without it, the message that the first record has.'),
    other_messages: z
      .enum(['error', 'skip'])
      .prefault('error')
      .describe('Records with another message: an error of decoding, or no row.'),
    implicit_presence: z
      .enum(['default', 'as_null'])
      .prefault('default')
      .describe('What a proto3 field without `optional` is that has its default (0, empty).'),
    oneof_case: z
      .boolean()
      .prefault(false)
      .describe('A column `NAME_case` for each oneof, with the name of the field that is set.'),
    unknown_fields: z
      .boolean()
      .prefault(false)
      .describe('A column `__unknown__` with the bytes of fields that the schema does not have.'),
  })
  .describe('Protobuf: typed columns of every schema that the records have had.')
