// The text of one generated function while it is written: its head (arrays that are looked up
// once), the body of its loop, names, and which node already has its value in which variable.
//
// What goes into the text: names and numbers made here, names of kernels. Names of columns, texts
// and numbers of users never do: they are indexes and parameters.

import { layoutOf, type ColumnType } from '../../type.ts'
import { assert } from '../../../base/assert.ts'
import type { CallIr, ColumnIr, Ir } from '../ir.ts'
import type { KernelName } from './kernel-names.ts'

/**
 * How a value lies in variables: a JavaScript boolean; a number (int, date, float, double); an
 * exact number that is a number in narrow code and a bigint in wide code (long, decimal, time,
 * timestamps); bytes, start, end; column, row.
 */
export type Shape = 'boolean' | 'number' | 'exact' | 'bytes' | 'list'

export function shapeOf(type: ColumnType): Shape {
  switch (layoutOf(type)) {
    case 'bool8':
      return 'boolean'
    case 'int32':
    case 'float32':
    case 'float64':
      return 'number'
    case 'int64':
    case 'int128':
      return 'exact'
    case 'bytes':
    case 'uuid16':
      return 'bytes'
    case 'list':
      return 'list'
  }
}

export interface Value {
  /** Expressions without side effects: one, or three (bytes, start, end), or two (column, row). */
  readonly parts: readonly string[]
  /** Boolean expression; `false`: never. */
  readonly nulls: string
  /** Number of a site, 0 for none; `0`: never. Where it is not 0, the rest means nothing. */
  readonly error: string
}

export const NEVER = 'false'
export const NO_ERROR = '0'

export interface EmitOptions {
  readonly wide: boolean
  /**
   * Which columns may have nulls: none, those that are declared so, or all of them, since a delete
   * has only its key.
   */
  readonly nulls: 'none' | 'declared' | 'all'
}

/** Constants of the expression and sites of errors, shared by all functions of a program. */
export interface Parameters {
  /** @returns the index of `value` among the parameters */
  constant(key: string, make: () => unknown): number
  /** @returns the number of the error that `node` has with `message` */
  site(node: Ir, message: string): number
  /** @returns where a column, or the result of a call, is found */
  slot(node: ColumnIr | CallIr): number
}

export class Emitter {
  readonly options: EmitOptions
  readonly parameters: Parameters
  /** False: a constant needs the wide form, so that narrow code cannot be run. */
  narrowHolds = true
  /** True when narrow code reads wide values: `outside` has the bits of those beyond 2^53. */
  readsWords = false
  private readonly head = new Map<string, string>()
  private readonly kernels = new Set<KernelName>()
  private readonly scopes: Map<Ir, Value>[] = [new Map()]
  private lines: string[] = []
  private names = 0

  constructor(options: EmitOptions, parameters: Parameters) {
    this.options = options
    this.parameters = parameters
  }

  get wide(): boolean {
    return this.options.wide
  }

  line(text: string): void {
    this.lines.push(text)
  }

  fresh(prefix: string): string {
    return `${prefix}${this.names++}`
  }

  /** A value that holds for the whole batch, under a name of its own. */
  hoist(name: string, value: string): string {
    this.head.set(name, value)
    return name
  }

  /** @returns the name of a kernel, which the function then has */
  kernel(name: KernelName): string {
    this.kernels.add(name)
    return name
  }

  /** @returns the name of a parameter */
  constant(key: string, make: () => unknown): string {
    const index = this.parameters.constant(key, make)
    return this.hoist(`k${index}`, `constants[${index}]`)
  }

  site(node: Ir, message: string): string {
    return String(this.parameters.site(node, message))
  }

  /** @returns the value of a node that was written where this place is reached from */
  known(node: Ir): Value | null {
    for (let at = this.scopes.length - 1; at >= 0; at--) {
      const value = this.scopes[at]?.get(node)
      if (value !== undefined) return value
    }
    return null
  }

  remember(node: Ir, value: Value): void {
    this.scopes.at(-1)?.set(node, value)
  }

  /** Writes a block that may be left early: what it declares is not known behind it. */
  block(head: string, body: () => void): void {
    this.line(`${head} {`)
    this.scopes.push(new Map())
    body()
    this.scopes.pop()
    this.line('}')
  }

  /** Writes into another text, as for a loop that is put together later. */
  capture(body: () => void): string[] {
    const before = this.lines
    this.lines = []
    body()
    const captured = this.lines
    this.lines = before
    return captured
  }

  /** Gives an expression a name, unless it is one. */
  name(prefix: string, expression: string): string {
    if (/^[A-Za-z_]\w*$/.test(expression) || expression === '0') return expression
    const name = this.fresh(prefix)
    this.line(`const ${name} = ${expression}`)
    return name
  }

  /** In narrow code leaves for the wide form when the number is not exact. */
  exact(name: string): void {
    if (this.wide) return
    assert(/^\w+$/.test(name), 'a check reads a variable twice')
    this.line(`if (!(${name} <= 9007199254740991 && ${name} >= -9007199254740991)) return -1`)
  }

  /** An integer that we know, as a literal of the form of exact numbers. */
  integer(value: bigint): string {
    return this.wide ? `${value}n` : String(Number(value))
  }

  /** Declares variables for a value that branches assign. */
  declare(type: ColumnType): Value {
    const id = this.names++
    const initial: Readonly<Record<Shape, readonly string[]>> = {
      boolean: ['false'],
      number: ['0'],
      exact: [this.wide ? '0n' : '0'],
      bytes: [this.hoist('empty', 'new Uint8Array(0)'), '0', '0'],
      list: ['null', '0'],
    }
    const parts = initial[shapeOf(type)].map((value, index) => {
      const name = `v${id}_${index}`
      this.line(`let ${name} = ${value}`)
      return name
    })
    this.line(`let n${id} = false, e${id} = 0`)
    return { parts, nulls: `n${id}`, error: `e${id}` }
  }

  assign(target: Value, value: Value): void {
    for (const [index, part] of target.parts.entries()) this.line(`${part} = ${value.parts[index]}`)
    if (value.nulls !== NEVER) this.line(`${target.nulls} = ${value.nulls}`)
    if (value.error !== NO_ERROR) this.line(`${target.error} = ${value.error}`)
  }

  /** The whole function; `loop` is its loop. */
  text(loop: readonly string[]): string {
    const outside = this.readsWords ? ['if (outside !== 0) return -1'] : []
    return [
      "'use strict'",
      this.kernels.size === 0 ? '' : `const { ${[...this.kernels].join(', ')} } = kernels`,
      'return (frame) => {',
      'const { slots, slotErrors, builders, rows, selection, count, scratch } = frame',
      ...[...this.head].map(([name, value]) => `const ${name} = ${value}`),
      ...(this.readsWords ? ['let outside = 0'] : []),
      ...loop,
      ...outside,
      'return 0',
      '}',
    ]
      .filter((line) => line !== '')
      .join('\n')
  }
}

/** @returns the error of the first of the values that has one, in their order */
export function firstError(values: readonly Value[]): string {
  const errors = values.map(({ error }) => error).filter((error) => error !== NO_ERROR)
  if (errors.length === 0) return NO_ERROR
  return errors.length === 1 ? (errors[0] ?? NO_ERROR) : `(${errors.join(' || ')})`
}

export function anyNull(values: readonly Value[]): string {
  const nulls = [...new Set(values.map((value) => value.nulls))].filter((one) => one !== NEVER)
  if (nulls.includes('true')) return 'true'
  if (nulls.length === 0) return NEVER
  return nulls.length === 1 ? (nulls[0] ?? NEVER) : `(${nulls.join(' || ')})`
}
