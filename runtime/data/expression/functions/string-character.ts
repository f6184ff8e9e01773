// Functions of characters: their code points, normal forms, and keys that equal letters share.

import type { BytesBuilder, FixedBuilder } from '../../column/builder.ts'
import { INT, STRING } from '../expression-type.ts'
import { lowerText, upperText } from '../kernels/letter-case.ts'
import { Refusal, textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { appendBytes, appendText, bytesArgument, decodeText, isAscii, longAt } from './rows.ts'
import { rowKernel, textKernel, wordsArgument } from './rows.ts'

const WORDS = /[\p{L}\p{N}\p{M}]+/gu

const initcap: Kernel = textKernel((bytes, start, end, out) => {
  const text = decodeText(bytes, start, end)
  const capital = text.replace(WORDS, (word) => {
    const [first = ''] = word
    return upperText(first) + lowerText(word.slice(first.length))
  })
  appendText(out, capital)
})

const chr: Kernel = rowKernel((call) => {
  const words = wordsArgument(call, 0)
  const out = call.out as BytesBuilder
  return (row) => {
    const code = longAt(words, row)
    if (code < 0 || code > 0x10_ffff || (code >= 0xd800 && code < 0xe000)) {
      call.fail(row, 'the number is no code point')
      return
    }
    appendText(out, String.fromCodePoint(code))
    out.endRow(row)
  }
})

const codepoint: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const out = call.out as FixedBuilder
  const values = out.values as Int32Array
  return (row) => {
    const [start, end] = [offsets[row]!, offsets[row + 1]!]
    if (start === end) out.setNull(row)
    else if (bytes[start]! < 0x80) values[row] = bytes[start]!
    else values[row] = decodeText(bytes, start, Math.min(end, start + 4)).codePointAt(0) ?? 0
  }
})

const FORMS: ReadonlySet<string> = new Set(['NFC', 'NFD', 'NFKC', 'NFKD'])

/** @throws Refusal */
function normalize(binding: Binding): Kernel {
  const form = textConstant(binding, 1)?.toUpperCase() ?? 'NFC'
  if (!FORMS.has(form)) {
    throw new Refusal(1, `there is no normal form "${form}"`, `Forms are ${[...FORMS].join(', ')}.`)
  }
  return textKernel((bytes, start, end, out) => {
    if (isAscii(bytes, start, end)) appendBytes(out, bytes, start, end)
    else appendText(out, decodeText(bytes, start, end).normalize(form))
  })
}

/**
 * Full case folding: to lower, upper and lower again, a character at a time, so that ẞ and ß are
 * ss, and no letter depends on its neighbours. The dotless i is a letter of its own.
 */
function foldCase(text: string): string {
  let folded = ''
  for (const character of text) {
    folded += character === 'ı' ? character : lowerEach(lowerEach(character).toUpperCase())
  }
  return folded
}

/** Each by itself: a final Σ would become ς. */
function lowerEach(text: string): string {
  let lower = ''
  for (const character of text) lower += character.toLowerCase()
  return lower
}

/** @throws Refusal */
function collateKey(binding: Binding): Kernel {
  const name = textConstant(binding, 1)
  if (name !== 'und-ci') {
    throw new Refusal(1, `there is no collation "${name}"`, "Write 'und-ci': without case.")
  }
  return textKernel((bytes, start, end, out) => {
    if (isAscii(bytes, start, end)) {
      out.reserveBytes(end - start)
      for (let at = start; at < end; at++) {
        const byte = bytes[at]!
        out.bytes[out.bytesLength++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
      }
      return
    }
    const folded = foldCase(decodeText(bytes, start, end).normalize('NFD'))
    appendText(out, folded.normalize('NFC'))
  })
}

// tidy: table
export const stringCharacterFunctions: readonly FunctionSpec[] = [
  {
    name: 'initcap',
    group: 'string',
    usage: 'initcap(s)',
    summary: 'Each word of letters and digits with its first letter in upper case.',
    overloads: [{ parameters: ['string'], result: STRING, prepare: () => initcap }],
  },
  {
    name: 'chr',
    group: 'string',
    usage: 'chr(n)',
    summary: 'The character of a code point.',
    overloads: [{ parameters: ['long'], result: STRING, fails: true, prepare: () => chr }],
  },
  {
    name: 'codepoint',
    group: 'string',
    usage: 'codepoint(s)',
    summary: 'The code point of the first character; of an empty text null.',
    overloads: [{ parameters: ['string'], result: INT, nullable: true, prepare: () => codepoint }],
  },
  {
    name: 'normalize',
    group: 'string',
    usage: 'normalize(s[, form])',
    summary: 'The normal form of Unicode: NFC, NFD, NFKC or NFKD.',
    overloads: [
      {
        parameters: ['string', 'constant string'],
        optional: 1,
        result: STRING,
        prepare: normalize,
      },
    ],
  },
  {
    name: 'collate_key',
    group: 'string',
    usage: "collate_key(s, 'und-ci')",
    summary: 'A text that is the same for texts that differ in case or in composition alone.',
    overloads: [{ parameters: ['string', 'constant string'], result: STRING, prepare: collateKey }],
  },
]
