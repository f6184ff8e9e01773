// From a structure of a source's table to those that follow from it: the version under which the
// source's rows are decoded, the operators planned for it, and the version that the lake's table
// has. Without operators the first and the last are one.

import { PipelineError } from '../base/errors.ts'
import { evolve, firstSchema } from '../data/evolution.ts'
import type { EvolutionOptions, OlderRows, Unmappable } from '../data/evolution.ts'
import { namesOf, type SourceTable, type TableSchema } from '../data/schema.ts'
import { formatType } from '../data/type.ts'
import { lakeSchema, type TableRecord } from '../flow/tables.ts'
import type { Operator, OperatorPlans, UnionPlan } from '../operator.ts'

/** The source's own columns: no sink looks at them. */
const DECODED: EvolutionOptions = { firstFieldId: 1, keyed: false }

export type Step =
  /** The lake's table stays as it is; the source's may have changed. */
  | { readonly kind: 'same'; readonly schema: TableSchema; readonly operator: Operator | null }
  | {
      readonly kind: 'evolved'
      readonly schema: TableSchema
      /** `null`: it is `schema`. */
      readonly lake: TableSchema | null
      readonly operator: Operator | null
    }
  | Unmappable

export class Structures {
  private readonly plans: OperatorPlans
  private readonly options: EvolutionOptions
  /** By name in a sink: the table that has it. */
  private readonly owners = new Map<string, string>()

  constructor(plans: OperatorPlans, options: EvolutionOptions) {
    this.plans = plans
    this.options = options
  }

  /** @returns what a table begins with that the pipeline sees for the first time */
  first(table: SourceTable): Step {
    const planned = this.plan(table)
    if ('kind' in planned) return planned
    const { operator } = planned
    const lake = firstSchema(operator?.output ?? table, this.options)
    if (lake.kind !== 'evolved') return lake.kind === 'unmappable' ? lake : neverSame()
    if (operator === null) return { kind: 'evolved', schema: lake.schema, lake: null, operator }
    const source = firstSchema(table, DECODED)
    if (source.kind !== 'evolved') return source.kind === 'unmappable' ? source : neverSame()
    return { kind: 'evolved', schema: source.schema, lake: lake.schema, operator }
  }

  /**
   * @param table  the table as the source has it now
   * @returns what follows on the structures of `record`, which is left as it is
   */
  next(record: TableRecord, table: SourceTable, older: OlderRows): Step {
    const planned = this.plan(table)
    if ('kind' in planned) return planned
    const { operator } = planned
    const derives = operator !== null || record.lake !== null
    const lake = evolve(lakeSchema(record), operator?.output ?? table, older, this.options)
    if (lake.kind === 'unmappable') return lake
    if (!derives) {
      if (lake.kind === 'same') return { kind: 'same', schema: record.schema, operator }
      return { kind: 'evolved', schema: lake.schema, lake: null, operator }
    }
    // Field ids and promotions are the lake's: of the source's columns only the newest count.
    const source = evolve(record.schema, table, 'visible', DECODED)
    if (source.kind === 'unmappable') return source
    const schema = source.kind === 'same' ? record.schema : source.schema
    if (lake.kind === 'same') return { kind: 'same', schema, operator }
    return { kind: 'evolved', schema, lake: lake.schema, operator }
  }

  /** Why rows of before cannot stand beside those of the operators of now; `null`: they can. */
  changedOperators(record: TableRecord): Unmappable | null {
    if (!this.options.keyed || this.semanticsOf(record) === record.semantics) return null
    const reason =
      'its entry of `script` or `transform` has changed, and the lake has rows of the former one'
    return { kind: 'unmappable', error: 'DDL_UNMAPPABLE', reason }
  }

  /** @returns the table that has a name which this one would have in a sink */
  takenBy(table: string): string | undefined {
    const names = this.namesInSinks(table)
    return names.map((name) => this.owners.get(name)).find((owner) => owner !== undefined)
  }

  /** @param owner  what is in the sink under these names: the table, or the union that it is in */
  takeNames(table: string, owner = table): void {
    for (const name of this.namesInSinks(table)) this.owners.set(name, owner)
  }

  private namesInSinks(table: string): readonly string[] {
    const names = namesOf(table)
    return this.plans.targets?.(names) ?? [this.plans.target(names)]
  }

  /** @returns a table as it leaves its operators */
  shown(table: SourceTable): SourceTable | Unmappable {
    const planned = this.plan(table)
    return 'kind' in planned ? planned : (planned.operator?.output ?? table)
  }

  /** @returns the union that a table (`tableKey`) is a part of; `null`: it is one by itself */
  unionOf(table: string): UnionPlan | null {
    return this.plans.unionOf?.(namesOf(table)) ?? null
  }

  /** @returns false: the lake's table is the source's, and always was */
  derives(record: TableRecord): boolean {
    return record.lake !== null || this.semanticsOf(record) !== null
  }

  /** Of the operators that the configuration has now. */
  semanticsOf({ schema }: TableRecord): string | null {
    return this.plans.of(namesOf(schema.table))?.semantics ?? null
  }

  private plan(table: SourceTable): { readonly operator: Operator | null } | Unmappable {
    try {
      return { operator: this.plans.of(table)?.plan(table) ?? null }
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      const { hint } = error
      return { kind: 'unmappable', error: error.error, reason: error.message, hint }
    }
  }
}

/** The source's table of a checkpoint, as far as the structure of before tells. */
export function shapeOf({ schema, incarnation }: TableRecord): SourceTable {
  const { table, fields, key, comment } = schema
  return {
    ...namesOf(table),
    incarnation,
    columns: fields.map(({ identity, name, type, nullable, comment }) => ({
      identity,
      name,
      type,
      nullable,
      comment,
      sourceType: formatType(type),
      existing: { kind: 'null' },
    })),
    key: key?.map((index) => fields[index]?.identity ?? '') ?? null,
    comment,
  }
}

/** @returns the structure in which rows of a table are decoded that nothing is known of */
export function decodedSchema(table: SourceTable): TableSchema {
  const first = firstSchema(table, DECODED)
  if (first.kind === 'evolved') return first.schema
  throw new PipelineError('INTERNAL', 'a table is decoded as it is')
}

function neverSame(): never {
  throw new PipelineError('INTERNAL', 'a first schema is new')
}
