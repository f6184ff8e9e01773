// One generated loop over the rows of a batch, in forms that are compiled when they are first
// needed: numbers within 2^53 or not, columns with nulls or not, all rows or a selection.

import type { ColumnBuilder } from '../column/builder.ts'
import type { Column } from '../column/column.ts'
import { emitNode } from './emit/emit.ts'
import { anyNull, Emitter, firstError, NEVER, NO_ERROR } from './emit/emitter.ts'
import type { EmitOptions, Parameters, Value } from './emit/emitter.ts'
import { kernels } from './emit/kernel-names.ts'
import { emitWrite } from './emit/leaf.ts'
import { FILTER_OUTPUT, type RowFailures } from './failures.ts'
import type { CallIr, Ir } from './ir.ts'
import type { Scratch } from './kernels/bytes.ts'

/** What a loop writes. Columns for kernels lie at the row itself, outputs behind each other. */
export type Task =
  /** An argument of a call. */
  | { readonly kind: 'argument'; readonly node: Ir; readonly builder: number }
  /** Which rows a call is made for, and the errors that its arguments bring. */
  | {
      readonly kind: 'live'
      readonly call: CallIr
      readonly slot: number
      readonly guard: Ir | null
    }
  | {
      readonly kind: 'output'
      readonly node: Ir
      readonly builder: number
      readonly output: number
    }
  | { readonly kind: 'filter'; readonly node: Ir }

/** What generated code works on. */
export interface Frame {
  readonly slots: (Column | undefined)[]
  readonly slotErrors: Int32Array[]
  readonly lives: Uint8Array[]
  readonly builders: readonly ColumnBuilder[]
  readonly scratch: Scratch
  readonly failures: RowFailures
  /** Of the filter: the rows that pass. */
  readonly passed: { rows: Int32Array; count: number }
  /** Rows of the batch. */
  rows: number
  /** Rows that count, in order; `null`: all. */
  selection: Int32Array | null
  /** The same as one byte a row; `null`: all. */
  mask: Uint8Array | null
  /** Rows that count. */
  count: number
}

/** 0, or -1: narrow code has met a number beyond 2^53. */
type GeneratedLoop = (frame: Frame) => number

export interface LoopForm extends EmitOptions {
  readonly selected: boolean
}

interface Written {
  readonly text: string
  readonly narrowHolds: boolean
  /** Nothing to do: calls are made for all rows. */
  readonly idle: boolean
}

/** Where numbers are large they stay so for a while: the narrow form would be run in vain. */
const WIDE_BATCHES = 15

export class Loop {
  /** Slots that are read: whether they have nulls decides about the form. */
  readonly reads: readonly number[]
  readonly tasks: readonly Task[]
  private readonly parameters: Parameters
  private readonly constants: readonly unknown[]
  private readonly zone: string
  /** Batches that still begin with the wide form. */
  private wideBatches = 0
  private readonly forms = new Map<string, { readonly run: GeneratedLoop } & Written>()

  constructor(
    tasks: readonly Task[],
    parameters: Parameters,
    constants: readonly unknown[],
    zone: string,
  ) {
    this.tasks = tasks
    this.parameters = parameters
    this.constants = constants
    this.zone = zone
    const reads = new Set<number>()
    for (const node of usesOf(tasks).keys()) {
      if (node.kind === 'column' || node.kind === 'call') reads.add(parameters.slot(node))
    }
    this.reads = [...reads]
  }

  /** True when the rows of this loop are those that passed, densely. */
  private get dense(): boolean {
    return this.tasks.some(({ kind }) => kind === 'output' || kind === 'filter')
  }

  run(frame: Frame, form: Omit<LoopForm, 'wide'>): void {
    const before = frame.failures.count
    if (this.wideBatches > 0) this.wideBatches--
    else {
      if (this.attempt(frame, { ...form, wide: false })) return
      frame.failures.count = before
      this.wideBatches = WIDE_BATCHES
    }
    this.attempt(frame, { ...form, wide: true })
  }

  /** @returns false when the narrow form does not do */
  private attempt(frame: Frame, form: LoopForm): boolean {
    const compiled = this.compiled(form)
    if (!compiled.narrowHolds) return false
    this.prepare(frame)
    if (compiled.idle && frame.mask === null) {
      for (const task of this.tasks) {
        if (task.kind === 'live') frame.lives[task.slot]?.fill(1, 0, frame.rows)
      }
      return true
    }
    return compiled.run(frame) === 0
  }

  private prepare(frame: Frame): void {
    frame.passed.count = 0
    for (const task of this.tasks) {
      if (task.kind === 'argument' || task.kind === 'output') {
        const builder = frame.builders[task.builder]
        builder?.reset()
        builder?.reserveRows(task.kind === 'output' ? frame.count : frame.rows)
      } else if (task.kind === 'live') {
        if ((frame.lives[task.slot]?.length ?? 0) < frame.rows) {
          frame.lives[task.slot] = new Uint8Array(frame.rows * 2)
          frame.slotErrors[task.slot] = new Int32Array(frame.rows * 2)
        }
        if (task.call.fails) frame.slotErrors[task.slot]?.fill(0, 0, frame.rows)
      } else if (frame.passed.rows.length < frame.count) {
        frame.passed.rows = new Int32Array(frame.count * 2)
      }
    }
  }

  private compiled(form: LoopForm): { readonly run: GeneratedLoop } & Written {
    const key = `${form.wide} ${form.nulls} ${form.selected}`
    let compiled = this.forms.get(key)
    if (compiled === undefined) {
      const written = this.write(form)
      // The text has names and numbers that are made here; all else comes in as a parameter.
      // oxlint-disable-next-line typescript/no-implied-eval
      const create = new Function('kernels', 'constants', written.text) as (
        names: typeof kernels,
        constants: readonly unknown[],
      ) => GeneratedLoop
      compiled = { run: create(kernels, this.constants), ...written }
      this.forms.set(key, compiled)
    }
    return compiled
  }

  /** @returns the text of one form, which must not have been compiled to be read */
  write(form: LoopForm): Written {
    const emitter = new Emitter(form, this.parameters)
    let idle = true
    const body = emitter.capture(() => {
      emitter.line('scratch.length = 0')
      for (const node of sharedNodes(this.tasks)) emitNode(emitter, node, this.zone)
      for (const task of this.tasks) if (!this.writeTask(emitter, task)) idle = false
    })
    const loop = this.dense ? denseLoop(form, body) : rowLoop(emitter, this.tasks, body)
    return { text: emitter.text(loop), narrowHolds: emitter.narrowHolds, idle }
  }

  /** @returns true when the task has nothing to do for rows that count */
  private writeTask(emitter: Emitter, task: Task): boolean {
    const emit = (node: Ir): Value => emitNode(emitter, node, this.zone)
    switch (task.kind) {
      case 'argument':
        emitWrite(emitter, task.builder, task.node.type, emit(task.node), 'row')
        return false
      case 'output': {
        const value = emit(task.node)
        emitWrite(emitter, task.builder, task.node.type, value, 'p')
        if (value.error !== NO_ERROR) writeFailure(emitter, value.error, task.output)
        return false
      }
      case 'filter':
        writeFilter(emitter, emit(task.node))
        return false
      case 'live':
        return writeLive(emitter, task, emit)
    }
  }
}

function writeFailure(emitter: Emitter, error: string, output: number): void {
  const failures = emitter.hoist('failures', 'frame.failures')
  emitter.line(`if (${error} !== 0) ${failures}.add(row, ${output}, ${error})`)
}

function writeFilter(emitter: Emitter, value: Value): void {
  const passed = emitter.hoist('passed', 'frame.passed')
  const rows = emitter.hoist('passedRows', 'frame.passed.rows')
  if (value.error !== NO_ERROR) writeFailure(emitter, value.error, FILTER_OUTPUT)
  const conditions = [
    ...(value.error === NO_ERROR ? [] : [`${value.error} === 0`]),
    ...(value.nulls === NEVER ? [] : [`!${value.nulls}`]),
    value.parts[0],
  ]
  emitter.line(`if (${conditions.join(' && ')}) ${rows}[${passed}.count++] = row`)
}

function writeLive(
  emitter: Emitter,
  { call, slot, guard }: Extract<Task, { kind: 'live' }>,
  emit: (node: Ir) => Value,
): boolean {
  const args = call.args.map(emit)
  const error = firstError(args)
  const nulls = call.nulls === 'strict' ? anyNull(args) : NEVER
  const conditions: string[] = []
  if (error !== NO_ERROR) conditions.push(`${error} === 0`)
  if (nulls !== NEVER) conditions.push(`!${nulls}`)
  if (guard !== null) {
    const { parts, error: undecided } = emit(guard)
    // A guard that has an error excludes nothing: FALSE AND error is FALSE.
    conditions.push(undecided === NO_ERROR ? `${parts[0]}` : `(${undecided} !== 0 || ${parts[0]})`)
  }
  const live = emitter.hoist(`live_${slot}`, `frame.lives[${slot}]`)
  emitter.line(
    `${live}[row] = ${conditions.length === 0 ? '1' : `${conditions.join(' && ')} ? 1 : 0`}`,
  )
  if (error !== NO_ERROR) {
    const errors = emitter.hoist(`e_${slot}`, `slotErrors[${slot}]`)
    emitter.line(`${errors}[row] = ${error}`)
  }
  return conditions.length === 0
}

/** Over the rows that count. */
function denseLoop(form: LoopForm, body: readonly string[]): string[] {
  const row = form.selected ? 'selection[p]' : 'p'
  return ['for (let p = 0; p < count; p++) {', `const row = ${row}`, ...body, '}']
}

/** Over all rows, since columns of kernels have them all; those that do not count are null. */
function rowLoop(emitter: Emitter, tasks: readonly Task[], body: readonly string[]): string[] {
  emitter.hoist('mask', 'frame.mask')
  const skipped = tasks.map((task) => {
    if (task.kind === 'live') return `live_${task.slot}[row] = 0`
    return task.kind === 'argument' ? `b_${task.builder}.setNull(row)` : ''
  })
  return [
    'for (let row = 0; row < rows; row++) {',
    `if (mask !== null && mask[row] === 0) { ${skipped.join('; ')}; continue }`,
    ...body,
    '}',
  ]
}

function nodesOf(task: Task): readonly Ir[] {
  if (task.kind !== 'live') return [task.node]
  return task.guard === null ? task.call.args : [...task.call.args, task.guard]
}

/** @returns the nodes that a loop computes or reads, with how many others need them */
function usesOf(tasks: readonly Task[]): Map<Ir, number> {
  const uses = new Map<Ir, number>()
  const use = (node: Ir): void => {
    const before = uses.get(node) ?? 0
    uses.set(node, before + 1)
    // Arguments of a call are its own loop's business.
    if (before === 0 && node.kind === 'operation') for (const arg of node.args) use(arg)
  }
  for (const node of tasks.flatMap(nodesOf)) use(node)
  return uses
}

/**
 * Nodes that several others need: computed first, in an order in which each comes after what it is
 * made of. A branch that needs one would else compute it again, and branches of branches so on.
 */
function sharedNodes(tasks: readonly Task[]): Ir[] {
  return [...usesOf(tasks)]
    .filter(([node, count]) => count > 1 && node.kind !== 'constant')
    .map(([node]) => node)
    .sort((a, b) => a.id - b.id)
}
