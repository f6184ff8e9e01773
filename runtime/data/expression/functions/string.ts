// Functions of texts. Positions and lengths count code points; what is ASCII is done on its bytes.

import { INT, BOOLEAN, STRING } from '../expression-type.ts'
import { lowerText, upperText } from '../kernels/letter-case.ts'
import type { FunctionSpec, Kernel } from './function.ts'
import { appendText, bytesArgument, decodeText, isAscii } from './rows.ts'
import { countCharacters, textKernel, textToIntKernel } from './rows.ts'

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

export const stringFunctions: readonly FunctionSpec[] = [
  {
    name: 'length',
    group: 'string',
    usage: 'length(s)',
    summary: 'Number of code points.',
    overloads: [
      { parameters: ['string'], result: INT, prepare: () => textToIntKernel(countCharacters) },
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
]
