// to_json: any value as a JSON document. Numbers keep their digits; dates, times and UUIDs are
// texts.

import type { BytesBuilder } from '../../column/builder.ts'
import { isNull, type Column } from '../../column/column.ts'
import type { ColumnType } from '../../type.ts'
import { JSON_TEXT } from '../expression-type.ts'
import type { Zone } from '../zone.ts'
import { Refusal, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { appendText, decodeText, rowKernel } from './rows.ts'
import { zoneArgument } from './time.ts'
import { valueAppender, type AppendValue } from './value-text.ts'

const PLAIN: ReadonlySet<string> = new Set(['boolean', 'int', 'long', 'decimal', 'float', 'double'])

/** @returns what appends one value that is not null; false: JSON has none like it */
export function jsonAppender(
  column: Column,
  zone: Zone,
): (out: BytesBuilder, row: number) => boolean {
  if (column.layout === 'list') return listAppender(column, zone)
  const { type } = column
  if (column.layout === 'bytes' && !(type.kind === 'string' && type.json === true)) {
    return (out, row) => {
      const text = decodeText(column.bytes, column.offsets[row]!, column.offsets[row + 1]!)
      appendText(out, JSON.stringify(text))
      return true
    }
  }
  const append: AppendValue = valueAppender(column, zone)
  if (column.layout === 'float32' || column.layout === 'float64') {
    const { values } = column
    return (out, row) => {
      append(out, row)
      return Number.isFinite(values[row])
    }
  }
  const quoted = !PLAIN.has(type.kind) && type.kind !== 'string'
  return (out, row) => {
    if (quoted) appendText(out, '"')
    append(out, row)
    if (quoted) appendText(out, '"')
    return true
  }
}

function listAppender(
  column: Extract<Column, { layout: 'list' }>,
  zone: Zone,
): (out: BytesBuilder, row: number) => boolean {
  const { child, offsets } = column
  const append = jsonAppender(child, zone)
  return (out, row) => {
    let right = true
    appendText(out, '[')
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
      if (at > offsets[row]!) appendText(out, ',')
      if (isNull(child, at)) appendText(out, 'null')
      else if (!append(out, at)) right = false
    }
    appendText(out, ']')
    return right
  }
}

function elementOf(type: ColumnType | undefined): ColumnType | undefined {
  return type?.kind === 'list' ? type.element : type
}

/** @throws Refusal */
function toJson(binding: Binding): Kernel {
  if (elementOf(binding.types[0])?.kind === 'binary') {
    throw new Refusal(0, 'JSON has no bytes', 'Write to_base64 or to_hex of it.')
  }
  const zone = zoneArgument(binding, 1)
  return rowKernel((call) => {
    const column = call.args[0]!
    const out = call.out as BytesBuilder
    const append = jsonAppender(column, zone)
    return (row) => {
      const before = out.bytesLength
      if (append(out, row)) out.endRow(row)
      else {
        out.bytesLength = before
        call.fail(row, 'JSON has no NaN and no infinity')
      }
    }
  })
}

export const jsonMakeFunctions: readonly FunctionSpec[] = [
  {
    name: 'to_json',
    group: 'json',
    usage: 'to_json(x)',
    summary: 'A value as json: a number, boolean or array as it is, anything else as a text.',
    overloads: [{ parameters: ['any'], result: JSON_TEXT, fails: true, prepare: toJson }],
  },
]
