// Typed expressions. Equal ones are one node (hash consing), which is what makes common
// subexpressions common; a node never changes. Every operation states what it takes and gives, and
// what it has may be null, or an error: an error is a value here, and nothing throws for a row.

import type { ColumnValue } from './column-value.ts'
import type { ColumnType } from '../type.ts'
import type { Kernel, NullRule } from './functions/function.ts'
import { typeName } from './expression-type.ts'
import type { SourceText, Span } from './place.ts'

export type Operation =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'modulo'
  | 'negate'
  | 'equal'
  | 'unequal'
  | 'less'
  | 'lessEqual'
  | 'greater'
  | 'greaterEqual'
  /** NULL is a value here. */
  | 'distinct'
  | 'and'
  | 'or'
  | 'not'
  | 'isNull'
  /** `detail`: 1 or 0. Never null. */
  | 'isTruth'
  /** x, constants: `detail` is their number. */
  | 'in'
  /** Text, pattern; `detail` is `I` (ignore case) or empty, then the escape character. */
  | 'like'
  | 'concat'
  /** When, then, when, then, ..., otherwise. */
  | 'case'
  | 'coalesce'
  | 'nullif'
  /** Null for an error. */
  | 'try'
  /** To the node's type; `detail` is `try` for TRY_CAST. */
  | 'cast'
  /** Date or timestamp plus an interval: `detail` is `months,days,us`. */
  | 'shift'

interface IrBase extends Span {
  /** The text in which it was first met; `start` and `end` lie in it. */
  readonly source: SourceText
  /** Order of making, which is an order of dependency. */
  readonly id: number
  readonly type: ColumnType
  /** False: no row of declared columns makes it null. */
  readonly nullable: boolean
  /** False: no row makes it an error. */
  readonly fails: boolean
}

export interface ColumnIr extends IrBase {
  readonly kind: 'column'
  /** In the list of columns that the caller gave. */
  readonly index: number
}

export interface ConstantIr extends IrBase {
  readonly kind: 'constant'
  /** `null`: a typed NULL. */
  readonly value: ColumnValue
}

export interface OperationIr extends IrBase {
  readonly kind: 'operation'
  readonly op: Operation
  readonly args: readonly Ir[]
  readonly detail: string
}

/** A function of the library, called on columns. */
export interface CallIr extends IrBase {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Ir[]
  readonly nulls: NullRule
  /** Called once for equal texts of a batch, where they repeat. */
  readonly costly: boolean
  readonly kernel: Kernel
}

export type Ir = ColumnIr | ConstantIr | OperationIr | CallIr

/** What a node is made of; the rest the factory knows. */
type Draft<N extends Ir> = Omit<N, 'id' | 'source'>

/** Makes nodes, equal ones once. */
export class IrFactory {
  private readonly nodes = new Map<string, Ir>()
  /** The time zone of the pipeline, which conversions take that name none. */
  readonly zone: string
  /** Of hmac_sha256; `null`: there is none. */
  readonly maskKey: Uint8Array | null
  /** What is being resolved. */
  source: SourceText = { text: '', what: 'expression' }

  constructor(zone: string, maskKey: Uint8Array | null = null) {
    this.zone = zone
    this.maskKey = maskKey
  }

  column(index: number, type: ColumnType, nullable: boolean, span: Span): ColumnIr {
    const draft: Draft<ColumnIr> = {
      kind: 'column',
      index,
      type,
      nullable,
      fails: false,
      ...spanOf(span),
    }
    return this.intern(`column ${index}`, draft)
  }

  constant(type: ColumnType, value: ConstantIr['value'], span: Span): ConstantIr {
    const nullable = value === null
    const draft: Draft<ConstantIr> = {
      kind: 'constant',
      type,
      value,
      nullable,
      fails: false,
      ...spanOf(span),
    }
    return this.intern(`constant ${typeName(type)} ${constantKey(value)}`, draft)
  }

  operation(draft: Omit<Draft<OperationIr>, 'kind' | 'detail'> & { detail?: string }): OperationIr {
    const { op, args, type, detail = '' } = draft
    const key = `${op} ${typeName(type)} ${args.map(({ id }) => id).join()} ${detail}`
    return this.intern(key, { ...draft, ...spanOf(draft), kind: 'operation', detail })
  }

  /** `key` says which overload this is. */
  call(key: string, draft: Omit<Draft<CallIr>, 'kind'>): CallIr {
    const full = `call ${key} ${draft.args.map(({ id }) => id).join()}`
    return this.intern(full, { ...draft, ...spanOf(draft), kind: 'call' })
  }

  private intern<N extends Ir>(key: string, draft: Draft<N>): N {
    const known = this.nodes.get(key)
    // A key names its kind, so the node found is of the kind asked for.
    if (known !== undefined) return known as N
    const node = { ...draft, id: this.nodes.size, source: this.source } as unknown as N
    this.nodes.set(key, node)
    return node
  }
}

function spanOf({ start, end }: Span): Span {
  return { start, end }
}

function constantKey(value: ConstantIr['value']): string {
  if (value === null) return 'null'
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map((one: ColumnValue) => `[${constantKey(one)}]`).join('')
  // -0 and 0 are two constants: one prints as "-0".
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  return JSON.stringify(String(value))
}

/** @returns columns that the expressions read */
export function columnsOf(roots: Iterable<Ir>): Set<number> {
  const columns = new Set<number>()
  visit(roots, (node) => {
    if (node.kind === 'column') columns.add(node.index)
  })
  return columns
}

/** Calls `see` for every node below and with `roots`, once each. */
export function visit(roots: Iterable<Ir>, see: (node: Ir) => void): void {
  const seen = new Set<Ir>()
  const queue = [...roots]
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (seen.has(node)) continue
    seen.add(node)
    see(node)
    if (node.kind === 'operation' || node.kind === 'call') queue.push(...node.args)
  }
}
