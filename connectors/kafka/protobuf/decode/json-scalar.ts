// Single values of fields as JSON, as they lie on the wire.

import type { FieldKind, FieldShape, ScalarKind } from '../shape.ts'
import { JsonOutput } from './json-output.ts'
import { boolean, Fault, fail, pair, varint } from './wire.ts'

const QUOTE = 0x22

export class JsonScalars {
  readonly out: JsonOutput = new JsonOutput()
  private bytes: Uint8Array = new Uint8Array(0)
  private view: DataView = new DataView(new ArrayBuffer(0))

  reset(bytes: Uint8Array, view: DataView): void {
    this.bytes = bytes
    this.view = view
    this.out.length = 0
  }

  /** @returns the place behind the value */
  scalar(field: FieldShape, at: number, end: number): number {
    const { out, view, bytes } = this
    switch (field.kind) {
      case 'string':
        out.string(bytes, at, end)
        return end
      case 'bytes':
        out.base64(bytes, at, end)
        return end
      case 'double':
        if (at + 8 > end) fail(Fault.truncated, at)
        out.double(view.getFloat64(at, true))
        return at + 8
      case 'float':
        if (at + 4 > end) fail(Fault.truncated, at)
        out.float(view.getFloat32(at, true))
        return at + 4
      case 'fixed32':
      case 'sfixed32':
        if (at + 4 > end) fail(Fault.truncated, at)
        out.integer(field.kind === 'fixed32' ? view.getUint32(at, true) : view.getInt32(at, true))
        return at + 4
      case 'fixed64':
      case 'sfixed64':
        if (at + 8 > end) fail(Fault.truncated, at)
        this.long(view.getInt32(at, true), view.getInt32(at + 4, true), field.kind === 'fixed64')
        return at + 8
      default:
        return this.varint(field, at, end)
    }
  }

  private varint({ kind, enumeration }: FieldShape, at: number, end: number): number {
    const { bytes } = this
    if (kind === 'bool') {
      const behind = boolean(bytes, at, end)
      this.out.ascii(pair[0] === 0 ? 'false' : 'true')
      return behind
    }
    const behind = varint(bytes, at, end)
    const [low, high] = [pair[0]!, pair[1]!]
    if (kind === 'enum') this.label(enumeration, low)
    else if (kind === 'int32') this.out.integer(low)
    else if (kind === 'uint32') this.out.integer(low >>> 0)
    else if (kind === 'sint32') this.out.integer((low >>> 1) ^ -(low & 1))
    else if (kind === 'sint64') {
      const sign = -(low & 1)
      this.long(((low >>> 1) | (high << 31)) ^ sign, (high >>> 1) ^ sign, false)
    } else this.long(low, high, kind === 'uint64')
    return behind
  }

  private long(low: number, high: number, unsigned: boolean): void {
    this.out.byte(QUOTE)
    this.out.long(low, high, unsigned)
    this.out.byte(QUOTE)
  }

  private label(enumeration: FieldShape['enumeration'], number: number): void {
    if (enumeration?.isNull === true) {
      this.out.ascii('null')
      return
    }
    const label = enumeration?.labels.get(number)
    if (label === undefined) this.out.integer(number)
    else this.out.ascii(`"${label}"`)
  }

  /** What a field has that was not written. */
  default({ kind, enumeration }: FieldShape): void {
    const { out } = this
    if (kind === 'string' || kind === 'bytes') out.ascii('""')
    else if (kind === 'bool') out.ascii('false')
    else if (isLong(kind)) out.ascii('"0"')
    else if (kind === 'enum') this.label(enumeration, 0)
    else out.ascii('0')
  }
}

/** 64-bit numbers are strings in JSON: readers would round them. */
export function isLong(kind: FieldKind): boolean {
  return LONGS.includes(kind as ScalarKind)
}

const LONGS: readonly ScalarKind[] = ['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64']
