// A row as a JSON object, for people who look for what was wrong with it. Numbers keep their
// digits, bytes are base64, numbers that JSON does not have are texts; what the source did not
// send, and what is null, is left out.

import type { BytesBuilder } from './column/builder.ts'
import { isNull, isUnchanged, type Column } from './column/column.ts'
import { jsonAppender } from './expression/functions/json-make.ts'
import { appendText } from './expression/functions/rows.ts'
import { zoneNamed } from './expression/zone.ts'

const STARS = '"****"'

/**
 * @param names  of the columns
 * @param secret  columns whose values nobody is to see
 * @returns appends the object of a row to a text
 */
export function rowJson(
  columns: readonly Column[],
  names: readonly string[],
  secret: ReadonlySet<number>,
): (out: BytesBuilder, row: number) => void {
  const zone = zoneNamed('UTC')
  if (zone === null) throw new RangeError('UTC is a zone')
  const appenders = columns.map((column, index) => {
    if (secret.has(index)) return null
    return column.type.kind === 'binary' ? base64(column) : jsonAppender(column, zone)
  })
  return (out, row) => {
    let before = '{'
    for (const [index, column] of columns.entries()) {
      if (isNull(column, row) || isUnchanged(column, row)) continue
      appendText(out, `${before}${JSON.stringify(names[index] ?? '')}:`)
      before = ','
      const append = appenders[index]
      const start = out.bytesLength
      if (append === null || append === undefined) appendText(out, STARS)
      else if (!append(out, row)) {
        const text = new TextDecoder().decode(out.bytes.subarray(start, out.bytesLength))
        out.bytesLength = start
        appendText(out, JSON.stringify(text))
      }
    }
    appendText(out, before === '{' ? '{}' : '}')
  }
}

function base64(column: Column): (out: BytesBuilder, row: number) => boolean {
  if (column.layout !== 'bytes') throw new RangeError('binary values are bytes')
  const { bytes, offsets } = column
  return (out, row) => {
    const value = bytes.subarray(offsets[row], offsets[row + 1])
    appendText(out, `"${Buffer.from(value).toString('base64')}"`)
    return true
  }
}
