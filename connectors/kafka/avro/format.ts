// The format `avro`: records with a schema id in front, whose schemas a registry has, or without
// one and all of the schema of a file.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { RecordDecoder, RecordFormat, RecordPart } from '../format.ts'
import type { SchemaRegistry } from '../registry/schemas.ts'
import { AvroDecoder, type SchemaOrigin } from './decoder.ts'
import { WriterSchema, writerSchemaOf } from './writer-schema.ts'

export type AvroOptions =
  | { readonly registry: SchemaRegistry }
  /** `path` is for messages, `text` is what the file has. */
  | { readonly schemaFile: { readonly path: string; readonly text: string } }

/** @throws PipelineError CONFIG_VALUE when the file holds no schema */
export function avroFormat(options: AvroOptions): RecordFormat {
  const origin = (part: RecordPart): SchemaOrigin =>
    'registry' in options
      ? { kind: 'registry', registry: options.registry }
      : { kind: 'file', schema: fileSchema(options.schemaFile, part) }
  return {
    readsNull: false,
    decoder(topic: string, part: RecordPart, saved: string | null): RecordDecoder {
      return new AvroDecoder(topic, part, origin(part), saved)
    },
  }
}

/** Its changes have no numbers: what it says now is newer than what it said before. */
const FILE_SCHEMA_ID = 0

function fileSchema(file: { path: string; text: string }, part: RecordPart): WriterSchema {
  const { path, text } = file
  const schema = { id: FILE_SCHEMA_ID, kind: 'AVRO', text, references: [] }
  const writer = writerSchemaOf(schema, part)
  if (writer instanceof WriterSchema) return writer
  throw new PipelineError('CONFIG_VALUE', `the Avro schema in ${path}: ${writer.message}`)
}
