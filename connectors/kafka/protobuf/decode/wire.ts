// The wire format: varints, tags, lengths, and how a field is passed over. Generated decoders call
// this for what is not one byte long; the writer of JSON calls it for everything. Nothing here
// reads behind `end`, so that a value that says more than it has is an error with a place.
// Source: Protocol Buffers, "Encoding", https://protobuf.dev/programming-guides/encoding/

/** How a field lies on the wire: the lower three bits of its tag. */
export const Wire = {
  varint: 0,
  fixed64: 1,
  bytes: 2,
  groupStart: 3,
  groupEnd: 4,
  fixed32: 5,
} as const

/** Why bytes are no message. */
export const Fault = {
  truncated: 'the message ends within a value',
  varint: 'a number has more than ten bytes',
  tag: 'a tag has more than 32 bits',
  fieldZero: 'there is no field number 0',
  wireType: 'wire type 6 or 7 is not known',
  mismatch: 'a field has another wire type than the schema says',
  length: 'a length reaches beyond the message',
  groupEnd: 'a group ends that did not begin',
  groupOpen: 'a group does not end',
  depth: 'messages are nested more than 100 deep',
  utf8: 'the text is not UTF-8',
  timestamp: 'the timestamp lies outside of the years 1 to 9999',
  duration: 'the duration is longer than 10,000 years, or its parts have different signs',
} as const
export type Fault = (typeof Fault)[keyof typeof Fault]

/** As deep as the official parsers go. */
export const DEPTH_MAX = 100

/**
 * Thrown for bytes that are no message. One object, thrown again and again: a topic may be full of
 * such records, and a new Error would collect a stack for each.
 */
class WireError extends Error {
  fault: Fault = Fault.truncated
  /** In the bytes that were read. */
  at = 0
}

export const wireError = new WireError('bytes are no message')

/** @returns nothing, ever; typed so that an expression may end here */
export function fail(fault: Fault, at: number): never {
  wireError.fault = fault
  wireError.at = at
  throw wireError
}

/** The lower and the upper half of the varint that was read last. */
export const pair = new Int32Array(2)

/** Reads a varint into `pair`. @returns the place behind it */
// tidy: template, unrolled: each byte has another place in the halves.
export function varint(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 10) return varintNearEnd(bytes, at, end)
  let byte = bytes[at]!
  let low = byte & 127
  pair[1] = 0
  if (byte < 128) {
    pair[0] = low
    return at + 1
  }
  byte = bytes[at + 1]!
  low |= (byte & 127) << 7
  if (byte < 128) {
    pair[0] = low
    return at + 2
  }
  byte = bytes[at + 2]!
  low |= (byte & 127) << 14
  if (byte < 128) {
    pair[0] = low
    return at + 3
  }
  byte = bytes[at + 3]!
  low |= (byte & 127) << 21
  if (byte < 128) {
    pair[0] = low
    return at + 4
  }
  byte = bytes[at + 4]!
  pair[0] = low | ((byte & 127) << 28)
  let high = (byte & 127) >> 4
  if (byte < 128) {
    pair[1] = high
    return at + 5
  }
  byte = bytes[at + 5]!
  high |= (byte & 127) << 3
  if (byte < 128) {
    pair[1] = high
    return at + 6
  }
  byte = bytes[at + 6]!
  high |= (byte & 127) << 10
  if (byte < 128) {
    pair[1] = high
    return at + 7
  }
  byte = bytes[at + 7]!
  high |= (byte & 127) << 17
  if (byte < 128) {
    pair[1] = high
    return at + 8
  }
  byte = bytes[at + 8]!
  high |= (byte & 127) << 24
  if (byte < 128) {
    pair[1] = high
    return at + 9
  }
  byte = bytes[at + 9]!
  if (byte > 127) return fail(Fault.varint, at)
  pair[1] = high | (byte << 31)
  return at + 10
}

/**
 * `varint` without a branch for each byte: the bits that say where it ends are found in a word, and
 * what is before them is pushed together. Reads behind `end`, which the caller notices.
 */
export function varintWords(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  if (at + 8 > view.byteLength) return varint(bytes, at, end)
  const first = view.getInt32(at, true)
  const ends = ~first & HIGH_BITS
  if (ends !== 0) {
    const last = ends & -ends
    pair[0] = pushed(first & (last - 1))
    pair[1] = 0
    return at + ((32 - Math.clz32(last)) >> 3)
  }
  const second = view.getInt32(at + 4, true)
  const ends2 = ~second & HIGH_BITS
  if (ends2 === 0) return varint(bytes, at, end)
  const last = ends2 & -ends2
  const high = pushed(second & (last - 1))
  pair[0] = pushed(first) | (high << 28)
  pair[1] = high >>> 4
  return at + 4 + ((32 - Math.clz32(last)) >> 3)
}

const HIGH_BITS = 0x80808080 | 0

/** Four times seven bits, without those between them. */
function pushed(word: number): number {
  return (
    (word & 0x7f) |
    ((word >>> 1) & 0x3f80) |
    ((word >>> 2) & 0x1f_c000) |
    ((word >>> 3) & 0xfe0_0000)
  )
}

function varintNearEnd(bytes: Uint8Array, at: number, end: number): number {
  let low = 0
  let high = 0
  for (let index = 0; index < 10; index++) {
    const place = at + index
    if (place >= end) return fail(Fault.truncated, at)
    const byte = bytes[place]!
    const bits = byte & 127
    if (index < 4) low |= bits << (index * 7)
    else if (index === 4) {
      low |= bits << 28
      high = bits >> 4
    } else high |= bits << (index * 7 - 32)
    if (byte < 128) {
      pair[0] = low
      pair[1] = high
      return place + 1
    }
  }
  return fail(Fault.varint, at)
}

/** A boolean is true when any bit is, also one beyond the 64th. Leaves it in `pair[0]`. */
export function boolean(bytes: Uint8Array, at: number, end: number): number {
  const behind = varint(bytes, at, end)
  let any = pair[0]! | pair[1]!
  if (behind === at + 10) any |= bytes[at + 9]!
  pair[0] = any === 0 ? 0 : 1
  return behind
}

/** Reads a tag into `pair[0]`, which is negative for the highest numbers. */
export function tag(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let index = 0; index < 5; index++) {
    const place = at + index
    if (place >= end) return fail(Fault.truncated, at)
    const byte = bytes[place]!
    value |= (byte & 127) << (index * 7)
    if (byte < 128) {
      if (index === 4 && byte > 15) break
      // Generated code takes it for the end; and no wire type is 7.
      if (value === -1) return fail(Fault.wireType, at)
      pair[0] = value
      return place + 1
    }
  }
  return fail(Fault.tag, at)
}

/**
 * Reads a length into `pair[0]`.
 *
 * @returns the place behind it, from which on `pair[0]` bytes lie before `end`
 */
export function length(bytes: Uint8Array, at: number, end: number): number {
  const behind = varint(bytes, at, end)
  if (pair[1] !== 0 || pair[0]! < 0 || pair[0]! > end - behind) return fail(Fault.length, at)
  // Parsers agree that lengths of more bytes are none, whatever their value.
  return behind - at > 5 ? fail(Fault.length, at) : behind
}

/**
 * Passes over the value of a field.
 *
 * @param at     behind its tag
 * @param field  its tag
 * @param depth  messages around it, of which a group is one
 */
export function skip(
  bytes: Uint8Array,
  at: number,
  end: number,
  field: number,
  depth: number,
): number {
  if (field >>> 3 === 0) return fail(Fault.fieldZero, at)
  let behind = at
  switch (field & 7) {
    case Wire.varint:
      return varint(bytes, at, end)
    case Wire.fixed64:
      behind = at + 8
      break
    case Wire.bytes:
      behind = length(bytes, at, end) + pair[0]!
      break
    case Wire.groupStart:
      return skipGroup(bytes, at, end, field, depth + 1)
    case Wire.groupEnd:
      return fail(Fault.groupEnd, at)
    case Wire.fixed32:
      behind = at + 4
      break
    default:
      return fail(Fault.wireType, at)
  }
  return behind > end ? fail(Fault.truncated, at) : behind
}

/** `skip` of a field that may be one of the schema: then it has the wire type that `wires` says. */
export function skipField(
  bytes: Uint8Array,
  at: number,
  end: number,
  field: number,
  depth: number,
  wires: ReadonlyMap<number, number>,
): number {
  const expected = wires.get(field >>> 3)
  const wire = field & 7
  if (expected !== undefined && wire !== (expected & 7)) {
    if (expected < 8 || wire !== Wire.bytes) return fail(Fault.mismatch, at)
  }
  return skip(bytes, at, end, field, depth)
}

/** Where the tag that ends the group begins that was passed over last. */
export const groupEnd = new Int32Array(1)

/** @returns the place behind the tag that ends the group */
export function skipGroup(
  bytes: Uint8Array,
  at: number,
  end: number,
  field: number,
  depth: number,
): number {
  if (depth > DEPTH_MAX) return fail(Fault.depth, at)
  const last = (field & ~7) | Wire.groupEnd
  for (let place = at; place < end;) {
    const behind = tag(bytes, place, end)
    const inner = pair[0]!
    if (inner === last) {
      groupEnd[0] = place
      return behind
    }
    place = skip(bytes, behind, end, inner, depth)
  }
  return fail(Fault.groupOpen, at)
}
