// One schema that records were written with, and its decoder for the structure of now. The decoder
// is made when the first record needs it, and again when the structure has changed.

import type { DecodeFault, FormatTable } from '../format.ts'
import { compileMessages, textColumns } from './decode/message-decoder.ts'
import type { DecodeMessages, DecoderPlan } from './decode/message-decoder.ts'
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
  private current: Compiled | null = null

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

  /** @returns the decoder that writes the columns of `table` */
  decoderFor(table: FormatTable): Compiled | null {
    const { mapping, title, nullDefaults, schema } = this
    if (mapping === null) return null
    if (this.current === null || this.current.table !== table) {
      const types = (name: string): ReturnType<ProtoSchema['message']> => schema.message(name)
      this.current = new Compiled(table, {
        title,
        mapping,
        columns: table.columns,
        nullDefaults,
        types,
      })
    }
    return this.current
  }
}

/** The functions for one structure. The careful ones are made when the first message is strange. */
export class Compiled {
  readonly table: FormatTable
  readonly fast: readonly DecodeMessages[]
  /** Columns whose text `fast` has not checked. */
  readonly texts: readonly number[]
  private readonly plan: DecoderPlan
  private slow: readonly DecodeMessages[] | null = null

  constructor(table: FormatTable, plan: DecoderPlan) {
    this.table = table
    this.plan = plan
    this.fast = compileMessages(plan, 'fast')
    this.texts = textColumns(plan)
  }

  readonly careful = (): readonly DecodeMessages[] => {
    this.slow ??= compileMessages(this.plan, 'careful')
    return this.slow
  }
}
