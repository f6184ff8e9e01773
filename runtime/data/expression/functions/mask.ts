// Bytes as texts and back (hexadecimal, base64), and masks, which leave of a value what may be
// seen. A mask never shows more than it says: where a text is too short for it, nothing is shown.

import { isIPv4, isIPv6 } from 'node:net'
import type { BytesBuilder } from '../../column/builder.ts'
import { BINARY, STRING } from '../expression-type.ts'
import type { FunctionSpec, Kernel, Overload } from './function.ts'
import {
  appendBytes,
  appendText,
  behindCharacters,
  bytesArgument,
  countCharacters,
} from './rows.ts'
import { decodeText, longAt, rowKernel, textKernel, wordsArgument } from './rows.ts'

const HEX = new TextEncoder().encode('0123456789abcdef')

const toHex: Kernel = textKernel((bytes, start, end, out) => {
  out.reserveBytes((end - start) * 2)
  const target = out.bytes
  let to = out.bytesLength
  for (let at = start; at < end; at++) {
    target[to++] = HEX[bytes[at]! >> 4]!
    target[to++] = HEX[bytes[at]! & 15]!
  }
  out.bytesLength = to
})

const toBase64: Kernel = textKernel((bytes, start, end, out) => {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  appendText(out, value.toString('base64'))
})

/** @returns the kernel that fails where the text is not of `pattern` */
function decoded(encoding: 'hex' | 'base64', pattern: RegExp, message: string): Kernel {
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    return (row) => {
      const text = decodeText(bytes, offsets[row]!, offsets[row + 1]!)
      if (text.length % (encoding === 'hex' ? 2 : 4) !== 0 || !pattern.test(text)) {
        call.fail(row, message)
        return
      }
      const value = Buffer.from(text, encoding)
      appendBytes(out, value, 0, value.length)
      out.endRow(row)
    }
  })
}

const fromHex = decoded('hex', /^[0-9a-f]*$/i, 'the text has no pairs of hexadecimal digits')
const fromBase64 = decoded('base64', /^[A-Za-z0-9+/]*={0,2}$/, 'the text is no base64')

const STAR = Uint8Array.of(0x2a)
const STARS = Uint8Array.of(0x2a, 0x2a, 0x2a, 0x2a)

const maskPartial: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const lefts = wordsArgument(call, 1)
  const rights = wordsArgument(call, 2)
  const mark = call.args.length > 3 ? bytesArgument(call, 3) : null
  const out = call.out as BytesBuilder
  return (row) => {
    const [start, end] = [offsets[row]!, offsets[row + 1]!]
    const length = countCharacters(bytes, start, end)
    let left = Math.max(0, longAt(lefts, row))
    let right = Math.max(0, longAt(rights, row))
    if (left + right >= length) left = right = 0
    const first = behindCharacters(bytes, start, end, left)
    appendBytes(out, bytes, start, first)
    for (let hidden = length - left - right; hidden > 0; hidden--) {
      if (mark === null) appendBytes(out, STAR, 0, 1)
      else appendBytes(out, mark.bytes, mark.offsets[row]!, mark.offsets[row + 1]!)
    }
    appendBytes(out, bytes, behindCharacters(bytes, start, end, length - right), end)
    out.endRow(row)
  }
})

const AT = 0x40

const maskEmail: Kernel = textKernel((bytes, start, end, out) => {
  let at = end - 1
  while (at > start && bytes[at] !== AT) at--
  const first = behindCharacters(bytes, start, end, 1)
  // The first letter is shown only where there are more before the @.
  if (first < at) appendBytes(out, bytes, start, first)
  appendBytes(out, STARS, 0, 4)
  if (at > start) appendBytes(out, bytes, at, end)
})

const maskDigits: Kernel = textKernel((bytes, start, end, out) => {
  appendText(out, decodeText(bytes, start, end).replace(/\p{Nd}/gu, '*'))
})

const maskAll: Kernel = textKernel((_bytes, _start, _end, out) => appendBytes(out, STARS, 0, 4))

/** @returns the eight groups of an IPv6 address */
function groupsOf(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const [, before = '', ...bytes] = dotted ?? []
  const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number)
  const plain =
    dotted === null ? text : `${before}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  const [head = '', tail] = plain.split('::')
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  if (tail === undefined) return groups(head)
  const [first, last] = [groups(head), groups(tail)]
  const missing = 8 - first.length - last.length
  return [...first, ...Array.from({ length: missing }, () => 0), ...last]
}

/** @returns the parts of `width` bits with all behind the first `bits` bits 0 */
function cut(parts: readonly number[], width: number, bits: number): number[] {
  return parts.map((part, index) => {
    const kept = Math.min(width, Math.max(0, bits - index * width))
    return part & ~((1 << (width - kept)) - 1)
  })
}

/** RFC 5952: the longest run of two zero groups or more, the first of equals, becomes `::`. */
function formatIPv6(groups: readonly number[]): string {
  let [bestStart, bestLength] = [-1, 1]
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > bestLength) [bestStart, bestLength] = [start, length]
  }
  const hex = groups.map((group) => group.toString(16))
  if (bestStart < 0) return hex.join(':')
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`
}

const ipPrefix: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const words = wordsArgument(call, 1)
  const out = call.out as BytesBuilder
  return (row) => {
    const text = decodeText(bytes, offsets[row]!, offsets[row + 1]!)
    const bits = longAt(words, row)
    const four = isIPv4(text)
    if (!four && (!isIPv6(text) || text.includes('%'))) {
      call.fail(row, 'the text is no IP address')
      return
    }
    if (bits < 0 || bits > (four ? 32 : 128)) {
      call.fail(row, 'the address has not so many bits')
      return
    }
    const address = four
      ? cut(text.split('.').map(Number), 8, bits).join('.')
      : formatIPv6(cut(groupsOf(text), 16, bits))
    appendText(out, `${address}/${bits}`)
    out.endRow(row)
  }
})

function overload(kernel: Kernel, parts: Partial<Overload> = {}): Overload {
  return { parameters: ['string'], result: STRING, ...parts, prepare: () => kernel }
}

// tidy: table
export const maskFunctions: readonly FunctionSpec[] = [
  {
    name: 'to_hex',
    group: 'hash',
    usage: 'to_hex(s | b)',
    summary: 'The bytes in lowercase hexadecimal digits.',
    overloads: [overload(toHex), overload(toHex, { parameters: ['binary'] })],
  },
  {
    name: 'from_hex',
    group: 'hash',
    usage: 'from_hex(s)',
    summary: 'The bytes that hexadecimal digits stand for.',
    overloads: [overload(fromHex, { result: BINARY, fails: true })],
  },
  {
    name: 'to_base64',
    group: 'hash',
    usage: 'to_base64(s | b)',
    summary: 'The bytes in base64, with padding.',
    overloads: [overload(toBase64), overload(toBase64, { parameters: ['binary'] })],
  },
  {
    name: 'from_base64',
    group: 'hash',
    usage: 'from_base64(s)',
    summary: 'The bytes that base64 stands for; padding is needed.',
    overloads: [overload(fromBase64, { result: BINARY, fails: true })],
  },
  {
    name: 'mask_partial',
    group: 'hash',
    usage: 'mask_partial(s, left, right[, ch])',
    summary:
      'All but the first and last characters become `*` or `ch`; all, when that would be none.',
    overloads: [
      overload(maskPartial, { parameters: ['string', 'long', 'long', 'string'], optional: 1 }),
    ],
  },
  {
    name: 'mask_email',
    group: 'hash',
    usage: 'mask_email(s)',
    summary: 'The first of several characters, `****`, and the domain; without an @, `****`.',
    overloads: [overload(maskEmail)],
  },
  {
    name: 'mask_digits',
    group: 'hash',
    usage: 'mask_digits(s)',
    summary: 'Each digit, of any script, becomes `*`.',
    overloads: [overload(maskDigits)],
  },
  {
    name: 'mask_all',
    group: 'hash',
    usage: 'mask_all(s)',
    summary: 'Always `****`, so that not even the length is seen.',
    overloads: [overload(maskAll)],
  },
  {
    name: 'ip_prefix',
    group: 'hash',
    usage: 'ip_prefix(s, bits)',
    summary: 'The network of an IPv4 or IPv6 address, as 10.1.0.0/16.',
    overloads: [overload(ipPrefix, { parameters: ['string', 'long'], fails: true })],
  },
]
