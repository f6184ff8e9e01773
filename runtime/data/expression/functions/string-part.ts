// Parts of texts and texts filled up: places and lengths count characters, found byte by byte.

import type { BytesBuilder, ListBuilder } from '../../column/builder.ts'
import { STRING } from '../expression-type.ts'
import type { FunctionSpec, Kernel, KernelCall, Overload } from './function.ts'
import {
  appendBytes,
  appendText,
  behindCharacters,
  bytesArgument,
  countCharacters,
} from './rows.ts'
import { decodeText, isAscii, longAt, rowKernel, textKernel, wordsArgument } from './rows.ts'

/** What repeat and padding add at most, so that numbers of a batch cannot fill the memory. */
const MADE_BYTES_MAX = 64 * 1024
const TOO_LONG = 'more than 64 KiB of text would be made'

const substring: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const from = wordsArgument(call, 1)
  const count = call.args.length > 2 ? wordsArgument(call, 2) : null
  const out = call.out as BytesBuilder
  return (row) => {
    const end = offsets[row + 1]!
    const first = longAt(from, row)
    const length = count === null ? Infinity : longAt(count, row)
    if (length < 0) {
      call.fail(row, 'the length of a substring is negative')
      return
    }
    // Places before the first are there, and empty.
    const start = behindCharacters(bytes, offsets[row]!, end, first - 1)
    const taken = first < 1 ? length + first - 1 : length
    appendBytes(out, bytes, start, behindCharacters(bytes, start, end, taken))
    out.endRow(row)
  }
})

/** @returns characters that `n` means: from the end of the text when it is negative */
function charactersOf(bytes: Uint8Array, start: number, end: number, n: number): number {
  return n < 0 ? Math.max(0, countCharacters(bytes, start, end) + n) : n
}

const left: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const counts = wordsArgument(call, 1)
  const out = call.out as BytesBuilder
  return (row) => {
    const [start, end] = [offsets[row]!, offsets[row + 1]!]
    const count = charactersOf(bytes, start, end, longAt(counts, row))
    appendBytes(out, bytes, start, behindCharacters(bytes, start, end, count))
    out.endRow(row)
  }
})

const right: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const counts = wordsArgument(call, 1)
  const out = call.out as BytesBuilder
  return (row) => {
    const [start, end] = [offsets[row]!, offsets[row + 1]!]
    const count = longAt(counts, row)
    const skipped = count < 0 ? -count : countCharacters(bytes, start, end) - count
    appendBytes(out, bytes, behindCharacters(bytes, start, end, skipped), end)
    out.endRow(row)
  }
})

const SPACE = Uint8Array.of(0x20)

function pad(atStart: boolean): Kernel {
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const widths = wordsArgument(call, 1)
    const filler = call.args.length > 2 ? bytesArgument(call, 2) : null
    const fill = filler?.bytes ?? SPACE
    const out = call.out as BytesBuilder
    return (row) => {
      const [start, end] = [offsets[row]!, offsets[row + 1]!]
      const width = longAt(widths, row)
      const fillStart = filler === null ? 0 : filler.offsets[row]!
      const fillEnd = filler === null ? 1 : filler.offsets[row + 1]!
      const missing = width - countCharacters(bytes, start, end)
      if (missing * (fillEnd - fillStart) > MADE_BYTES_MAX) {
        call.fail(row, TOO_LONG)
        return
      }
      const cut = missing < 0 ? behindCharacters(bytes, start, end, width) : end
      if (!atStart) appendBytes(out, bytes, start, cut)
      if (fillEnd > fillStart) {
        const length = countCharacters(fill, fillStart, fillEnd)
        let rest = missing
        for (; rest >= length; rest -= length) appendBytes(out, fill, fillStart, fillEnd)
        appendBytes(out, fill, fillStart, behindCharacters(fill, fillStart, fillEnd, rest))
      }
      if (atStart) appendBytes(out, bytes, start, cut)
      out.endRow(row)
    }
  })
}

const repeat: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const counts = wordsArgument(call, 1)
  const out = call.out as BytesBuilder
  return (row) => {
    const [start, end] = [offsets[row]!, offsets[row + 1]!]
    const count = start === end ? 0 : longAt(counts, row)
    if (count > 1 && count * (end - start) > MADE_BYTES_MAX) {
      call.fail(row, TOO_LONG)
      return
    }
    for (let done = 0; done < count; done++) appendBytes(out, bytes, start, end)
    out.endRow(row)
  }
})

const reverse: Kernel = textKernel((bytes, start, end, out) => {
  if (!isAscii(bytes, start, end)) {
    appendText(
      out,
      Array.from(decodeText(bytes, start, end))
        .reverse()
        .join(''),
    )
    return
  }
  out.reserveBytes(end - start)
  for (let at = end - 1; at >= start; at--) out.bytes[out.bytesLength++] = bytes[at]!
})

/** The range between two separators that `nextField` went over last; `rest`: behind the second. */
const field = { start: 0, end: 0, rest: 0 }

/** @returns false when there is no further field; an empty separator parts all characters */
function nextField(call: KernelCall, row: number, isFirst: boolean): boolean {
  const { offsets, bytes } = bytesArgument(call, 0)
  const separator = bytesArgument(call, 1)
  const end = offsets[row + 1]!
  const [sepStart, sepEnd] = [separator.offsets[row]!, separator.offsets[row + 1]!]
  const length = sepEnd - sepStart
  if (isFirst) field.rest = offsets[row]!
  else if (field.rest < 0 || (length === 0 && field.rest === end)) return false
  field.start = field.rest
  if (length === 0) {
    field.end = behindCharacters(bytes, field.start, end, 1)
    field.rest = field.end
    return true
  }
  field.end = indexOfBytes(bytes, field.start, end, separator.bytes, sepStart, sepEnd)
  field.rest = field.end < 0 ? -1 : field.end + length
  if (field.end < 0) field.end = end
  return true
}

/** @returns where the one text begins in the other; -1: it does not. Empty ones are everywhere */
export function indexOfBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  wanted: Uint8Array,
  wantedStart: number,
  wantedEnd: number,
): number {
  const length = wantedEnd - wantedStart
  if (length === 0) return start
  const first = wanted[wantedStart]
  for (let at = start; at + length <= end; at++) {
    if (bytes[at] !== first) continue
    let same = 1
    while (same < length && bytes[at + same] === wanted[wantedStart + same]) same++
    if (same === length) return at
  }
  return -1
}

const split: Kernel = rowKernel((call) => {
  const { bytes } = bytesArgument(call, 0)
  const out = call.out as ListBuilder
  const child = out.child as BytesBuilder
  return (row) => {
    for (let first = true; nextField(call, row, first); first = false) {
      child.reserveRows(out.childLength + 1)
      child.setBytes(out.childLength++, bytes, field.start, field.end)
    }
    out.endRow(row)
  }
})

const splitPart: Kernel = rowKernel((call) => {
  const { bytes } = bytesArgument(call, 0)
  const places = wordsArgument(call, 2)
  const out = call.out as BytesBuilder
  return (row) => {
    let place = longAt(places, row)
    if (place < 0) {
      let fields = 0
      while (nextField(call, row, fields === 0)) fields++
      place += fields + 1
    }
    let at = 0
    while (at < place && nextField(call, row, at === 0)) at++
    if (at === place && place > 0) appendBytes(out, bytes, field.start, field.end)
    out.endRow(row)
  }
})

function textWithNumber(kernel: Kernel, extra: Partial<Overload> = {}): readonly Overload[] {
  return [{ parameters: ['string', 'long'], result: STRING, ...extra, prepare: () => kernel }]
}

function padding(kernel: Kernel): readonly Overload[] {
  return textWithNumber(kernel, {
    parameters: ['string', 'long', 'string'],
    optional: 1,
    fails: true,
  })
}

// tidy: table
export const stringPartFunctions: readonly FunctionSpec[] = [
  {
    name: 'substring',
    group: 'string',
    usage: 'substring(s, from[, n])',
    summary: 'Characters from a place, which counts from 1; places before 1 are empty.',
    overloads: textWithNumber(substring, {
      parameters: ['string', 'long', 'long'],
      optional: 1,
      fails: true,
    }),
  },
  {
    name: 'left',
    group: 'string',
    usage: 'left(s, n)',
    summary: 'The first `n` characters; all but the last when `n` is negative.',
    overloads: textWithNumber(left),
  },
  {
    name: 'right',
    group: 'string',
    usage: 'right(s, n)',
    summary: 'The last `n` characters; all but the first when `n` is negative.',
    overloads: textWithNumber(right),
  },
  {
    name: 'lpad',
    group: 'string',
    usage: 'lpad(s, n[, pad])',
    summary: 'Exactly `n` characters: filled up before the text, or cut behind.',
    overloads: padding(pad(true)),
  },
  {
    name: 'rpad',
    group: 'string',
    usage: 'rpad(s, n[, pad])',
    summary: 'Exactly `n` characters: filled up or cut behind the text.',
    overloads: padding(pad(false)),
  },
  {
    name: 'repeat',
    group: 'string',
    usage: 'repeat(s, n)',
    summary: 'The text `n` times.',
    overloads: textWithNumber(repeat, { fails: true }),
  },
  {
    name: 'reverse',
    group: 'string',
    usage: 'reverse(s)',
    summary: 'The characters from last to first.',
    overloads: [{ parameters: ['string'], result: STRING, prepare: () => reverse }],
  },
  {
    name: 'split',
    group: 'string',
    usage: 'split(s, sep)',
    summary: 'The parts between separators as a list; an empty separator parts all characters.',
    overloads: [
      {
        parameters: ['string', 'string'],
        result: { kind: 'list', element: STRING },
        prepare: () => split,
      },
    ],
  },
  {
    name: 'split_part',
    group: 'string',
    usage: 'split_part(s, sep, n)',
    summary: 'The part at a place, from 1, or from -1 at the end; outside it is empty.',
    overloads: textWithNumber(splitPart, { parameters: ['string', 'string', 'long'] }),
  },
]
