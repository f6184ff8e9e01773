// What a compiled projection and filter do with a batch: loops and calls in an order in which each
// finds what it needs. Calls of functions take whole columns, so that their arguments are computed
// by a loop before them, and their results are read by a loop behind them:
//
//   loop, calls, loop, calls, ..., filter | loop, calls, ..., outputs
//
// What the filter has called is not called again for the outputs.

import { appendRows } from '../column/append.ts'
import { columnBuilder, type ColumnBuilder } from '../column/builder.ts'
import type { Column } from '../column/column.ts'
import type { ColumnType } from '../type.ts'
import { constantColumn } from './column-value.ts'
import { DistinctValues } from './distinct.ts'
import type { Parameters } from './emit/emitter.ts'
import { RowFailures, type Site } from './failures.ts'
import type { KernelCall } from './functions/function.ts'
import { guardsOf } from './guards.ts'
import { visit, type CallIr, type ConstantIr, type Ir, type IrFactory } from './ir.ts'
import { Scratch } from './kernels/bytes.ts'
import { Loop, type Frame, type LoopForm, type Task } from './loop.ts'

/** Fewer rows are not worth a look. */
const DISTINCT_ROWS_MIN = 64

/** Nodes of one loop: V8 does not optimize functions beyond some size. */
const LOOP_NODES_MAX = 150

/** An argument that is the same in every row: its column, made once for the largest batch. */
interface ConstantSlot {
  readonly node: ConstantIr
  readonly slot: number
}

/** What the program knows of a column. */
export interface InputColumn {
  readonly nullable: boolean
}

/** One loop and the calls that it prepares. */
interface Stage {
  readonly loop: Loop
  readonly calls: readonly BoundCall[]
  /** Arguments that the loop writes, and where the calls find them. */
  readonly written: readonly { readonly builder: number; readonly slot: number }[]
}

interface BoundCall {
  readonly node: CallIr
  readonly slot: number
  readonly args: readonly number[]
  readonly builder: number
}

export class Program {
  readonly filterStages: readonly Stage[]
  readonly filterLoop: Loop | null
  readonly outputStages: readonly Stage[]
  readonly outputLoops: readonly Loop[]
  private readonly sites: Site[] = [{ message: '', expression: '' }]
  private readonly siteIds = new Map<string, number>()
  private readonly constants: unknown[] = []
  private readonly constantIds = new Map<string, number>()
  private readonly builders: ColumnBuilder[] = []
  private readonly callSlots = new Map<CallIr, number>()
  /** By slot of a call's result: whether declared columns can make it null. */
  private readonly callNullable = new Map<number, boolean>()
  private readonly constantSlots: ConstantSlot[] = []
  private readonly inputs: readonly InputColumn[]
  private readonly zone: string
  private slotCount: number
  private readonly hasCalls: boolean
  private readonly frame: Frame
  private readonly frames: CallFrame[] = []
  private readonly distinct = new DistinctValues()

  /**
   * @param inputs  the columns that batches have
   * @param outputs  what is computed; results come in this order
   * @param numbers  of the outputs, for failures
   */
  constructor(
    factory: IrFactory,
    inputs: readonly InputColumn[],
    filter: Ir | null,
    outputs: readonly Ir[],
    numbers: readonly number[] = [...outputs.keys()],
  ) {
    this.inputs = inputs
    this.zone = factory.zone
    this.slotCount = inputs.length
    for (const { type } of outputs) this.builders.push(columnBuilder(type))
    const roots = filter === null ? outputs : [filter, ...outputs]
    const guards = guardsOf(factory, roots)
    this.filterStages = filter === null ? [] : this.plan([filter], guards)
    this.filterLoop = filter === null ? null : this.loop([{ kind: 'filter', node: filter }])
    this.outputStages = this.plan(outputs, guards)
    this.outputLoops = chunks(outputs, numbers).map((tasks) => this.loop(tasks))
    this.hasCalls = this.callSlots.size > 0
    this.frame = {
      slots: [],
      slotErrors: [],
      lives: [],
      builders: this.builders,
      scratch: new Scratch(),
      failures: new RowFailures(this.sites),
      passed: { rows: new Int32Array(0), count: 0 },
      rows: 0,
      selection: null,
      mask: null,
      count: 0,
    }
  }

  get failures(): RowFailures {
    return this.frame.failures
  }

  /** Takes a batch. @param selection  rows that count, ascending; `null`: all */
  begin(columns: readonly Column[], rows: number, selection: Int32Array | null): void {
    const { frame } = this
    frame.rows = rows
    frame.failures.count = 0
    for (let slot = 0; slot < this.inputs.length; slot++) frame.slots[slot] = columns[slot]
    for (const { node, slot } of this.constantSlots) {
      const known = frame.slots[slot]
      if (known === undefined || known.length < rows) {
        frame.slots[slot] = constantColumn(node.type, node.value, rows)
      }
    }
    this.select(selection)
  }

  private select(selection: Int32Array | null): void {
    const { frame } = this
    frame.selection = selection
    frame.count = selection === null ? frame.rows : selection.length
    frame.mask = null
    // Only loops over all rows ask for it, and only calls have such loops.
    if (selection !== null && this.hasCalls) {
      frame.mask = new Uint8Array(frame.rows)
      for (let at = 0; at < selection.length; at++) frame.mask[selection[at] ?? 0] = 1
    }
  }

  /** @returns rows that pass the filter, ascending; valid until the next batch; `null`: all rows */
  filter(): Int32Array | null {
    const { frame } = this
    if (this.filterLoop === null) return frame.selection
    this.runStages(this.filterStages)
    this.runLoop(this.filterLoop)
    const { rows, count } = frame.passed
    // Whoever counts on all rows gets them without a selection.
    if (count === frame.rows) this.select(null)
    else this.select(rows.slice(0, count))
    return frame.selection
  }

  /** Computes the outputs of the rows that count. @returns their columns, valid until `begin` */
  project(): Column[] {
    this.runStages(this.outputStages)
    for (const loop of this.outputLoops) this.runLoop(loop)
    const outputs = this.outputLoops.flatMap(({ tasks }) => tasks)
    return outputs.flatMap((task) => {
      if (task.kind !== 'output') return []
      const builder = this.builders[task.builder]
      return builder === undefined ? [] : [builder.view(this.frame.count)]
    })
  }

  private runStages(stages: readonly Stage[]): void {
    const { frame } = this
    for (const { loop, calls, written } of stages) {
      this.runLoop(loop)
      for (const { builder, slot } of written) {
        frame.slots[slot] = this.builders[builder]?.view(frame.rows)
      }
      for (const call of calls) this.runCall(call)
    }
  }

  private runLoop(loop: Loop): void {
    const { frame } = this
    const full = loop.reads.filter((slot) => hasNulls(frame.slots[slot]))
    const declared = full.every((slot) => this.mayBeNull(slot))
    const nulls = full.length === 0 ? 'none' : declared ? 'declared' : 'all'
    loop.run(frame, { nulls, selected: frame.selection !== null })
  }

  private mayBeNull(slot: number): boolean {
    return this.inputs[slot]?.nullable ?? this.callNullable.get(slot) ?? true
  }

  private runCall({ node, slot, args, builder: index }: BoundCall): void {
    const { frame } = this
    const builder = this.builders[index]
    if (builder === undefined) return
    builder.reset()
    builder.reserveRows(frame.rows)
    const call = (this.frames[slot] ??= new CallFrame(this.parameters, node))
    call.args = args.flatMap((arg) => frame.slots[arg] ?? [])
    call.rows = frame.rows
    call.live = frame.lives[slot] ?? call.live
    call.out = builder
    call.errors = frame.slotErrors[slot] ?? call.errors
    const repeats = this.repeatedArgument(node, call)
    if (repeats === null) node.kernel(call)
    else this.callDistinct(node, call, repeats, builder)
    frame.slots[slot] = builder.view(frame.rows)
  }

  /** @returns the place of the text that a costly call depends on, if its values repeat */
  private repeatedArgument(node: CallIr, call: CallFrame): number | null {
    if (!node.costly || call.rows < DISTINCT_ROWS_MIN) return null
    const varying = [...node.args.keys()].filter((at) => node.args[at]?.kind !== 'constant')
    const [at = -1] = varying
    const column = call.args[at]
    if (varying.length !== 1 || column?.layout !== 'bytes') return null
    return this.distinct.find(column, call.live, call.rows) ? at : null
  }

  private callDistinct(node: CallIr, call: CallFrame, at: number, builder: ColumnBuilder): void {
    const { distinct } = this
    const rows = distinct.count + 1
    const once = new CallFrame(this.parameters, node)
    once.args = call.args.map((arg, index) => (index === at ? distinct.column(arg) : arg))
    once.rows = rows
    once.live = new Uint8Array(rows).fill(1, 0, distinct.count)
    once.errors = new Int32Array(rows)
    once.out = columnBuilder(node.type)
    once.out.reserveRows(rows)
    node.kernel(once)
    appendRows(builder, 0, once.out.view(rows), call.rows, distinct.numbers)
    if (!node.fails) return
    for (let row = 0; row < call.rows; row++) {
      const error = once.errors[distinct.numbers[row] ?? 0] ?? 0
      if (error !== 0) call.errors[row] = error
    }
  }

  // Planning

  private readonly parameters: Parameters = {
    constant: (key, make) => {
      let index = this.constantIds.get(key)
      if (index === undefined) {
        index = this.constants.length
        this.constants.push(make())
        this.constantIds.set(key, index)
      }
      return index
    },
    site: (node, message) => {
      const key = `${node.id} ${message}`
      let site = this.siteIds.get(key)
      if (site === undefined) {
        site = this.sites.length
        this.sites.push({ message, expression: node.source.text.slice(node.start, node.end) })
        this.siteIds.set(key, site)
      }
      return site
    },
    slot: (node) => (node.kind === 'column' ? node.index : (this.callSlots.get(node) ?? -1)),
  }

  private loop(tasks: readonly Task[]): Loop {
    return new Loop(tasks, this.parameters, this.constants, this.zone)
  }

  /** @returns the stages of all calls below `roots` that have none yet */
  private plan(roots: readonly Ir[], guards: ReadonlyMap<Ir, Ir | null>): Stage[] {
    const calls: CallIr[] = []
    visit(roots, (node) => {
      if (node.kind === 'call' && !this.callSlots.has(node)) calls.push(node)
    })
    const levels = new Map<Ir, number>()
    const levelOf = (node: Ir): number => {
      const known = levels.get(node)
      if (known !== undefined) return known
      if (node.kind === 'column' || node.kind === 'constant') return 0
      if (node.kind === 'call' && this.callSlots.has(node)) return 0
      const guard = node.kind === 'call' ? (guards.get(node) ?? null) : null
      const below = Math.max(0, ...node.args.map(levelOf), guard === null ? 0 : levelOf(guard))
      const level = node.kind === 'call' ? below + 1 : below
      levels.set(node, level)
      return level
    }
    const byLevel = new Map<number, CallIr[]>()
    for (const call of calls.sort((a, b) => a.id - b.id)) {
      const level = levelOf(call)
      byLevel.set(level, [...(byLevel.get(level) ?? []), call])
    }
    // Slots first: guards and arguments of one stage read results of those before.
    for (const call of calls) {
      this.callNullable.set(this.slotCount, call.nullable)
      this.callSlots.set(call, this.slotCount++)
    }
    return [...byLevel.keys()]
      .sort((a, b) => a - b)
      .map((level) => this.stage(byLevel.get(level) ?? [], guards))
  }

  private stage(nodes: readonly CallIr[], guards: ReadonlyMap<Ir, Ir | null>): Stage {
    const written = new Map<Ir, { builder: number; slot: number }>()
    const tasks: Task[] = []
    const argument = (node: Ir): number => {
      if (node.kind === 'column' || node.kind === 'call') return this.parameters.slot(node)
      if (node.kind === 'constant') return this.constantSlot(node)
      const known = written.get(node)
      if (known !== undefined) return known.slot
      const place = { builder: this.builder(node.type), slot: this.slotCount++ }
      written.set(node, place)
      tasks.push({ kind: 'argument', node, builder: place.builder })
      return place.slot
    }
    const calls = nodes.map((node) => {
      const slot = this.parameters.slot(node)
      const args = node.args.map(argument)
      tasks.push({ kind: 'live', call: node, slot, guard: guards.get(node) ?? null })
      return { node, slot, args, builder: this.builder(node.type) }
    })
    return { loop: this.loop(tasks), calls, written: [...written.values()] }
  }

  private builder(type: ColumnType): number {
    return this.builders.push(columnBuilder(type)) - 1
  }

  private constantSlot(node: ConstantIr): number {
    const known = this.constantSlots.find((one) => one.node === node)
    if (known !== undefined) return known.slot
    const slot = this.slotCount++
    this.constantSlots.push({ node, slot })
    return slot
  }

  /** @returns the generated code of one form, for people */
  describe(form: LoopForm): string[] {
    const stages = (list: readonly Stage[]): string[] =>
      list.flatMap(({ loop, calls }) => [
        loop.write(form).text,
        ...calls.map(
          ({ node, slot, args }) =>
            `slot ${slot} = ${node.name}(${args.map((arg) => `slot ${arg}`).join(', ')})`,
        ),
      ])
    return [
      ...stages(this.filterStages),
      ...(this.filterLoop === null ? [] : [this.filterLoop.write(form).text]),
      ...stages(this.outputStages),
      ...this.outputLoops.map((loop) => loop.write(form).text),
    ]
  }
}

function hasNulls(column: Column | undefined): boolean {
  return column !== undefined && column.validity !== null
}

/** One call of a kernel; there is one object a call site, filled anew for each batch. */
class CallFrame implements KernelCall {
  args: readonly Column[] = []
  rows = 0
  live: Uint8Array = new Uint8Array(0)
  out: ColumnBuilder = columnBuilder({ kind: 'int' })
  errors: Int32Array = new Int32Array(0)
  private readonly parameters: Parameters
  private readonly node: CallIr

  constructor(parameters: Parameters, node: CallIr) {
    this.parameters = parameters
    this.node = node
  }

  fail(row: number, message: string): void {
    this.errors[row] = this.parameters.site(this.node, message)
    this.out.setNull(row)
  }
}

/** Outputs in groups, each small enough for one loop. */
function chunks(outputs: readonly Ir[], numbers: readonly number[]): Task[][] {
  const groups: Task[][] = []
  let size = LOOP_NODES_MAX
  for (const [builder, node] of outputs.entries()) {
    let nodes = 0
    visit([node], () => nodes++)
    if (size + nodes > LOOP_NODES_MAX) {
      groups.push([])
      size = 0
    }
    size += nodes
    groups.at(-1)?.push({ kind: 'output', node, builder, output: numbers[builder] ?? builder })
  }
  return groups
}
