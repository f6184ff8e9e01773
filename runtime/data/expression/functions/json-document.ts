// Functions of JSON documents. What is found keeps the bytes that it has in the document, so that
// no number loses a digit. A text is looked at as a whole first: a broken one is an error, whatever
// is asked of it.

import type { BytesBuilder, FixedBuilder, ListBuilder } from '../../column/builder.ts'
import { BOOLEAN, JSON_TEXT, LONG, STRING } from '../expression-type.ts'
import { eachElement, followPath, isSingle, readPath, type PathStep } from '../kernels/json-path.ts'
import { isJson, jsonString, skipSpace, skipString, skipValue } from '../kernels/json-scan.ts'
import { Refusal, textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import type { KernelCall, Overload, Parameter } from './function.ts'
import { appendBytes, appendText, bytesArgument } from './rows.ts'

const QUOTE = 0x22
const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const CLOSE_OBJECT = 0x7d
const LETTER_N = 0x6e

/** Writes the row's result from the document at [start, end), which is valid. */
type Step = (bytes: Uint8Array, start: number, end: number, row: number) => void

/** @returns the kernel; documents that are texts are checked first */
function documentKernel(checked: boolean, begin: (call: KernelCall) => Step): Kernel {
  return (call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const step = begin(call)
    for (let row = 0; row < call.rows; row++) {
      const [start, end] = [offsets[row]!, offsets[row + 1]!]
      if (call.live[row] === 0) call.out.setNull(row)
      else if (checked && !isJson(bytes, start, end)) call.fail(row, 'the text is no JSON')
      else step(bytes, start, end, row)
    }
  }
}

type Prepare = (binding: Binding) => (call: KernelCall) => Step

/** Of a json column, and of a text. */
function overloads(
  rest: readonly Parameter[],
  result: Overload['result'],
  prepare: Prepare,
): readonly Overload[] {
  return (['json', 'string'] as const).map((kind) => ({
    parameters: [kind, ...rest],
    result,
    nullable: true,
    costly: true,
    ...(kind === 'string' ? { fails: true as const } : {}),
    prepare: (binding: Binding) => documentKernel(kind === 'string', prepare(binding)),
  }))
}

/** @throws Refusal */
function pathOf(binding: Binding, single: boolean): readonly PathStep[] {
  const text = textConstant(binding, 1) ?? ''
  const path = readPath(text)
  const hint = 'A path is $, then .name, ."any name" or [n], and [*] for all elements.'
  if (typeof path === 'string') throw new Refusal(1, `'${text}' is no path: ${path}`, hint)
  if (!single || isSingle(path)) return path
  throw new Refusal(1, 'a path with [*] has several values', 'Write json_query, which lists them.')
}

const value: Prepare = (binding) => {
  const path = pathOf(binding, true)
  return (call) => {
    const out = call.out as BytesBuilder
    return (bytes, start, end, row) => {
      let [left, right] = [-1, -1]
      followPath(bytes, start, end, path, (first, last) => {
        left = first
        right = last
        return false
      })
      const byte = left < 0 ? LETTER_N : bytes[left]
      if (byte === LETTER_N || byte === OPEN_OBJECT || byte === OPEN_ARRAY) out.setNull(row)
      else {
        if (byte === QUOTE) appendText(out, jsonString(bytes, left, right))
        else appendBytes(out, bytes, left, right)
        out.endRow(row)
      }
    }
  }
}

const query: Prepare = (binding) => {
  const path = pathOf(binding, false)
  const single = isSingle(path)
  return (call) => {
    const out = call.out as BytesBuilder
    return (bytes, start, end, row) => {
      let count = 0
      if (!single) appendText(out, '[')
      followPath(bytes, start, end, path, (first, last) => {
        if (count++ > 0) appendText(out, ',')
        appendBytes(out, bytes, first, last)
        return true
      })
      if (!single) appendText(out, ']')
      if (single && count === 0) out.setNull(row)
      else out.endRow(row)
    }
  }
}

const exists: Prepare = (binding) => {
  const path = pathOf(binding, false)
  return (call) => {
    const values = (call.out as FixedBuilder).values as Uint8Array
    return (bytes, start, end, row) => {
      values[row] = Number(!followPath(bytes, start, end, path, () => false))
    }
  }
}

const TYPES: Readonly<Record<string, string>> = {
  '{': 'object',
  '[': 'array',
  '"': 'string',
  t: 'boolean',
  f: 'boolean',
  n: 'null',
}

const typeOf: Prepare = () => (call) => {
  const out = call.out as BytesBuilder
  return (bytes, start, end, row) => {
    const first = String.fromCharCode(bytes[skipSpace(bytes, start, end)]!)
    appendText(out, TYPES[first] ?? 'number')
    out.endRow(row)
  }
}

/** @returns the names of an object in the order of the document, each once; `null`: it is none */
function namesOf(bytes: Uint8Array, start: number, end: number): Set<string> | null {
  let at = skipSpace(bytes, start, end)
  if (bytes[at] !== OPEN_OBJECT) return null
  const names = new Set<string>()
  at = skipSpace(bytes, at + 1, end)
  while (bytes[at] !== CLOSE_OBJECT) {
    const behind = skipString(bytes, at, end)
    names.add(jsonString(bytes, at, behind))
    const colon = skipSpace(bytes, behind, end)
    at = skipSpace(bytes, skipValue(bytes, skipSpace(bytes, colon + 1, end), end, 0), end)
    if (bytes[at] === 0x2c) at = skipSpace(bytes, at + 1, end)
  }
  return names
}

const length: Prepare = () => (call) => {
  const out = call.out as FixedBuilder
  const values = out.values as BigInt64Array
  return (bytes, start, end, row) => {
    const names = namesOf(bytes, start, end)
    let count = names?.size ?? 0
    const isArray = bytes[skipSpace(bytes, start, end)] === OPEN_ARRAY
    if (isArray) eachElement(bytes, start, end, () => ++count > 0)
    if (names === null && !isArray) out.setNull(row)
    else values[row] = BigInt(count)
  }
}

const keys: Prepare = () => (call) => {
  const out = call.out as ListBuilder
  const child = out.child as BytesBuilder
  return (bytes, start, end, row) => {
    const names = namesOf(bytes, start, end)
    if (names === null) {
      out.setNull(row)
      return
    }
    for (const name of names) {
      child.reserveRows(out.childLength + 1)
      appendText(child, name)
      child.endRow(out.childLength++)
    }
    out.endRow(row)
  }
}

export const jsonDocumentFunctions: readonly FunctionSpec[] = [
  {
    name: 'json_value',
    group: 'json',
    usage: 'json_value(j, path)',
    summary: 'The text, number or boolean at a path as a text; else, and for a JSON null, null.',
    overloads: overloads(['constant string'], STRING, value),
  },
  {
    name: 'json_query',
    group: 'json',
    usage: 'json_query(j, path)',
    summary: 'What is at a path as json, null where nothing is; with [*] the array of all.',
    overloads: overloads(['constant string'], JSON_TEXT, query),
  },
  {
    name: 'json_exists',
    group: 'json',
    usage: 'json_exists(j, path)',
    summary: 'True when the path leads to something, a JSON null included.',
    overloads: overloads(['constant string'], BOOLEAN, exists),
  },
  {
    name: 'json_type',
    group: 'json',
    usage: 'json_type(j)',
    summary: 'object, array, string, number, boolean or null.',
    overloads: overloads([], STRING, typeOf),
  },
  {
    name: 'json_length',
    group: 'json',
    usage: 'json_length(j)',
    summary: 'How many elements an array or members an object has; null for anything else.',
    overloads: overloads([], LONG, length),
  },
  {
    name: 'json_keys',
    group: 'json',
    usage: 'json_keys(j)',
    summary: 'The names of an object as a list, each once; null for anything else.',
    overloads: overloads([], { kind: 'list', element: { kind: 'string' } }, keys),
  },
]
