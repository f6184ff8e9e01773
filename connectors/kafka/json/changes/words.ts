// Words of an envelope: operations, and names of tables.

import { QUOTE } from '../../../../runtime/data/json/grammar.ts'
import { textOf } from '../../../../runtime/data/json/key-table.ts'

/** Words that have come lately: no text is made for the same one again. */
const WORDS_MAX = 64
const words: { bytes: Uint8Array; text: string }[] = []

/** @param end  as scanners note it. @returns `null` when the value is no string */
export function wordAt(bytes: Uint8Array, start: number, end: number): string | null {
  if (start < 0 || bytes[start] !== QUOTE) return null
  const close = end < 0 ? ~end : end
  const length = close - start
  for (const { bytes: known, text } of words) {
    if (known.length !== length) continue
    let at = 0
    while (at < length && known[at] === bytes[start + at]) at++
    if (at === length) return text
  }
  const text = textOf(bytes, start, close)
  if (words.length === WORDS_MAX) words.shift()
  words.push({ bytes: bytes.slice(start, close), text })
  return text
}
