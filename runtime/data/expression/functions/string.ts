// Functions of texts. Positions and lengths count code points; what is ASCII is done on its bytes.

import type { BytesBuilder } from '../../column/builder.ts'
import { isNull } from '../../column/column.ts'
import { INT, BOOLEAN, STRING } from '../expression-type.ts'
import { lowerText, upperText } from '../kernels/letter-case.ts'
import type { FunctionSpec, Kernel } from './function.ts'
import { appendBytes, appendText, bytesArgument, decodeText, isAscii } from './rows.ts'
import { textKernel, textToIntKernel } from './rows.ts'

/** Bytes that begin a character: all but 10xxxxxx. */
function codePoints(bytes: Uint8Array, start: number, end: number): number {
  let count = 0
  for (let at = start; at < end; at++) if ((bytes[at]! & 0xc0) !== 0x80) count++
  return count
}

/** `first`, `last`: the range of letters that change, by the bit 0x20. */
function mapCase(first: number, last: number, slow: (text: string) => string): Kernel {
  return textKernel((bytes, start, end, out) => {
    if (!isAscii(bytes, start, end)) {
      appendText(out, slow(decodeText(bytes, start, end)))
      return
    }
    out.reserveBytes(end - start)
    const target = out.bytes
    let to = out.bytesLength
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!
      target[to++] = byte >= first && byte <= last ? byte ^ 0x20 : byte
    }
    out.bytesLength = to
  })
}

const upper = mapCase(0x61, 0x7a, upperText)
const lower = mapCase(0x41, 0x5a, lowerText)

const startsWith: Kernel = (call) => {
  const text = bytesArgument(call, 0)
  const prefix = bytesArgument(call, 1)
  const values = (call.out as { values: Uint8Array } & typeof call.out).values as Uint8Array
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0) {
      call.out.setNull(row)
      continue
    }
    let [at, end] = [text.offsets[row]!, text.offsets[row + 1]!]
    let from = prefix.offsets[row]!
    const to = prefix.offsets[row + 1]!
    while (from < to && at < end && text.bytes[at] === prefix.bytes[from]) {
      at++
      from++
    }
    values[row] = from === to ? 1 : 0
  }
}

/** Nulls are skipped, so that this one looks at validity itself; a null separator gives null. */
const concatWs: Kernel = (call) => {
  const out = call.out as BytesBuilder
  const separator = bytesArgument(call, 0)
  for (let row = 0; row < call.rows; row++) {
    if (call.live[row] === 0 || isNull(separator, row)) {
      out.setNull(row)
      continue
    }
    let first = true
    for (let index = 1; index < call.args.length; index++) {
      const arg = bytesArgument(call, index)
      if (isNull(arg, row)) continue
      if (!first) {
        appendBytes(out, separator.bytes, separator.offsets[row]!, separator.offsets[row + 1]!)
      }
      first = false
      appendBytes(out, arg.bytes, arg.offsets[row]!, arg.offsets[row + 1]!)
    }
    out.endRow(row)
  }
}

export const stringFunctions: readonly FunctionSpec[] = [
  {
    name: 'length',
    group: 'string',
    usage: 'length(s)',
    summary: 'Number of code points.',
    overloads: [
      { parameters: ['string'], result: INT, prepare: () => textToIntKernel(codePoints) },
    ],
  },
  {
    name: 'octet_length',
    group: 'string',
    usage: 'octet_length(s | b)',
    summary: 'Number of bytes.',
    overloads: [
      {
        parameters: ['string'],
        result: INT,
        prepare: () => textToIntKernel((_bytes, start, end) => end - start),
      },
      {
        parameters: ['binary'],
        result: INT,
        prepare: () => textToIntKernel((_bytes, start, end) => end - start),
      },
    ],
  },
  {
    name: 'upper',
    group: 'string',
    usage: 'upper(s)',
    summary: 'Each code point in upper case, where that is one code point.',
    overloads: [{ parameters: ['string'], result: STRING, prepare: () => upper }],
  },
  {
    name: 'lower',
    group: 'string',
    usage: 'lower(s)',
    summary: 'Each code point in lower case, where that is one code point.',
    overloads: [{ parameters: ['string'], result: STRING, prepare: () => lower }],
  },
  {
    name: 'starts_with',
    group: 'string',
    usage: 'starts_with(s, a)',
    summary: 'True when `s` begins with `a`.',
    overloads: [{ parameters: ['string', 'string'], result: BOOLEAN, prepare: () => startsWith }],
  },
  {
    name: 'concat_ws',
    group: 'string',
    usage: 'concat_ws(sep, s...)',
    summary: 'The texts that are not null, with `sep` between them.',
    overloads: [
      {
        parameters: ['string', 'string'],
        variadic: true,
        nulls: 'kernel',
        result: STRING,
        prepare: () => concatWs,
      },
    ],
  },
]
