// Compiles the loops of message-code.ts. A decoder is bound to no builders: each partition of a
// topic has its own, and all of them share the code that the first has warmed up.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BytesBuilder, ColumnBuilder } from '../../../../runtime/data/column/builder.ts'
import type { SourceColumn } from '../../../../runtime/data/schema.ts'
import type { FieldNode, Leaf, Mapping, MessageNode } from '../mapping.ts'
import type { FieldShape } from '../shape.ts'
import { JsonText, Ranges, type JsonPlan, type TypeByName } from './json.ts'
import { LabelBytes, putLabel } from './labels.ts'
import { messageSource } from './message-code.ts'
import { checkText } from './text.ts'
import { putDuration, putTimestamp, TimeParts } from './time.ts'
import type { Mode, Slot } from './value-code.ts'
import * as wire from './wire.ts'

/** What a call has decoded. */
export interface MessagesDecoded {
  /** The row behind the last one. */
  row: number
  /** The message at the place returned is none; `wireError` says why. */
  failed: boolean
}

/**
 * Decodes the messages bytes[starts[i], ends[i]) from `at` to `to` into rows `row`, ... below
 * `limit` of `columns`, in which they have been reserved. Stops at a message that is none; nothing
 * of it is counted, but marks of nulls may stay.
 *
 * @param views   by column, of the bytes that it is collected in; kept between calls
 * @param record  by row, takes the index of its message
 * @returns the index of the first message not decoded
 */
export type DecodeMessages = (
  bytes: Uint8Array,
  view: DataView,
  starts: Int32Array,
  ends: Int32Array,
  at: number,
  to: number,
  row: number,
  limit: number,
  columns: readonly ColumnBuilder[],
  views: (DataView | undefined)[],
  record: Int32Array,
  out: MessagesDecoded,
) => number

export interface DecoderPlan {
  /** For the dumped file: `plays value 7 acme.Play`. */
  readonly title: string
  readonly mapping: Mapping
  /** The structure; some of it the mapping may not have. */
  readonly columns: readonly SourceColumn[]
  readonly nullDefaults: boolean
  readonly types: TypeByName
}

/**
 * V8 optimises no function of more than 60 KB of its bytecode, and these have less than one byte
 * for each of their characters.
 */
const SOURCE_MAX = 60_000

/**
 * @returns functions that each decode a part of the columns: one, unless the message has hundreds.
 *   Those of several have to be called for one message after the other
 */
export function compileMessages(plan: DecoderPlan, mode: Mode): readonly DecodeMessages[] {
  const sources = messageSources(plan, mode)
  return sources.map((source, part) => {
    dump([plan.title, mode, ...(part === 0 ? [] : [part])].join(' '), source)
    return bind(plan, source)
  })
}

/** @returns the bodies of the functions that make the decoders */
export function messageSources(plan: DecoderPlan, mode: Mode): readonly string[] {
  const { mapping, columns, nullDefaults } = plan
  const slots = new Map(
    columns.map(({ identity, type }, column) => [identity, { column, type } satisfies Slot]),
  )
  const own = new Set(mapping.leaves.map(({ identity }) => identity))
  const absent = columns.flatMap(({ identity }, column) => {
    const slot = slots.get(identity)
    return own.has(identity) || slot === undefined ? [] : [{ ...slot, column }]
  })
  const sourcesOf = (leaves: readonly Leaf[], rest: readonly Slot[]): readonly string[] => {
    const wanted = new Set(leaves)
    const slotOf = (leaf: Leaf): Slot | null =>
      wanted.has(leaf) ? (slots.get(leaf.identity) ?? null) : null
    const source = messageSource({ mode, mapping, slotOf, absent: rest, nullDefaults })
    if (source.length <= SOURCE_MAX || leaves.length < 2) return [source]
    const half = leaves.length >> 1
    return [...sourcesOf(leaves.slice(0, half), rest), ...sourcesOf(leaves.slice(half), [])]
  }
  return sourcesOf(mapping.leaves, absent)
}

/** @returns columns whose text the fast mode leaves to be checked, by index */
export function textColumns({ mapping, columns }: DecoderPlan): readonly number[] {
  const places = new Map(columns.map(({ identity }, index) => [identity, index]))
  const found: number[] = []
  walk(mapping.root, (node) => {
    if (!('leaf' in node) || node.kind === 'json') return
    const { kind } = node.kind === 'wrapper' ? node.value : node.field
    const place = places.get(node.leaf.identity)
    if (kind === 'string' && place !== undefined) found.push(place)
  })
  return found
}

function bind({ mapping, columns, types }: DecoderPlan, source: string): DecodeMessages {
  const places = new Map(columns.map(({ identity }, index) => [identity, index]))
  const labels: LabelBytes[] = []
  const plans: JsonPlan[] = []
  const names: LabelBytes[] = []
  walk(mapping.root, (node, depth) => {
    if (!('leaf' in node)) return
    const column = places.get(node.leaf.identity) ?? -1
    const { field } = node
    if (field.enumeration !== null) labels[column] = new LabelBytes(field.enumeration)
    if (node.kind === 'json') plans[column] = { field, depth }
  })
  eachCase(mapping.root, (leaf, members) => {
    const byNumber = new Map(members.map(({ number, name }) => [number, name]))
    names[places.get(leaf.identity) ?? -1] = new LabelBytes({ labels: byNumber })
  })
  const all = { ...runtime, json: new JsonText(types), labels, plans, names }
  // The text comes from templates and numbers only.
  // oxlint-disable-next-line typescript/no-implied-eval
  const create = new Function(...Object.keys(all), `'use strict'\n${source}`) as (
    ...values: readonly unknown[]
  ) => DecodeMessages
  return create(...Object.values(all))
}

function walk(message: MessageNode, visit: (node: FieldNode, depth: number) => void): void {
  for (const node of message.fields) {
    visit(node, message.depth)
    if (node.kind === 'nested') walk(node.message, visit)
  }
}

function eachCase(
  message: MessageNode,
  visit: (leaf: Leaf, members: readonly FieldShape[]) => void,
): void {
  for (const { oneof, leaf } of message.cases) {
    visit(
      leaf,
      message.shape.fields.filter((field) => field.oneof === oneof),
    )
  }
  for (const node of message.fields) if (node.kind === 'nested') eachCase(node.message, visit)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Writes a field that the schema does not have, within the tags of the messages around it, so that
 * a later schema reads all of them as one message.
 *
 * @param around  tags of the messages around it, the outermost first
 * @returns the place behind it
 */
function putUnknown(
  builder: BytesBuilder,
  to: number,
  field: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  around: readonly number[],
): number {
  const heads: number[] = []
  let size = varintSize(field) + end - start
  varintInto(heads, field)
  for (const tag of around.toReversed()) {
    const head: number[] = []
    varintInto(head, tag)
    varintInto(head, size)
    size += head.length
    heads.unshift(...head)
  }
  builder.bytesLength = to
  builder.reserveBytes(size)
  builder.bytes.set(heads, to)
  builder.bytes.set(bytes.subarray(start, end), to + heads.length)
  return to + size
}

function varintInto(target: number[], value: number): void {
  let rest = value >>> 0
  for (; rest > 127; rest >>>= 7) target.push((rest & 127) | 128)
  target.push(rest)
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) size++
  return size
}

/** What generated code calls, by name. */
const runtime = {
  ...wire,
  Ranges,
  TimeParts,
  checkText,
  putDuration,
  putLabel,
  putTimestamp,
  putUnknown,
  viewOf,
}

/** MILLRACE_DUMP_DECODERS=folder keeps the code that runs, to be read and profiled. */
function dump(title: string, source: string): void {
  const folder = process.env['MILLRACE_DUMP_DECODERS']
  if (folder === undefined || folder === '') return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${title.replaceAll(/[^\w.-]/g, '_')}.js`), `${source}\n`)
}
