// Random Avro schemas, values of them as avsc takes them, and what rows they must become: written a
// second time, from the values and without any byte.
import fc from 'fast-check'
import type { Cell } from './decoding.ts'

/** A schema as JSON, parsed. */
export type Schema = string | readonly Schema[] | { readonly [key: string]: unknown }

export interface Definition {
  readonly type: string
  readonly name?: string
  readonly logicalType?: string
  readonly precision?: number
  readonly scale?: number
  readonly size?: number
  readonly symbols?: readonly string[]
  readonly items?: Schema
  readonly values?: Schema
  readonly fields?: readonly { readonly name: string; readonly type: Schema }[]
}

const DAY_US = 86_400_000_000n
const LONG_MAX = 2n ** 63n - 1n

const primitives = ['boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const
const logical: readonly Schema[] = [
  { type: 'int', logicalType: 'date' },
  { type: 'int', logicalType: 'time-millis' },
  { type: 'long', logicalType: 'time-micros' },
  { type: 'long', logicalType: 'timestamp-millis' },
  { type: 'long', logicalType: 'timestamp-micros' },
  { type: 'long', logicalType: 'local-timestamp-millis' },
  { type: 'long', logicalType: 'local-timestamp-micros' },
  { type: 'long', logicalType: 'of-somebody' },
  { type: 'string', logicalType: 'uuid' },
  { type: 'int', logicalType: 'decimal' },
]

/** Names are given afterwards: each must be the only one. */
const decimals = fc
  .tuple(fc.integer({ min: 1, max: 45 }), fc.nat(45), fc.boolean())
  .map(([precision, scale, fixed]): Schema => {
    const digits = { logicalType: 'decimal', precision, scale: Math.min(scale, precision) }
    return fixed ? { type: 'fixed', size: 19, ...digits } : { type: 'bytes', ...digits }
  })

const scalars: fc.Arbitrary<Schema> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<Schema[]>(...primitives) },
  { weight: 5, arbitrary: fc.constantFrom(...logical) },
  { weight: 2, arbitrary: decimals },
  fc.nat(6).map((size) => ({ type: 'fixed', size })),
  fc.constant({ type: 'fixed', size: 16, logicalType: 'uuid' }),
  fc.constant({ type: 'enum', symbols: ['NONE', 'a', 'Long_symbol_9', '_'] }),
)

const types: (depth: number) => fc.Arbitrary<Schema> = fc.memo((depth) => {
  if (depth <= 1) return scalars
  const inner = types(depth - 1)
  const record = fc.array(inner, { maxLength: 4 }).map(recordOf)
  return fc.oneof(
    { weight: 8, arbitrary: scalars },
    { weight: 4, arbitrary: fc.tuple(inner, fc.boolean()).map(nullable) },
    { weight: 2, arbitrary: record },
    { weight: 2, arbitrary: inner.map((items) => ({ type: 'array', items })) },
    inner.map((values) => ({ type: 'map', values })),
    fc.constant('null'),
    inner.filter((type) => !isUnion(type)).map((type) => [type]),
    fc.subarray<Schema>(['null', 'int', 'long', 'string', { type: 'array', items: 'double' }], {
      minLength: 3,
    }),
    fc.constant({ type: 'list-of-itself' }),
  )
})

function recordOf(fields: readonly Schema[]): Schema {
  return { type: 'record', fields: fields.map((type, at) => ({ name: `f${at}`, type })) }
}

export function isUnion(schema: Schema): schema is readonly Schema[] {
  return Array.isArray(schema)
}

function nullable([type, first]: [Schema, boolean]): Schema {
  if (isUnion(type) || type === 'null') return type
  return first ? ['null', type] : [type, 'null']
}

/** Gives every type that needs one a name of its own. */
function named(schema: Schema, next: { at: number }): Schema {
  if (typeof schema === 'string') return schema
  if (isUnion(schema)) return schema.map((branch) => named(branch, next))
  const definition = schema as unknown as Definition
  const name = `N${next.at}`
  switch (definition.type) {
    case 'record':
      next.at++
      return {
        ...schema,
        name,
        fields: definition.fields?.map((field) => ({ ...field, type: named(field.type, next) })),
      }
    case 'enum':
    case 'fixed':
      next.at++
      return { ...schema, name }
    case 'array':
      return { ...schema, items: named(definition.items ?? 'null', next) }
    case 'map':
      return { ...schema, values: named(definition.values ?? 'null', next) }
    case 'list-of-itself': {
      next.at++
      const fields = [
        { name: 'v', type: 'int' },
        { name: 'next', type: ['null', name] },
      ]
      return { type: 'record', name, fields }
    }
    default:
      return schema
  }
}

export const schemas: fc.Arbitrary<Schema> = fc
  .array(types(4), { minLength: 1, maxLength: 8 })
  .map((fields) => named(recordOf(fields), { at: 0 }))

/** Types within a schema, by name. */
export function namesIn(schema: Schema, found = new Map<string, Schema>()): Map<string, Schema> {
  if (typeof schema === 'string') return found
  if (isUnion(schema)) {
    for (const branch of schema) namesIn(branch, found)
    return found
  }
  const { name, fields = [], items, values } = schema as unknown as Definition
  if (name !== undefined) found.set(name, schema)
  for (const { type } of fields) namesIn(type, found)
  if (items !== undefined) namesIn(items, found)
  if (values !== undefined) namesIn(values, found)
  return found
}

// Values

const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 5 }),
  fc.constantFrom('', '"\\\u0000\u001f\n', 'x'.repeat(200), 'ü'.repeat(70), '\u{10ffff}'),
)
const longs = fc.oneof(
  fc.bigInt({ min: -LONG_MAX - 1n, max: LONG_MAX }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.integer({ min: 0, max: 62 }).map((bit) => 2n ** BigInt(bit)),
  fc.constantFrom(LONG_MAX, -LONG_MAX - 1n, 0n, -1n),
)
const ints = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)))
const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array))

/** @param depth  of recursion that is left */
export function valuesOf(
  schema: Schema,
  names: ReadonlyMap<string, Schema>,
  depth = 6,
): fc.Arbitrary<unknown> {
  if (typeof schema === 'string' && names.has(schema)) {
    return valuesOf(names.get(schema) ?? 'null', names, depth)
  }
  if (isUnion(schema)) {
    const branches = depth <= 0 && schema.includes('null') ? ['null' as const] : schema
    return fc.oneof(...branches.map((branch) => branchValues(branch, names, depth)))
  }
  const definition = definitionOf(schema)
  const few = { maxLength: depth <= 0 ? 0 : 4 }
  switch (definition.type) {
    case 'record': {
      const fields = (definition.fields ?? []).map(({ name, type }) => {
        return [name, valuesOf(type, names, depth - 1)] as const
      })
      return fc.record(Object.fromEntries(fields))
    }
    case 'array':
      return fc.array(valuesOf(definition.items ?? 'null', names, depth - 1), few)
    case 'map': {
      const inner = valuesOf(definition.values ?? 'null', names, depth - 1)
      return fc
        .uniqueArray(fc.tuple(texts, inner), { ...few, selector: ([key]) => key })
        .map((entries) => Object.fromEntries(entries))
    }
    case 'enum':
      return fc.constantFrom(...(definition.symbols ?? []))
    default:
      return scalarValues(definition)
  }
}

function branchValues(
  branch: Schema,
  names: ReadonlyMap<string, Schema>,
  depth: number,
): fc.Arbitrary<unknown> {
  if (branch === 'null') return fc.constant(null)
  const { type, name } = definitionOf(names.get(branch as string) ?? branch)
  return valuesOf(branch, names, depth - 1).map((value) => ({ [name ?? type]: value }))
}

export function definitionOf(schema: Schema): Definition {
  return typeof schema === 'string' ? { type: schema } : (schema as unknown as Definition)
}

function scalarValues(definition: Definition): fc.Arbitrary<unknown> {
  const { type, logicalType, size = 0 } = definition
  if (isDecimal(definition)) return decimalValues(definition)
  switch (`${logicalType} ${type}`) {
    case 'time-millis int':
      return fc.integer({ min: 0, max: 86_399_999 })
    case 'time-micros long':
      return fc.bigInt({ min: 0n, max: DAY_US - 1n })
    case 'timestamp-millis long':
    case 'local-timestamp-millis long':
      return fc.bigInt({ min: -LONG_MAX / 1000n, max: LONG_MAX / 1000n })
    case 'uuid string':
      return fc.uuid()
  }
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'int':
      return ints
    case 'long':
      return longs
    case 'float':
      return fc.float()
    case 'double':
      return fc.double()
    case 'string':
      return texts
    case 'fixed':
      return bytes(size)
    default:
      return fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
  }
}

export function isDecimal({ type, logicalType, precision = 0, size }: Definition): boolean {
  if (logicalType !== 'decimal') return false
  return type === 'bytes' || (type === 'fixed' && precision <= (size ?? 0) * 2.4)
}

function decimalValues({ type, size = 0, precision = 0 }: Definition): fc.Arbitrary<Buffer> {
  const limit = 10n ** BigInt(precision) - 1n
  const numbers = fc.oneof(
    fc.bigInt({ min: -limit, max: limit }),
    fc.constantFrom(limit, -limit, 0n),
    fc.bigInt({ min: -9n, max: 9n }),
  )
  return fc.tuple(numbers, fc.nat(3)).map(([value, more]) => {
    let length = 1
    while (BigInt.asIntN(length * 8, value) !== value) length++
    const width = type === 'fixed' ? size : length + more
    const hex = BigInt.asUintN(width * 8, value)
      .toString(16)
      .padStart(width * 2, '0')
    return Buffer.from(hex, 'hex')
  })
}

// What they must become

/** Cells that are not null, by path. */
export function cellsOf(schema: Schema, value: unknown): Record<string, Cell> {
  const names = namesIn(schema)
  const cells: Record<string, Cell> = {}
  const visit = (written: Schema, inner: unknown, path: string, length: number): void => {
    const { type, value: own } = unwrapped(written, inner)
    const definition = definitionOf(names.get(type as string) ?? type)
    if (own === null) return
    const { fields = [] } = definition
    const flat = length === 0 || (length < 8 && fields.every(({ name }) => name !== 'next'))
    if (definition.type === 'record' && flat) {
      for (const field of fields) {
        const at = length === 0 ? field.name : `${path}.${field.name}`
        visit(field.type, (own as Record<string, unknown>)[field.name], at, length + 1)
      }
      return
    }
    cells[path] = cellOf(type, own, names)
  }
  visit(schema, value, '', 0)
  return cells
}

function unwrapped(schema: Schema, value: unknown): { type: Schema; value: unknown } {
  if (!isUnion(schema)) return { type: schema, value }
  const [only = 'null', ...others] = schema.filter((branch) => branch !== 'null')
  if (value === null) return { type: 'null', value }
  if (others.length > 0) return { type: schema, value }
  return { type: only, value: Object.values(value as object)[0] as unknown }
}

function cellOf(schema: Schema, value: unknown, names: ReadonlyMap<string, Schema>): Cell {
  const definition = definitionOf(names.get(schema as string) ?? schema)
  if (definition.type === 'array') {
    const items = definition.items ?? 'null'
    const element = isUnion(items) ? items.filter((branch) => branch !== 'null') : [items]
    const [only = 'null', ...others] = element
    if (others.length === 0 && isScalar(only, names)) {
      return (value as unknown[]).map((item): Cell => {
        const one = unwrapped(items, item).value
        return one === null
          ? null
          : scalarCell(definitionOf(names.get(only as string) ?? only), one)
      })
    }
  }
  if (!isUnion(schema) && isScalar(schema, names)) return scalarCell(definition, value)
  return textOf(schema, value, names)
}

export function isScalar(schema: Schema, names: ReadonlyMap<string, Schema>): boolean {
  if (isUnion(schema) || schema === 'null') return false
  const { type, size } = definitionOf(names.get(schema as string) ?? schema)
  return !['record', 'map', 'array'].includes(type) && size !== 0
}

function scalarCell(definition: Definition, value: unknown): Cell {
  const { type, logicalType, precision = 0 } = definition
  if (isDecimal(definition)) {
    return precision > 38 ? decimalText(definition, value as Buffer) : unscaled(value as Buffer)
  }
  switch (`${logicalType} ${type}`) {
    case 'time-millis int':
      return BigInt(value as number) * 1000n
    case 'timestamp-millis long':
    case 'local-timestamp-millis long':
      return (value as bigint) * 1000n
    case 'uuid string':
      return (value as string).replaceAll('-', '')
  }
  return Buffer.isBuffer(value) ? value.toString('hex') : (value as Cell)
}

export function unscaled(bytes: Buffer): bigint {
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
}

function decimalText({ scale = 0 }: Definition, bytes: Buffer): string {
  const value = unscaled(bytes)
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  const point = digits.length - scale
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
  return value < 0n ? `-${text}` : text
}

/** The value as JSON. */
function textOf(schema: Schema, value: unknown, names: ReadonlyMap<string, Schema>): string {
  if (isUnion(schema)) {
    if (value === null) return 'null'
    const [name, inner] = Object.entries(value as object)[0] ?? ['', null]
    const branch = schema.find((one) => {
      const { type, name: own } = definitionOf(names.get(one as string) ?? one)
      return (own ?? type) === name
    })
    return textOf(branch ?? 'null', inner, names)
  }
  const definition = definitionOf(names.get(schema as string) ?? schema)
  const { type, fields = [], items = 'null', values = 'null' } = definition
  switch (type) {
    case 'record': {
      const parts = fields.map(({ name, type: inner }) => {
        return `"${name}":${textOf(inner, (value as Record<string, unknown>)[name], names)}`
      })
      return `{${parts.join(',')}}`
    }
    case 'array':
      return `[${(value as unknown[]).map((item) => textOf(items, item, names)).join(',')}]`
    case 'map': {
      const parts = Object.entries(value as object).map(([key, item]) => {
        return `${JSON.stringify(key)}:${textOf(values, item, names)}`
      })
      return `{${parts.join(',')}}`
    }
    default:
      return scalarText(definition, value)
  }
}

function scalarText(definition: Definition, value: unknown): string {
  const { type, logicalType } = definition
  if (isDecimal(definition)) return decimalText(definition, value as Buffer)
  switch (`${logicalType} ${type}`) {
    case 'date int':
      return `"${isoText(BigInt(value as number) * DAY_US).slice(0, -9)}"`
    case 'time-millis int':
      return `"${isoText(BigInt(value as number) * 1000n).slice(11)}"`
    case 'time-micros long':
      return `"${isoText(value as bigint).slice(11)}"`
    case 'timestamp-millis long':
      return `"${isoText((value as bigint) * 1000n)}Z"`
    case 'timestamp-micros long':
      return `"${isoText(value as bigint)}Z"`
    case 'local-timestamp-millis long':
      return `"${isoText((value as bigint) * 1000n)}"`
    case 'local-timestamp-micros long':
      return `"${isoText(value as bigint)}"`
    case 'uuid fixed':
      return `"${(value as Buffer).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}"`
  }
  if (Buffer.isBuffer(value)) return `"${value.toString('base64')}"`
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`
  if (Object.is(value, -0)) return '-0.0'
  return JSON.stringify(value)
}

/** Through Date, whose years are few: others are moved there by whole cycles of 400 years. */
function isoText(us: bigint): string {
  const cycleUs = 146_097n * DAY_US
  const inner = ((us % cycleUs) + cycleUs) % cycleUs
  const date = new Date(Number(inner / 1000n))
  const year = date.getUTCFullYear() + Number((us - inner) / cycleUs) * 400
  const digits = String(Math.abs(year)).padStart(year >= 0 && year <= 9999 ? 4 : 6, '0')
  const sign = year < 0 ? '-' : year > 9999 ? '+' : ''
  const fraction = Number(inner % 1_000_000n)
  const rest = date.toISOString().slice(4, 19)
  return `${sign}${digits}${rest}${fraction === 0 ? '' : `.${String(fraction).padStart(6, '0')}`}`
}
