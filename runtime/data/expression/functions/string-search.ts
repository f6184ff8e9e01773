// Texts in texts: found, replaced, cut off. All of it on bytes, since in UTF-8 no character is part
// of another.

import type { BytesBuilder, FixedBuilder } from '../../column/builder.ts'
import type { BytesColumn } from '../../column/column.ts'
import { BOOLEAN, INT, STRING } from '../expression-type.ts'
import type { FunctionSpec, Kernel, KernelCall, Overload } from './function.ts'
import { appendBytes, behindCharacters, bytesArgument, countCharacters, rowKernel } from './rows.ts'
import { indexOfBytes } from './string-part.ts'

/** Where the one text begins in the other, by byte; -1: it does not. */
function find(text: BytesColumn, wanted: BytesColumn, row: number): number {
  return indexOfBytes(
    text.bytes,
    text.offsets[row]!,
    text.offsets[row + 1]!,
    wanted.bytes,
    wanted.offsets[row]!,
    wanted.offsets[row + 1]!,
  )
}

const position: Kernel = rowKernel((call) => {
  const wanted = bytesArgument(call, 0)
  const text = bytesArgument(call, 1)
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    const at = find(text, wanted, row)
    values[row] = at < 0 ? 0 : countCharacters(text.bytes, text.offsets[row]!, at) + 1
  }
})

const contains: Kernel = rowKernel((call) => {
  const text = bytesArgument(call, 0)
  const wanted = bytesArgument(call, 1)
  const values = (call.out as FixedBuilder).values as Uint8Array
  return (row) => {
    values[row] = find(text, wanted, row) < 0 ? 0 : 1
  }
})

const endsWith: Kernel = rowKernel((call) => {
  const text = bytesArgument(call, 0)
  const wanted = bytesArgument(call, 1)
  const values = (call.out as FixedBuilder).values as Uint8Array
  return (row) => {
    let at = text.offsets[row + 1]!
    let from = wanted.offsets[row + 1]!
    const [start, least] = [text.offsets[row]!, wanted.offsets[row]!]
    while (from > least && at > start && text.bytes[at - 1] === wanted.bytes[from - 1]) {
      at--
      from--
    }
    values[row] = from === least ? 1 : 0
  }
})

const replace: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const wanted = bytesArgument(call, 1)
  const put = bytesArgument(call, 2)
  const out = call.out as BytesBuilder
  return (row) => {
    const end = offsets[row + 1]!
    const [from, to] = [wanted.offsets[row]!, wanted.offsets[row + 1]!]
    let at = offsets[row]!
    for (;;) {
      const place = from === to ? -1 : indexOfBytes(bytes, at, end, wanted.bytes, from, to)
      if (place < 0) break
      appendBytes(out, bytes, at, place)
      appendBytes(out, put.bytes, put.offsets[row]!, put.offsets[row + 1]!)
      at = place + to - from
    }
    appendBytes(out, bytes, at, end)
    out.endRow(row)
  }
})

/** @returns where among the characters of `set` the one at `at` is; -1: nowhere */
function placeIn(
  bytes: Uint8Array,
  at: number,
  end: number,
  set: BytesColumn,
  row: number,
): number {
  let place = 0
  const setEnd = set.offsets[row + 1]!
  for (let from = set.offsets[row]!; from < setEnd; place++) {
    const next = behindCharacters(set.bytes, from, setEnd, 1)
    if (next - from === end - at && indexOfBytes(bytes, at, end, set.bytes, from, next) === at) {
      return place
    }
    from = next
  }
  return -1
}

const translate: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const from = bytesArgument(call, 1)
  const to = bytesArgument(call, 2)
  const out = call.out as BytesBuilder
  return (row) => {
    const end = offsets[row + 1]!
    const [toStart, toEnd] = [to.offsets[row]!, to.offsets[row + 1]!]
    for (let at = offsets[row]!; at < end;) {
      const next = behindCharacters(bytes, at, end, 1)
      const place = placeIn(bytes, at, next, from, row)
      if (place < 0) appendBytes(out, bytes, at, next)
      else {
        const start = behindCharacters(to.bytes, toStart, toEnd, place)
        appendBytes(out, to.bytes, start, behindCharacters(to.bytes, start, toEnd, 1))
      }
      at = next
    }
    out.endRow(row)
  }
})

const SPACE = 0x20

/** @returns true when the character [at, end) is to be cut off: of the set, or a space */
function isCut(call: KernelCall, row: number, at: number, end: number): boolean {
  const { bytes } = bytesArgument(call, 0)
  if (call.args.length === 1) return bytes[at] === SPACE
  return placeIn(bytes, at, end, bytesArgument(call, 1), row) >= 0
}

/** @returns where the text begins behind characters to be cut off */
function cutStart(call: KernelCall, row: number, from: number, end: number): number {
  const { bytes } = bytesArgument(call, 0)
  for (let start = from; start < end;) {
    const next = behindCharacters(bytes, start, end, 1)
    if (!isCut(call, row, start, next)) return start
    start = next
  }
  return end
}

/** @returns where the text ends before characters to be cut off */
function cutEnd(call: KernelCall, row: number, start: number, to: number): number {
  const { bytes } = bytesArgument(call, 0)
  for (let end = to; end > start;) {
    let last = end - 1
    while (last > start && (bytes[last]! & 0xc0) === 0x80) last--
    if (!isCut(call, row, last, end)) return end
    end = last
  }
  return start
}

function trim(atStart: boolean, atEnd: boolean): Kernel {
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    return (row) => {
      let [start, end] = [offsets[row]!, offsets[row + 1]!]
      if (atStart) start = cutStart(call, row, start, end)
      if (atEnd) end = cutEnd(call, row, start, end)
      appendBytes(out, bytes, start, end)
      out.endRow(row)
    }
  })
}

function twoTexts(kernel: Kernel, result: Overload['result']): readonly Overload[] {
  return [{ parameters: ['string', 'string'], result, prepare: () => kernel }]
}

function threeTexts(kernel: Kernel): readonly Overload[] {
  return [{ parameters: ['string', 'string', 'string'], result: STRING, prepare: () => kernel }]
}

function trimming(kernel: Kernel): readonly Overload[] {
  return [{ parameters: ['string', 'string'], optional: 1, result: STRING, prepare: () => kernel }]
}

// tidy: table
export const stringSearchFunctions: readonly FunctionSpec[] = [
  {
    name: 'position',
    group: 'string',
    usage: 'position(a, s)',
    summary: 'The place of `a` in `s`, counted from 1; 0 when it is not there.',
    overloads: twoTexts(position, INT),
  },
  {
    name: 'contains',
    group: 'string',
    usage: 'contains(s, a)',
    summary: 'True when `a` is in `s`.',
    overloads: twoTexts(contains, BOOLEAN),
  },
  {
    name: 'ends_with',
    group: 'string',
    usage: 'ends_with(s, a)',
    summary: 'True when `s` ends with `a`.',
    overloads: twoTexts(endsWith, BOOLEAN),
  },
  {
    name: 'replace',
    group: 'string',
    usage: 'replace(s, a, b)',
    summary: 'Each `a` in `s` becomes `b`; an empty `a` is nowhere.',
    overloads: threeTexts(replace),
  },
  {
    name: 'translate',
    group: 'string',
    usage: 'translate(s, from, to)',
    summary: 'Each character of `from` becomes the one at its place in `to`, or vanishes.',
    overloads: threeTexts(translate),
  },
  {
    name: 'trim',
    group: 'string',
    usage: 'trim(s[, chars])',
    summary: 'Without spaces, or these characters, at both ends.',
    overloads: trimming(trim(true, true)),
  },
  {
    name: 'ltrim',
    group: 'string',
    usage: 'ltrim(s[, chars])',
    summary: 'Without spaces, or these characters, at the start.',
    overloads: trimming(trim(true, false)),
  },
  {
    name: 'rtrim',
    group: 'string',
    usage: 'rtrim(s[, chars])',
    summary: 'Without spaces, or these characters, at the end.',
    overloads: trimming(trim(false, true)),
  },
]
