// Columns, results of calls, and constants as values; and a value as a row of a builder.

import { layoutOf, type ColumnType } from '../../type.ts'
import { constantColumn } from '../column-value.ts'
import type { CallIr, ColumnIr, ConstantIr } from '../ir.ts'
import { NEVER, NO_ERROR, shapeOf, type Emitter, type Value } from './emitter.ts'

export function emitColumn(emitter: Emitter, node: ColumnIr | CallIr): Value {
  const slot = emitter.parameters.slot(node)
  const { nulls: which } = emitter.options
  const own = node.kind === 'call' || which === 'declared' ? node.nullable : false
  const nullable = which === 'all' || own
  const nulls = nullable ? nullAt(emitter, slot) : NEVER
  let error = NO_ERROR
  if (node.fails) {
    emitter.hoist(`e_${slot}`, `slotErrors[${slot}]`)
    error = emitter.name('e', `e_${slot}[row]`)
  }
  return { parts: readParts(emitter, slot, node.type), nulls, error }
}

function nullAt(emitter: Emitter, slot: number): string {
  emitter.hoist(`n_${slot}`, `${emitter.kernel('validityOf')}(slots[${slot}])`)
  return emitter.name('n', `(n_${slot}[row >> 3] & (1 << (row & 7))) === 0`)
}

function readParts(emitter: Emitter, slot: number, type: ColumnType): readonly string[] {
  const values = (): string => emitter.hoist(`c_${slot}`, `slots[${slot}].values`)
  switch (layoutOf(type)) {
    case 'bool8':
      return [emitter.name('v', `${values()}[row] === 1`)]
    case 'int32':
    case 'float32':
    case 'float64':
      return [emitter.name('v', `${values()}[row]`)]
    case 'int64':
      if (emitter.wide) return [emitter.name('v', `${values()}[row]`)]
      return [readWords(emitter, slot, 2)]
    case 'int128': {
      if (!emitter.wide) return [readWords(emitter, slot, 4)]
      const wide = values()
      return [
        emitter.name('v', `(${wide}[2 * row + 1] << 64n) | BigInt.asUintN(64, ${wide}[2 * row])`),
      ]
    }
    case 'uuid16':
      return [values(), '(row * 16)', '(row * 16 + 16)']
    case 'bytes': {
      const bytes = emitter.hoist(`c_${slot}`, `slots[${slot}].bytes`)
      const offsets = emitter.hoist(`o_${slot}`, `slots[${slot}].offsets`)
      return [bytes, `${offsets}[row]`, `${offsets}[row + 1]`]
    }
    case 'list':
      return [emitter.hoist(`l_${slot}`, `slots[${slot}]`), 'row']
  }
}

/**
 * The upper 11 bits of a 64-bit number within 2^53 are all its sign. Bits of others are collected,
 * and the loop is given up at its end: until then it has computed with a number near by.
 */
function readWords(emitter: Emitter, slot: number, stride: number): string {
  const words = emitter.hoist(`w_${slot}`, `${emitter.kernel('wordsOf')}(slots[${slot}])`)
  const high = emitter.name('h', `${words}[${stride} * row + 1]`)
  emitter.readsWords = true
  emitter.line(`outside |= (${high} >> 21) ^ (${high} >> 31)`)
  if (stride === 4) {
    const upper = `${words}[4 * row + 2] ^ (${high} >> 31) | ${words}[4 * row + 3] ^ (${high} >> 31)`
    emitter.line(`outside |= ${upper}`)
  }
  return emitter.name('v', `${high} * 4294967296 + (${words}[${stride} * row] >>> 0)`)
}

export function emitConstant(emitter: Emitter, node: ConstantIr): Value {
  const { type, value } = node
  const shape = shapeOf(type)
  if (value === null) {
    const zero = emitter.wide ? '0n' : '0'
    const empty = emitter.hoist('empty', 'new Uint8Array(0)')
    const none = { boolean: ['false'], number: ['0'], exact: [zero] } as const
    const parts = shape === 'bytes' || shape === 'list' ? [empty, '0', '0'] : none[shape]
    return { parts, nulls: 'true', error: NO_ERROR }
  }
  return { parts: constantParts(emitter, node), nulls: NEVER, error: NO_ERROR }
}

function constantParts(emitter: Emitter, { id, type, value }: ConstantIr): readonly string[] {
  if (typeof value === 'boolean') return [String(value)]
  switch (shapeOf(type)) {
    case 'exact': {
      if (emitter.wide) return [emitter.constant(`wide ${id}`, () => value)]
      if (!Number.isSafeInteger(Number(value))) emitter.narrowHolds = false
      return [emitter.constant(`narrow ${id}`, () => Number(value))]
    }
    case 'list':
      return [emitter.constant(`list ${id}`, () => constantColumn(type, value, 1)), '0']
    case 'bytes': {
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
      const name = emitter.constant(`bytes ${id}`, () => bytes)
      return [name, '0', String((bytes as Uint8Array).length)]
    }
    default:
      return [emitter.constant(`number ${id}`, () => Number(value))]
  }
}

/** 2^-32, by which a multiplication is exact, and faster than a division. */
const PER_WORD = 2 ** -32

/** Writes a value as row `at` of a builder; with an error as null. */
export function emitWrite(
  emitter: Emitter,
  builder: number,
  type: ColumnType,
  value: Value,
  at: string,
): void {
  emitter.hoist(`b_${builder}`, `builders[${builder}]`)
  const conditions = [
    ...(value.error === NO_ERROR ? [] : [`${value.error} !== 0`]),
    ...(value.nulls === NEVER ? [] : [value.nulls]),
  ]
  if (conditions.length === 0) {
    writeParts(emitter, builder, type, value, at)
    return
  }
  emitter.block(`if (${conditions.join(' || ')})`, () => writeNull(emitter, builder, type, at))
  emitter.block('else', () => writeParts(emitter, builder, type, value, at))
}

/** What `setNull` does, for numbers without a look at what kind of array it is. */
function writeNull(emitter: Emitter, builder: number, type: ColumnType, at: string): void {
  const name = `b_${builder}`
  switch (layoutOf(type)) {
    case 'bool8':
    case 'int32':
    case 'float32':
    case 'float64':
      emitter.line(`${name}.markNull(${at})`)
      emitter.line(`${emitter.hoist(`bv_${builder}`, `${name}.values`)}[${at}] = 0`)
      break
    case 'int64': {
      const words = emitter.hoist(`bw_${builder}`, `${name}.pairs`)
      emitter.line(`${name}.markNull(${at})`)
      emitter.line(`${words}[2 * ${at}] = ${words}[2 * ${at} + 1] = 0`)
      break
    }
    default:
      emitter.line(`${name}.setNull(${at})`)
  }
}

function writeParts(
  emitter: Emitter,
  builder: number,
  type: ColumnType,
  { parts }: Value,
  at: string,
): void {
  const name = `b_${builder}`
  const [first = '', second = '', third = ''] = parts
  const values = (): string => emitter.hoist(`bv_${builder}`, `${name}.values`)
  const layout = layoutOf(type)
  switch (layout) {
    case 'bool8':
      emitter.line(`${values()}[${at}] = ${first} ? 1 : 0`)
      break
    case 'int32':
    case 'float32':
    case 'float64':
      emitter.line(`${values()}[${at}] = ${first}`)
      break
    case 'int64':
    case 'int128':
      writeExact(emitter, builder, layout === 'int64' ? 2 : 4, first, at)
      break
    case 'uuid16':
      emitter.line(`${values()}.set(${first}.subarray(${second}, ${third}), ${at} * 16)`)
      break
    case 'bytes':
      emitter.line(`${name}.setBytes(${at}, ${first}, ${second}, ${third})`)
      break
    case 'list': {
      const one = emitter.hoist('one', 'new Int32Array(1)')
      emitter.line(`${one}[0] = ${second}`)
      emitter.line(`${emitter.kernel('appendRows')}(${name}, ${at}, ${first}, 1, ${one})`)
    }
  }
}

function writeExact(
  emitter: Emitter,
  builder: number,
  stride: number,
  value: string,
  at: string,
): void {
  const name = `b_${builder}`
  if (emitter.wide) {
    const values = emitter.hoist(`bv_${builder}`, `${name}.values`)
    if (stride === 2) emitter.line(`${values}[${at}] = ${value}`)
    else {
      emitter.line(`${values}[2 * ${at}] = ${value}`)
      emitter.line(`${values}[2 * ${at} + 1] = ${value} >> 64n`)
    }
    return
  }
  // Storing into 32 bits takes a double modulo 2^32, which is its low word.
  const words = emitter.hoist(`bw_${builder}`, `${name}.pairs`)
  emitter.line(`${words}[${stride} * ${at}] = ${value}`)
  if (stride === 2) {
    emitter.line(`${words}[2 * ${at} + 1] = Math.floor(${value} * ${PER_WORD})`)
    return
  }
  const high = emitter.name('h', `Math.floor(${value} * ${PER_WORD})`)
  emitter.line(`${words}[4 * ${at} + 1] = ${high}`)
  emitter.line(`${words}[4 * ${at} + 2] = ${words}[4 * ${at} + 3] = ${high} < 0 ? -1 : 0`)
}
