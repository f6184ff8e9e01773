// Reads a record byte by byte as the specification says, with bigints and no regard for time, to
// tell whether it is one. What the lake's columns cannot hold is none either.
import {
  type Definition,
  definitionOf,
  isDecimal,
  isScalar,
  isUnion,
  namesIn,
  type Schema,
  unscaled,
} from './random-schema.ts'

const DAY_US = 86_400_000_000n

export function isRecord(schema: Schema, bytes: Buffer): boolean {
  const reader = new StrictReader(schema, bytes)
  try {
    reader.value(schema, false, 0)
    return reader.at === bytes.length
  } catch (error) {
    // TextDecoder's is a TypeError.
    if (error instanceof RangeError || error instanceof TypeError) return false
    throw error
  }
}

class StrictReader {
  at = 0
  private readonly bytes: Buffer
  private readonly names: ReadonlyMap<string, Schema>

  constructor(schema: Schema, bytes: Buffer) {
    this.bytes = bytes
    this.names = namesIn(schema)
  }

  /** @param json  within JSON text, where no column has a range; `length`: names of the path */
  value(schema: Schema, json: boolean, length: number): void {
    if (typeof schema === 'string' && this.names.has(schema)) {
      return this.value(this.names.get(schema) ?? 'null', json, length)
    }
    if (isUnion(schema)) {
      const branch = schema[this.index(schema.length)] ?? 'null'
      const several = schema.filter((one) => one !== 'null').length > 1
      return this.value(branch, json || several, length)
    }
    const definition = definitionOf(schema)
    const { fields = [], items = 'null', values = 'null', symbols = [] } = definition
    switch (definition.type) {
      case 'record': {
        const recursive = fields.some(({ name }) => name === 'next')
        for (const { type } of fields) this.value(type, json || recursive, length + 1)
        return
      }
      case 'array': {
        const element = isUnion(items) ? items.filter((branch) => branch !== 'null') : [items]
        const list = element.length === 1 && isScalar(element[0] ?? 'null', this.names)
        return this.blocks(() => this.value(items, json || !list, length))
      }
      case 'map':
        return this.blocks(() => {
          this.text()
          this.value(values, true, length)
        })
      case 'enum':
        this.index(symbols.length)
        return
      default:
        return this.scalar(definition, json)
    }
  }

  private scalar(definition: Definition, json: boolean): void {
    const { type, logicalType, precision = 0, size = 0 } = definition
    if (isDecimal(definition)) {
      const bytes = this.take(type === 'fixed' ? size : this.length())
      check(bytes.length > 0)
      const value = unscaled(bytes)
      const limit = 10n ** BigInt(precision)
      return check(json || precision > 38 || (value < limit && value > -limit))
    }
    switch (type) {
      case 'boolean':
        return check((this.take(1)[0] ?? 2) < 2)
      case 'int': {
        const value = this.varint(5)
        if (logicalType === 'time-millis') check(value >= 0n && value < DAY_US / 1000n)
        return
      }
      case 'long':
        return checkLong(this.varint(10), logicalType, json)
      case 'float':
        return void this.take(4)
      case 'double':
        return void this.take(8)
      case 'fixed':
        return void this.take(size)
      case 'bytes':
        return void this.take(this.length())
      case 'string': {
        const text = this.text()
        const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
        if (logicalType === 'uuid' && !json) check(uuid.test(text))
        return
      }
    }
  }

  private blocks(element: () => void): void {
    for (;;) {
      const count = this.varint(10)
      if (count === 0n) return
      if (count < 0n) this.varint(10)
      // Each has a byte, except where the schema says that it has none.
      const elements = count < 0n ? -count : count
      check(elements <= 1_000_000n)
      for (let index = 0n; index < elements; index++) element()
    }
  }

  private text(): string {
    return new TextDecoder('utf8', { fatal: true, ignoreBOM: true }).decode(
      this.take(this.length()),
    )
  }

  private length(): number {
    const length = this.varint(10)
    check(length >= 0n && length <= BigInt(this.bytes.length - this.at))
    return Number(length)
  }

  private index(count: number): number {
    const index = this.varint(10)
    check(index >= 0n && index < BigInt(count))
    return Number(index)
  }

  /** @param bytesMax  5 for 32 bits, 10 for 64 */
  private varint(bytesMax: number): bigint {
    let value = 0n
    for (let index = 0; ; index++) {
      check(index < bytesMax)
      const byte = this.take(1)[0] ?? 0
      value |= BigInt(byte & 127) << BigInt(index * 7)
      if (byte < 128) break
    }
    check(value < 1n << (bytesMax === 5 ? 32n : 64n))
    return (value >> 1n) ^ -(value & 1n)
  }

  private take(count: number): Buffer {
    check(count <= this.bytes.length - this.at)
    this.at += count
    return this.bytes.subarray(this.at - count, this.at)
  }
}

function checkLong(value: bigint, logicalType: string | undefined, json: boolean): void {
  if (logicalType === 'time-micros') check(value >= 0n && value < DAY_US)
  const millis = logicalType?.endsWith('timestamp-millis') === true
  if (millis && !json) check(BigInt.asIntN(64, value * 1000n) === value * 1000n)
}

function check(holds: boolean): void {
  if (!holds) throw new RangeError('this is no record')
}
