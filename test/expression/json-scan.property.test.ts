// The scanner of JSON against JSON.parse: which texts are JSON, and what a step leads to.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  findElement,
  findMember,
  found,
  isJson,
  JSON_DEPTH_MAX,
  jsonString,
} from '../../runtime/data/expression/kernels/json-scan.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
const limits = {
  numRuns: 100_000,
  interruptAfterTimeLimit: seconds * 500,
  markInterruptAsFailure: false,
}
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Texts that are nearly JSON: valid ones, spaced and then broken in one place. */
const nearly = fc
  .tuple(
    fc.json({ maxDepth: 4 }),
    fc.nat(),
    fc.constantFrom('', '"', '\\', ',', '{', ']', '0', 'e', '-', ' '),
  )
  .map(([text, place, put]) => {
    const at = place % (text.length + 1)
    return text.slice(0, at) + put + text.slice(at + (place % 2))
  })

test('a text is JSON when JSON.parse takes it', () => {
  const property = fc.property(fc.oneof(nearly, fc.json(), fc.string()), (text) => {
    const bytes = encoder.encode(`x${text}x`)
    expect(isJson(bytes, 1, bytes.length - 1), text).toBe(parses(text.toWellFormed()))
  })
  fc.assert(property, limits)
})

const key = fc.constantFrom('a', 'b', 'ä', '"', '\\', '', '__proto__', '👍')

test('a member is what JSON.parse has under its name, with the text that it has', () => {
  const property = fc.property(
    fc.array(fc.tuple(key, fc.jsonValue({ maxDepth: 2 })), { maxLength: 5 }),
    key,
    fc.constantFrom(0, 1, 3),
    (members, name, space) => {
      const texts = members.map(([own, value]) => {
        return `${JSON.stringify(own)} : ${JSON.stringify(value, null, space)}`
      })
      const bytes = encoder.encode(` {${texts.join(' , ')} } `)
      const wanted = members.filter(([own]) => own === name).at(-1)
      expect(findMember(bytes, 0, bytes.length, name)).toBe(wanted !== undefined)
      if (wanted === undefined) return
      const text = decoder.decode(bytes.subarray(found.start, found.end))
      expect(text).toBe(JSON.stringify(wanted[1], null, space))
      if (typeof wanted[1] !== 'string') return
      expect(jsonString(bytes, found.start, found.end)).toBe(wanted[1])
    },
  )
  fc.assert(property, limits)
})

test('an element is the one at its place, from the end where it is negative', () => {
  const property = fc.property(
    fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 5 }),
    fc.integer({ min: -7, max: 7 }),
    (values, place) => {
      const bytes = encoder.encode(JSON.stringify(values))
      const wanted = values.at(place)
      const there = place < values.length && place >= -values.length
      expect(findElement(bytes, 0, bytes.length, place)).toBe(there)
      if (!there) return
      expect(decoder.decode(bytes.subarray(found.start, found.end))).toBe(JSON.stringify(wanted))
    },
  )
  fc.assert(property, limits)
})

test('numbers keep their digits, and a document that nests too deep is none', () => {
  const digits = encoder.encode('{"n": 12345678901234567890.10E+2}')
  expect(findMember(digits, 0, digits.length, 'n')).toBe(true)
  expect(decoder.decode(digits.subarray(found.start, found.end))).toBe('12345678901234567890.10E+2')
  const deep = encoder.encode('['.repeat(JSON_DEPTH_MAX + 2) + ']'.repeat(JSON_DEPTH_MAX + 2))
  expect(isJson(deep, 0, deep.length)).toBe(false)
  expect(isJson(deep, 2, deep.length - 2)).toBe(true)
})
