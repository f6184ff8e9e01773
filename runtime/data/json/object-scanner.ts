// Compiles what finds the wanted values of an object: one pass over its bytes that checks all of
// them and notes where each wanted value begins and ends. Nothing is converted yet, so that a name
// that comes twice costs nothing (the last one stays), and a record that breaks off half way has
// left no trace in any column.
//
// Names are tried in the order of the object before: behind a member comes the one that came behind
// it last. A hit is one or a few comparisons of words with constants in the code, which is what
// makes it two to three times faster than a loop over a table of names.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FAULT, failAt } from './fault.ts'
import { numberEnd, OPEN_OBJECT, seen, skipSpace, stringEnd, STRING_CLASS } from './grammar.ts'
import { valueEnd } from './grammar.ts'
import { KeyTable, nameEnd } from './key-table.ts'
import { slotsOf, type Member, type Shape } from './shape.ts'

/** Places of values: where a slot's value begins, when there is one. */
export const ABSENT = -1
export const NULL = -2
/** The source says that the row keeps the value it has. */
export const UNCHANGED = -3
/** A member on the way to the value is no object, but what the slot's end names. */
export const MISFIT = -4

const LETTER_N = 0x6e

/** What the last call met besides what was wanted. */
export const stranger = {
  /** Where the name of the first one stands; -1: none. The caller resets it. */
  name: -1,
}

/**
 * Reads the object at bytes[start] and notes, for each slot, starts[base + slot] and
 * ends[base + slot]: the place behind the value, or its complement when a string has escapes or an
 * object or array may have white space. Slots of members that are not there keep what they held.
 *
 * @param view   of the whole of `bytes`
 * @param start  of its brace, or of the comma in front of a later member
 * @param depth  of what the object stands in
 * @returns the place behind the object, which the caller compares with `end`; or FAULT
 */
export type ScanObject = (
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  starts: Int32Array,
  ends: Int32Array,
  base: number,
  depth: number,
) => number

/**
 * Names that the code itself compares: more of them, and V8 would leave the function to the
 * interpreter, since it optimises none of more than 60 KB of bytecode.
 */
const INLINED_MAX = 200

/** @param title  of the file that MILLRACE_DUMP_DECODERS writes */
export function compileScanner(title: string, shape: Shape): ScanObject {
  const { members } = shape
  const source = scannerSource(shape)
  dump(title, source)
  const keys = new KeyTable(members.map(({ name }) => name))
  const runtime = {
    FAULT,
    failAt,
    numberEnd,
    seen,
    skipSpace,
    stringEnd,
    STRING_CLASS,
    valueEnd,
    nameEnd,
    stranger,
    slots: Int32Array.from(members, ({ slot }) => slot),
    // Behind member m - 1 comes member next[m]; at first as they are declared.
    next: Int32Array.from({ length: members.length + 1 }, (_, member) => member),
    find: keys.find.bind(keys),
    inner: innerScanner(title, members),
  }
  // The text comes from templates and numbers only.
  // oxlint-disable-next-line typescript/no-implied-eval
  const create = new Function(...Object.keys(runtime), source) as (
    ...names: readonly unknown[]
  ) => ScanObject
  return create(...Object.values(runtime))
}

type ScanInner = (member: number, ...rest: Parameters<ScanObject>) => number

/** Reads the value of a member that has members of its own. */
function innerScanner(title: string, members: readonly Member[]): ScanInner {
  const scanners = members.map(({ name, child }) => {
    return child === null ? null : compileScanner(`${title}.${name}`, child)
  })
  const slots = members.map(({ child }) => (child === null ? [] : slotsOf(child)))
  return (member, bytes, view, start, end, starts, ends, base, depth) => {
    // The name may have come before, with other members, and the last one counts.
    const first = bytes[start]
    const isObject = first === OPEN_OBJECT
    const state = isObject || first === LETTER_N ? ABSENT : MISFIT
    for (const slot of slots[member]!) {
      starts[base + slot] = state
      ends[base + slot] = start
    }
    if (!isObject) return valueEnd(bytes, start, end, depth)
    return scanners[member]!(bytes, view, start, end, starts, ends, base, depth)
  }
}

/**
 * True when one of the four bytes of w is a control, a quote, a backslash, or not ASCII: what is
 * subtracted leaves the highest bit in the first that is. Bytes behind it may be taken for one.
 */
const SPECIAL_BYTES = `((w | (w - 0x20202020) | ((w ^ 0x22222222) - 0x01010101) |
          ((w ^ 0x5c5c5c5c) - 0x01010101)) & 0x80808080) !== 0`

// tidy: template
function scannerSource({ members, strangers }: Shape): string {
  const inlined = members.slice(0, INLINED_MAX).map(keyCase)
  const room = Math.max(0, ...members.map(({ name }) => keyBytes(name).length + 3))
  const leaves = members.findIndex(({ child }) => child !== null)
  return `'use strict'
return function scan(bytes, view, start, end, starts, ends, base, depth) {
  const tail = view.byteLength - ${room}
  const last = view.byteLength - 4
  let p = start + 1, before = 0
  if (bytes[p] !== 34) {
    p = skipSpace(bytes, p)
    if (bytes[p] === 125 && bytes[start] === 123) return p + 1
  }
  for (;;) {
    if (bytes[p] !== 34 || p >= end) return failAt(Math.min(p, end), 'a name is missing')
    const name = p
    let m = next[before]
    known: {
      if (p <= tail) switch (m) {
${inlined.join('\n')}
      }
      m = find(bytes, p, end)
      if (m === FAULT) return FAULT
      p = nameEnd.at
      if (m >= 0) next[before] = m
    }
    if (bytes[p] === 58) p++
    else {
      p = skipSpace(bytes, p)
      if (bytes[p] !== 58) return failAt(Math.min(p, end), 'a colon is missing')
      p++
    }
    let c = bytes[p]
    if (c <= 32) { p = skipSpace(bytes, p); c = bytes[p] }
    let s = p, e = 0
    ${leaves < 0 ? '' : innerCode(leaves)}if (c === 34) {
      p++
      for (; p <= last; p += 4) {
        const w = view.getInt32(p, true)
        if (${SPECIAL_BYTES}) break
      }
      while (STRING_CLASS[bytes[p]] === 0) p++
      if (bytes[p] === 34) e = ++p
      else {
        p = stringEnd(bytes, p, end)
        if (p === FAULT) return FAULT
        if (p < 0) { e = p - 1; p = ~e } else e = ++p
      }
    } else if (c <= 57 && c >= 45) {
      if (c === 45) c = bytes[++p]
      if (c === 48) c = bytes[++p]
      else {
        if (!(c >= 49 && c <= 57)) return failAt(s, 'this is no number')
        do c = bytes[++p]; while (c >= 48 && c <= 57)
      }
      if (c === 46) {
        c = bytes[++p]
        if (!(c >= 48 && c <= 57)) return failAt(s, 'this is no number')
        do c = bytes[++p]; while (c >= 48 && c <= 57)
      }
      if (c === 101 || c === 69) {
        p = numberEnd(bytes, s, end)
        if (p === FAULT) return FAULT
      }
      e = p
    } else {
      seen.space = false
      p = valueEnd(bytes, p, end, depth + 1)
      if (p === FAULT) return FAULT
      e = seen.space ? ~p : p
      if (c === 110) s = ${NULL}
    }
    if (m >= 0) {
      before = m + 1
      const slot = slots[m]
      if (slot >= 0) { starts[base + slot] = s; ends[base + slot] = e }
    }${strangerCode(strangers)}
    c = bytes[p++]
    if (c !== 44 && c !== 125) {
      p = skipSpace(bytes, p - 1)
      c = bytes[p++]
    }
    if (c === 125) return p
    if (c !== 44) return failAt(Math.min(p - 1, end), 'an object has no end')
    if (bytes[p] !== 34) p = skipSpace(bytes, p)
  }
}
`
}

function innerCode(leaves: number): string {
  return `if (m >= ${leaves}) {
      p = inner(m, bytes, view, p, end, starts, ends, base, depth + 1)
      if (p === FAULT) return FAULT
      e = c === 34 || c === 123 || c === 91 ? ~p : p
      if (c === 110) s = ${NULL}
    } else `
}

function strangerCode(strangers: Shape['strangers']): string {
  if (strangers === 'ignored') return ''
  const valued = strangers === 'valued' ? ` && s !== ${NULL}` : ''
  return ` else if (stranger.name < 0${valued}) stranger.name = name`
}

function keyBytes(name: string): Uint8Array {
  return new TextEncoder().encode(`"${name}"`)
}

/** Compares the name with its quotes, four bytes at a time. */
function keyCase({ name }: Member, index: number): string {
  // A name that only escapes can write would be compared with what is no JSON.
  if (JSON.stringify(name) !== `"${name}"`) return ''
  const bytes = keyBytes(name)
  const padded = new DataView(new ArrayBuffer(Math.ceil(bytes.length / 4) * 4))
  for (const [at, byte] of bytes.entries()) padded.setUint8(at, byte)
  const tests: string[] = []
  for (let at = 0; at < bytes.length; at += 4) {
    const word = padded.getInt32(at, true)
    const left = bytes.length - at
    const read = `view.getInt32(p + ${at}, true)`
    tests.push(left >= 4 ? `${read} === ${word}` : `(${read} & ${2 ** (8 * left) - 1}) === ${word}`)
  }
  return `        case ${index}: if (${tests.join(' && ')}) { p += ${bytes.length}; break known } break`
}

function dump(title: string, source: string): void {
  const folder = process.env['MILLRACE_DUMP_DECODERS']
  if (folder === undefined || folder === '') return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${title.replaceAll(/[^\w.-]/g, '_')}.js`), source)
}
