// A schema that records were written with, and its decoder for the structure of now.

import type { DecodeFault } from '../format.ts'
import type { RegisteredSchema } from '../registry/schemas.ts'
import { shapeOf, type Shape } from './columns.ts'
import { compileDecoder, type DecodeRecords } from './decode/generate.ts'
import { AvroSchemaFault, parseAvroSchema } from './schema.ts'
import { unite, type Structure, type Union } from './structure.ts'

export class WriterSchema {
  readonly id: number
  readonly shape: Shape
  private structure: Structure | null = null
  private decoder: DecodeRecords | null = null

  constructor(id: number, shape: Shape) {
    this.id = id
    this.shape = shape
  }

  /** @throws PipelineError FORMAT_TYPE_CHANGED */
  unite(structure: Structure | null): Union {
    return unite(structure, this.shape.leaves, this.id)
  }

  /**
   * @param framed  the id stands in front of each record
   * @returns `null`: the structure lacks something of the schema
   */
  decoderFor(structure: Structure, title: string, framed: boolean): DecodeRecords | null {
    if (this.structure === structure) return this.decoder
    this.structure = structure
    this.decoder = this.compile(structure, title, framed)
    return this.decoder
  }

  private compile(structure: Structure, title: string, framed: boolean): DecodeRecords | null {
    let union: Union
    try {
      union = this.unite(structure)
    } catch {
      // `advance` says so.
      return null
    }
    if (union.structure !== structure) return null
    const { root } = this.shape
    return compileDecoder({
      title: `${title} schema ${this.id}`,
      schemaId: framed ? this.id : null,
      root,
      columns: union.columns,
      types: structure.map(({ type }) => type),
    })
  }
}

/** @returns why records of the schema cannot be read, where they cannot */
export function writerSchemaOf(schema: RegisteredSchema, name: string): WriterSchema | DecodeFault {
  const { id, kind, text, references } = schema
  if (kind !== 'AVRO') return fault(id, `schema ${id} is ${kind}, not Avro`)
  try {
    const type = parseAvroSchema(
      text,
      references.map((reference) => reference.text),
    )
    return new WriterSchema(id, shapeOf(type, name))
  } catch (error) {
    if (!(error instanceof AvroSchemaFault)) throw error
    return fault(id, `schema ${id} cannot be read: ${error.message}`)
  }
}

function fault(id: number, message: string): DecodeFault {
  return { name: 'SCHEMA_UNKNOWN', message, byteOffset: 1, schemaId: String(id) }
}
