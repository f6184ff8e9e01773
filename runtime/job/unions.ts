// Tables of the source that are one table of the lake. Each has a record, and a hand-over, of its
// own; the union has a record too, under a name that no table of the source has, and that is the
// table which writers, checkpoints and commits know. Here rows of the former become rows of the
// latter, and what happens to one table becomes what the whole is told.
//
// The sink takes a union for one table: it repairs it as a whole and parks it as a whole. Its rows
// cannot be taken back by table of the source, so what would need that parks the union, and the
// resync of any of its tables reads all of them again.

import { PipelineError, recordOf, type ErrorRecord } from '../base/errors.ts'
import type { ChangeBatch } from '../data/batch.ts'
import type { BackfillStart, Control, Settled } from '../data/element.ts'
import type { EvolutionOptions, Unmappable } from '../data/evolution.ts'
import type { Order } from '../data/position.ts'
import { isUnion, shownTable, type SourceTable, type TableSchema } from '../data/schema.ts'
import { UnionRows } from '../data/union-rows.ts'
import { unite, uniteAll } from '../data/union.ts'
import { inHandOver, lakeSchema, newRecord, type TableRecord } from '../flow/tables.ts'
import type { Operator, UnionPlan } from '../operator.ts'
import { refusal } from './refusals.ts'
import { shapeOf, type Step, type Structures } from './structures.ts'

/** The corridor, as its unions see it. */
export interface UnionHost {
  readonly tables: Map<string, TableRecord>
  /** A structure that the lake gets. */
  announce(schema: TableSchema): void
  broadcast(element: Control): void
  /** Operators of a table of the source; `null`: its rows pass as they are. */
  setOperator(table: string, operator: Operator | null): void
  /** Tables that could not be taken in. */
  readonly refused: Map<string, ErrorRecord>
  park(table: string, error: PipelineError): void
  /** @throws the error, at the first start */
  refuse(table: string, error: PipelineError): null
  /** The table is a part of the union from now on, and none of its rows have been read. */
  began(record: TableRecord, union: string): void
}

type Taken = Exclude<Step, Unmappable>

export class Unions {
  private readonly host: UnionHost
  private readonly structures: Structures
  private readonly options: EvolutionOptions
  /** By union: its tables whose hand-over the sink takes for the union's. */
  private readonly open = new Map<string, Set<string>>()
  private readonly repairing = new Set<string>()
  private readonly rows = new Map<string, UnionRows>()
  /** By table: what it has in those columns of the key that are the same for all of its rows. */
  private readonly constants = new Map<string, string>()

  constructor(host: UnionHost, structures: Structures, options: EvolutionOptions) {
    this.host = host
    this.structures = structures
    this.options = options
  }

  /** @returns the union's record; `null`: the table is one by itself */
  of({ united }: TableRecord): TableRecord | null {
    return united === undefined ? null : (this.host.tables.get(united.table) ?? null)
  }

  private partsOf(union: string): TableRecord[] {
    return [...this.host.tables.values()].filter(
      ({ united, phase }) => united?.table === union && phase !== 'dropped',
    )
  }

  /** A table that the pipeline sees for the first time. @returns as `SourceContext.tableChanged` */
  appeared(plan: UnionPlan, name: string, table: SourceTable): TableSchema | null {
    const step = this.structures.first(table)
    const joined = step.kind === 'unmappable' ? step : this.join(plan, table, step, name)
    if ('kind' in joined) return this.host.refuse(name, refusal(name, joined))
    this.host.refused.delete(name)
    this.host.began(joined, plan.table)
    return joined.phase === 'parked' ? null : joined.schema
  }

  /** The log shows another structure. @returns as `SourceContext.tableChanged` */
  changed(record: TableRecord, table: SourceTable, order: Order): TableSchema | null {
    const { united } = record
    const union = this.of(record)
    if (union?.phase === 'parked') {
      record.phase = 'parked'
      record.reason = union.reason
      record.shape = table
      return null
    }
    const reborn = record.incarnation !== table.incarnation || record.phase === 'dropped'
    if (reborn) {
      // It is there, whether it can be carried or not.
      record.phase = 'streaming'
      this.host.refused.delete(record.schema.table)
      if (this.emptied(record, 'it was made anew', order)) {
        record.shape = table
        return null
      }
      record.floor = null
    }
    const step = this.structures.next(record, table, reborn ? 'visible' : 'carried')
    const schema = this.take(record, step, table, reborn)
    if (schema === null) {
      record.shape = table
      return null
    }
    record.incarnation = table.incarnation
    if (reborn && united !== undefined) this.host.began(record, united.table)
    return schema
  }

  /** Takes the next structure of a table over. @returns it; `null`: the union is parked by it */
  take(record: TableRecord, step: Step, table: SourceTable, reborn: boolean): TableSchema | null {
    const refused = this.follow(record, step, table, reborn)
    if (refused === null) return record.schema
    const name = record.schema.table
    const { hint } = partRefused(name, '')
    this.host.park(name, refusal(name, { hint, ...refused }))
    return null
  }

  /**
   * The rows that a table had are gone, and stand in the lake beside those of others. A sink that
   * keeps every row keeps them.
   *
   * @returns true: the union is parked
   */
  emptied(record: TableRecord, what: string, order: Order): boolean {
    const { table } = record.schema
    if (this.options.keyed) {
      const reason = `${what}, and its rows of before cannot be told from those of other tables`
      this.host.park(table, partRefused(table, reason))
      return true
    }
    const union = this.of(record)
    if (!inHandOver(record) || union === null) return false
    record.floor = order
    this.control(record, union, { kind: 'truncate', table, order })
    return false
  }

  /**
   * Takes a new table in, whose own structure is `step`.
   *
   * @returns its record · why the lake cannot have it beside the others
   */
  private join(
    plan: UnionPlan,
    table: SourceTable,
    step: Taken,
    name: string,
  ): TableRecord | Unmappable {
    if (table.key === null) return WITHOUT_KEY
    const shown = step.operator?.output ?? table
    // Of one that is gone the rows are still there.
    const others = [...this.host.tables.values()].filter(
      ({ united }) => united?.table === plan.table,
    )
    const refused = this.clash(plan, name, shown, others)
    if (refused !== null) return refused
    const after = (step.kind === 'evolved' ? step.lake : null) ?? step.schema
    const known = this.host.tables.get(plan.table) ?? null
    const part = { before: null, after, shown, gone: [] }
    const next = unite(known?.schema ?? null, plan.table, part, this.options)
    if ('kind' in next) return next
    if (next.evolution.kind === 'evolved') {
      if (known === null) {
        this.host.tables.set(plan.table, newRecord(next.evolution.schema, 'union'))
      } else known.schema = next.evolution.schema
      this.host.announce(next.evolution.schema)
    }
    const record = newRecord(step.schema, table.incarnation)
    record.lake = step.kind === 'evolved' ? step.lake : null
    record.semantics = this.structures.semanticsOf(record)
    record.united = { table: plan.table, gone: [] }
    this.host.tables.set(name, record)
    this.host.setOperator(name, step.operator)
    if (known?.phase === 'parked') {
      record.phase = 'parked'
      record.reason = known.reason
      record.shape = table
    }
    return record
  }

  /** @returns why rows of two tables could have one key; `null`: they cannot, or it does no harm */
  private clash(
    plan: UnionPlan,
    name: string,
    shown: SourceTable,
    others: readonly TableRecord[],
  ): Unmappable | null {
    const own = constantsOf(shown)
    this.constants.set(name, own)
    if (!this.options.keyed || plan.disjoint) return null
    const names = others.map(({ schema }) => schema.table)
    const other = names.find((each) => each !== name && this.constants.get(each) === own)
    return other === undefined ? null : sharedKeys(plan, other)
  }

  /**
   * Takes the next structure of a table over.
   *
   * @param reborn  it has no rows in the lake that count
   * @returns why not; `null`: it is taken
   */
  private follow(
    record: TableRecord,
    step: Step,
    table: SourceTable,
    reborn: boolean,
  ): Unmappable | null {
    const union = this.of(record)
    if (step.kind === 'unmappable' || union === null || record.united === undefined) {
      return step.kind === 'unmappable' ? step : null
    }
    if (table.key === null) return WITHOUT_KEY
    const shown = step.operator?.output ?? table
    const after = step.kind === 'evolved' ? (step.lake ?? step.schema) : lakeSchema(record)
    const before = reborn ? null : lakeSchema(record)
    const { gone } = record.united
    const next = unite(
      union.schema,
      union.schema.table,
      { before, after, shown, gone },
      this.options,
    )
    if ('kind' in next) return next
    this.constants.set(record.schema.table, constantsOf(shown))
    if (next.evolution.kind === 'evolved') {
      union.schema = next.evolution.schema
      this.host.announce(union.schema)
    }
    record.united = { table: union.schema.table, gone: next.gone }
    this.adopt(record, step)
    return null
  }

  private adopt(record: TableRecord, step: Taken): void {
    record.schema = step.schema
    if (step.kind === 'evolved') record.lake = step.lake
    this.host.setOperator(record.schema.table, step.operator)
  }

  /** @returns the rows as the union's; `null`: their table is one by itself */
  enter(batch: ChangeBatch, from: TableSchema): ChangeBatch | null {
    const record = this.host.tables.get(batch.table)
    const to = record === undefined ? undefined : this.of(record)?.schema
    if (to === undefined) return null
    const known = this.rows.get(batch.table)
    if (known?.from === from && known.to === to) return known.apply(batch)
    const rows = new UnionRows(from, to)
    this.rows.set(batch.table, rows)
    return rows.apply(batch)
  }

  /** What the hand-over says of one table, as the guards hear it, and the sink. */
  control(record: TableRecord, union: TableRecord, element: Control): void {
    const { table } = union.schema
    const origin = record.schema.table
    switch (element.kind) {
      case 'backfill':
        this.host.broadcast({ ...element, table, origin })
        this.opened(union, origin, element)
        break
      case 'settled':
        this.host.broadcast({ ...element, table, origin })
        if (element.done) this.settled(union, origin, element)
        break
      case 'truncate':
        this.host.broadcast({ ...element, table, origin })
        break
      default:
        throw new PipelineError('INTERNAL', `a part of a union is told "${element.kind}"`)
    }
  }

  private opened(union: TableRecord, origin: string, { repair }: BackfillStart): void {
    const { table } = union.schema
    const open = this.open.get(table) ?? new Set()
    const repairs = repair || this.partsOf(table).some(({ backfill }) => backfill?.repair === true)
    const told = open.size > 0 && (!repairs || this.repairing.has(table))
    open.add(origin)
    this.open.set(table, open)
    if (repairs) this.repairing.add(table)
    if (union.phase !== 'parked') union.phase = 'backfilling'
    if (told) return
    this.host.broadcast({ kind: 'backfill', table, repair: repairs, floor: null })
  }

  private settled(union: TableRecord, origin: string, { order }: Settled): void {
    const { table } = union.schema
    const open = this.open.get(table)
    if (open?.delete(origin) !== true || open.size > 0) return
    this.repairing.delete(table)
    if (union.phase === 'backfilling') union.phase = 'streaming'
    this.host.broadcast({ kind: 'settled', table, order, done: true })
  }

  /** @returns the tables that are repaired together; what the sink had of it begins anew */
  together(record: TableRecord): readonly TableRecord[] | null {
    const union = isUnion(record.schema.table) ? record : this.of(record)
    if (union === null) return null
    const { table } = union.schema
    this.open.delete(table)
    this.repairing.delete(table)
    return this.partsOf(table)
  }

  /** The table is gone, and its rows stay. In a repair they would have to be read. */
  leave(record: TableRecord, union: TableRecord, order: Order): void {
    const { table } = record.schema
    if (!inHandOver(record)) return
    const reason = 'it was dropped while it was read again, and not all of its rows had come'
    if (this.repairing.has(union.schema.table))
      this.park(union, recordOf(partRefused(table, reason)))
    else this.control(record, union, { kind: 'settled', table, order, done: true })
  }

  park(union: TableRecord, reason: ErrorRecord): void {
    if (union.phase === 'parked') return
    const { table } = union.schema
    union.phase = 'parked'
    union.reason = reason
    for (const part of this.partsOf(table)) {
      const origin = part.schema.table
      if (inHandOver(part)) {
        this.host.broadcast({ kind: 'settled', table, origin, order: 0n, done: true })
      }
      part.phase = 'parked'
      part.reason = reason
      part.backfill = null
    }
    this.open.delete(table)
    this.repairing.delete(table)
    this.host.broadcast({ kind: 'park', table, reason })
  }

  /** Takes up what a checkpoint has of it. */
  restore(record: TableRecord): void {
    const name = record.schema.table
    const union = this.of(record)
    // It may have been parked by a table that was taken up before this one.
    if (union?.phase === 'parked' && record.phase !== 'dropped') {
      record.phase = 'parked'
      record.reason = union.reason
      record.backfill = null
    }
    const shown = this.structures.shown(record.shape ?? shapeOf(record))
    if (!('kind' in shown)) this.constants.set(name, constantsOf(shown))
  }

  /**
   * Makes a union ready to be repaired: all of its tables under the structures that they have now.
   *
   * @param renew  what an adopted table begins with
   * @returns why not; `null`: it is
   */
  rebuild(
    union: TableRecord,
    renew: ((schema: TableSchema) => TableSchema) | null,
  ): PipelineError | null {
    const { table } = union.schema
    const steps: { record: TableRecord; step: Taken; shown: SourceTable }[] = []
    const all = this.partsOf(table)
    for (const { schema } of all) this.constants.delete(schema.table)
    for (const record of all) {
      const shape = record.shape ?? shapeOf(record)
      const name = record.schema.table
      const step = this.structures.next(record, shape, 'visible')
      if (step.kind === 'unmappable') return refusal(name, step)
      if (shape.key === null) return refusal(name, WITHOUT_KEY)
      const shown = step.operator?.output ?? shape
      const plan = this.structures.unionOf(name)
      const clash = plan === null ? null : this.clash(plan, name, shown, all)
      if (clash !== null) return refusal(name, clash)
      steps.push({ record, step, shown })
    }
    const base = renew === null ? union.schema : renew(union.schema)
    const parts = steps.map(({ shown }) => shown)
    const evolution = uniteAll(base, parts, this.options)
    if (evolution.kind === 'unmappable') return refusal(shownTable(table), evolution)
    for (const { record, step } of steps) this.rebuildPart(record, step)
    const { phase } = union
    union.schema = evolution.kind === 'evolved' ? evolution.schema : base
    union.phase = 'streaming'
    union.reason = null
    if (evolution.kind === 'evolved' || renew !== null) this.host.announce(union.schema)
    else if (phase === 'parked') this.host.broadcast({ kind: 'schema', schema: union.schema })
    return null
  }

  private rebuildPart(record: TableRecord, step: Taken): void {
    const { shape, united } = record
    if (shape !== null) record.incarnation = shape.incarnation
    record.phase = 'streaming'
    record.reason = null
    record.shape = null
    if (united !== undefined) record.united = { ...united, gone: [] }
    this.adopt(record, step)
    record.semantics = this.structures.semanticsOf(record)
  }
}

/** A copy of such a table begins again by taking back all that the lake has of it. */
const WITHOUT_KEY: Unmappable = {
  kind: 'unmappable',
  error: 'TABLE_WITHOUT_KEY',
  reason: 'it has no key in the source, and shares a table of the lake with others',
}

/** What is the same for all rows in the columns of the key, in the order of their names. */
function constantsOf({ columns, key }: SourceTable): string {
  const own = (key ?? []).flatMap((identity) => {
    const column = columns.find((each) => each.identity === identity)
    return column?.constant === undefined ? [] : [[column.name, column.constant]]
  })
  return JSON.stringify(own.sort(([one = ''], [other = '']) => (one < other ? -1 : 1)))
}

function sharedKeys({ table }: UnionPlan, other: string): Unmappable {
  const target = shownTable(table)
  return {
    kind: 'unmappable',
    error: 'ROUTE_TAKEN',
    reason: `no column of the key tells its rows in ${target} from those of "${other}"`,
    hint:
      'Add one by `transform`, such as `projection: "*, __table__ AS shard"` (or `__schema__`, ' +
      '`__db__`) and `primary_keys: [shard, ...]`; or write `keys: disjoint` beside `union: widen` ' +
      'where no key is ever in two of the tables.',
  }
}

/** Why the union of a table parks. */
export function partRefused(table: string, reason: string): PipelineError {
  return new PipelineError('DDL_UNMAPPABLE', `table "${table}": ${reason}`, {
    hint:
      'Run `millrace resync FILE --table TABLE`: all tables that are one with it in the lake are ' +
      'read again, and replace what the lake has.',
  })
}
