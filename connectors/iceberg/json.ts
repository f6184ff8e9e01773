// JSON without loss. Snapshot ids and sequence numbers have 64 bits, defaults may be any decimal
// text: a number that JavaScript cannot hold is a bigint here, or keeps its text.

import { PipelineError } from '../../runtime/base/errors.ts'

/** A number as its JSON text; made by `rawNumber`, written as it is. */
export interface RawNumber {
  readonly rawJSON: string
}

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | RawNumber
  | readonly Json[]
  | JsonObject
export interface JsonObject {
  readonly [name: string]: Json | undefined
}

// Node 22 and later have both; TypeScript's library of ES2023 knows neither.
declare global {
  interface JSON {
    rawJSON(text: string): RawNumber
    isRawJSON(value: unknown): value is RawNumber
  }
}
type Reviver = (
  this: unknown,
  name: string,
  value: unknown,
  context: { source?: string },
) => unknown
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown

/** A number written exactly as `text`, which must be a JSON value. */
export function rawNumber(text: string): RawNumber {
  return JSON.rawJSON(text)
}

/** @throws PipelineError LAKE_FORMAT with `what` in the message */
export function parseJson(text: string, what: string): JsonObject {
  let value: unknown
  try {
    value = parseWithSource(text, (_name, parsed, { source }) =>
      typeof parsed === 'number' && source !== undefined ? exactNumber(parsed, source) : parsed,
    )
  } catch (error) {
    const detail = error instanceof Error ? `${error.message}.` : ''
    throw new PipelineError('LAKE_FORMAT', `${what} is not JSON`, { detail, cause: error })
  }
  return asObject(value as Json, what)
}

function exactNumber(parsed: number, source: string): Json {
  // One id in a thousand ends in zeros and prints as it was read though it is beyond 2^53: what a
  // number is must not depend on its digits, so integers go by their size.
  if (/^-?\d+$/.test(source) && !Number.isSafeInteger(parsed)) return BigInt(source)
  return String(parsed) === source ? parsed : JSON.rawJSON(source)
}

/** @returns JSON text; bigints become numbers with all their digits */
export function formatJson(value: Json): string {
  return JSON.stringify(value, (_name, item: unknown) =>
    typeof item === 'bigint' ? JSON.rawJSON(item.toString()) : item,
  )
}

function wrong(what: string, expected: string): never {
  throw new PipelineError('LAKE_FORMAT', `${what} is not ${expected}`)
}

export function asObject(value: Json | undefined, what: string): JsonObject {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && !JSON.isRawJSON(value) ? (value as JsonObject) : wrong(what, 'an object')
}

export function asList(value: Json | undefined, what: string): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : wrong(what, 'a list')
}

export function asText(value: Json | undefined, what: string): string {
  return typeof value === 'string' ? value : wrong(what, 'a text')
}

/** An integer that fits a JavaScript number. */
export function asInteger(value: Json | undefined, what: string): number {
  return Number.isSafeInteger(value) ? (value as number) : wrong(what, 'an integer')
}

/** An integer of 64 bits. */
export function asLong(value: Json | undefined, what: string): bigint {
  if (typeof value === 'bigint') return value
  return Number.isSafeInteger(value) ? BigInt(value as number) : wrong(what, 'a 64-bit integer')
}

/** @returns the values of an object of texts */
export function asTexts(value: Json | undefined, what: string): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, item] of Object.entries(asObject(value ?? {}, what))) {
    texts[name] = asText(item, `${what}.${name}`)
  }
  return texts
}
