// One schema that records were written with, and its decoder for the structure of now. The decoder
// is made when the first record needs it, and again when the structure has changed.

import type { DecodeFault, FormatTable } from '../format.ts'
import { compileMessages, type DecodeMessages } from './decode/message-decoder.ts'
import type { Mapping } from './mapping.ts'
import { Routes } from './message-index.ts'
import type { ProtoSchema } from './schema.ts'

/** take: a row · skip: none · else why it is none. */
export type Route = 'take' | 'skip' | DecodeFault

export class WriterSchema {
  readonly schema: ProtoSchema
  readonly routes: Routes<Route>
  /** `null`: the schema does not have the message that rows are made of. */
  private readonly mapping: Mapping | null
  private readonly title: string
  private readonly nullDefaults: boolean
  private compiledFor: FormatTable | null = null
  private compiled: readonly DecodeMessages[] = []

  constructor(
    title: string,
    schema: ProtoSchema,
    mapping: Mapping | null,
    nullDefaults: boolean,
    route: (message: string | null) => Route,
  ) {
    this.title = title
    this.schema = schema
    this.mapping = mapping
    this.nullDefaults = nullDefaults
    this.routes = new Routes((indexes) => route(schema.messageAt(indexes)))
  }

  /** @returns functions that write the columns of `table`, each some of them */
  decodersFor(table: FormatTable): readonly DecodeMessages[] {
    const { mapping, title, nullDefaults, schema } = this
    if (mapping === null) return []
    if (this.compiledFor !== table) {
      const types = (name: string): ReturnType<ProtoSchema['message']> => schema.message(name)
      const { columns } = table
      this.compiled = compileMessages({ title, mapping, columns, nullDefaults, types })
      this.compiledFor = table
    }
    return this.compiled
  }
}
