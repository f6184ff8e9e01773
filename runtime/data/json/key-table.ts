// Which member a name is, where the prediction missed: by a hash over the bytes of the name. Names
// that are written with escapes are compared as text, since one name has many such forms.

import { FAULT } from './fault.ts'
import { stringEnd } from './grammar.ts'

/** Where the name that was looked up last ends: behind its closing quote. */
export const nameEnd = { at: 0 }

export const UNKNOWN = -1

export class KeyTable {
  private readonly keys: readonly Uint8Array[]
  private readonly byText: ReadonlyMap<string, number>
  /** Member + 1 by hash; 0: none. Twice as long as there are names, or longer. */
  private readonly table: Int32Array

  constructor(names: readonly string[]) {
    const encoder = new TextEncoder()
    this.keys = names.map((name) => encoder.encode(name))
    this.byText = new Map(names.map((name, member) => [name, member]))
    this.table = new Int32Array(2 ** Math.ceil(Math.log2(2 * names.length + 2)))
    for (const [member, key] of this.keys.entries()) {
      let at = hash(key, 0, key.length) & (this.table.length - 1)
      while (this.table[at] !== 0) at = (at + 1) & (this.table.length - 1)
      this.table[at] = member + 1
    }
  }

  /**
   * @param quote  where the opening quote of a name stands
   * @returns the member, UNKNOWN, or FAULT; but for FAULT, `nameEnd` is set
   */
  find(bytes: Uint8Array, quote: number, end: number): number {
    const close = stringEnd(bytes, quote + 1, end)
    if (close === FAULT) return FAULT
    if (close < 0) {
      nameEnd.at = ~close + 1
      return this.byText.get(textOf(bytes, quote, ~close + 1)) ?? UNKNOWN
    }
    nameEnd.at = close + 1
    const { table, keys } = this
    const mask = table.length - 1
    for (let at = hash(bytes, quote + 1, close) & mask; ; at = (at + 1) & mask) {
      const member = table[at]! - 1
      if (member < 0) return UNKNOWN
      if (sameBytes(keys[member]!, bytes, quote + 1, close)) return member
    }
  }
}

/** FNV-1a. */
export function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c_9dc5
  for (let at = start; at < end; at++) value = Math.imul(value ^ bytes[at]!, 0x0100_0193)
  return value ^ (value >>> 15)
}

function sameBytes(key: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (key.length !== end - start) return false
  for (let at = 0; at < key.length; at++) if (key[at] !== bytes[start + at]) return false
  return true
}

/** The string that the JSON text bytes[start, end) stands for; the text has been checked. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return JSON.parse(new TextDecoder().decode(bytes.subarray(start, end))) as string
}
