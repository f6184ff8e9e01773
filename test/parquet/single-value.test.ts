// Single values and bounds against vectors made with Iceberg's Java library.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { lowerBound, upperBound } from '../../connectors/parquet/encode/bounds.ts'
import {
  decodeSingleValue,
  encodeSingleValue,
  formatSingleValue,
  type SingleValue,
} from '../../connectors/parquet/encode/single-value.ts'
import type { PrimitiveType } from '../../runtime/data/type.ts'

function vectors<T>(name: string): T[] {
  const text = readFileSync(new URL(`../golden/${name}`, import.meta.url), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
}

function parseType(text: string): PrimitiveType {
  const decimal = /^decimal\((\d+), (\d+)\)$/.exec(text)
  if (decimal === null) return { kind: text } as PrimitiveType
  return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) }
}

function parseValue(type: PrimitiveType, text: string): SingleValue {
  switch (type.kind) {
    case 'boolean':
      return text === 'true'
    case 'int':
    case 'date':
    case 'double':
      return Number(text)
    case 'float':
      return Math.fround(Number(text))
    case 'decimal':
      return BigInt(text.replace('.', ''))
    case 'string':
      return text
    case 'uuid':
    case 'binary':
      return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'))
    default:
      return BigInt(text)
  }
}

const hex = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex')

interface SingleValueVector {
  readonly type: string
  readonly value: string
  readonly binary: string
  readonly json: string
}

test('single values are binary and JSON as Iceberg writes them', () => {
  const all = vectors<SingleValueVector>('single-value.jsonl')
  expect(all.length).toBeGreaterThan(100)
  for (const vector of all) {
    const type = parseType(vector.type)
    const value = parseValue(type, vector.value)
    const bytes = encodeSingleValue(type, value)
    expect(hex(bytes), vector.value).toBe(vector.binary)
    expect(decodeSingleValue(type, bytes)).toEqual(value)
    // Java prints 4.9E-324 where we print 5e-324: the same number.
    const isNumber = (type.kind === 'float' || type.kind === 'double') && vector.json[0] !== '"'
    const parse = (text: string): unknown => (isNumber ? parseValue(type, text) : text)
    expect(parse(formatSingleValue(type, value))).toEqual(parse(vector.json))
  }
})

test('floats print the fewest digits that read back', () => {
  const print = (value: number): string => formatSingleValue({ kind: 'float' }, Math.fround(value))
  expect([0.1, 3.4028235e38, 1e-45, 16_777_216, -1.5].map(print)).toEqual([
    '0.1',
    '3.4028235e+38',
    '1e-45',
    '16777216',
    '-1.5',
  ])
})

test('bounds of promoted int and float columns are still read', () => {
  expect(decodeSingleValue({ kind: 'long' }, Uint8Array.of(0xff, 0xff, 0xff, 0xff))).toBe(-1n)
  expect(decodeSingleValue({ kind: 'double' }, Uint8Array.of(0, 0, 0xc0, 0x3f))).toBe(1.5)
})

interface BoundVector {
  readonly type: 'string' | 'binary'
  readonly value?: string
  readonly 'value-utf8'?: string
  readonly min: string
  readonly max: string | null
}

test('bounds are shortened and incremented as Iceberg does it', () => {
  for (const vector of vectors<BoundVector>('truncate-bound.jsonl')) {
    const value = Buffer.from(vector['value-utf8'] ?? vector.value ?? '', 'hex')
    expect(hex(lowerBound({ kind: vector.type }, value, 16))).toBe(vector.min)
    expect(hex(upperBound({ kind: vector.type }, value, 16))).toBe(vector.max)
  }
})

test('bytes that are no UTF-8 have a lower bound only', () => {
  const value = new Uint8Array(40).fill(0xc3)
  expect(upperBound({ kind: 'string' }, value, 16)).toBeNull()
  expect(lowerBound({ kind: 'string' }, value, 16)).toHaveLength(16)
})
