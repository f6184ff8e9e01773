// Columns for the members that no column has yet, from the first record that has them: a name gets
// the type of its value, for good.

import type { ColumnType } from '../../../runtime/data/type.ts'
import { plainColumn, type JsonColumn } from './columns.ts'
import { failAt, FAULT } from '../../../runtime/data/json/fault.ts'
import { CLOSE_OBJECT, COMMA, skipSpace, valueEnd } from '../../../runtime/data/json/grammar.ts'
import { nameEnd, textOf, KeyTable } from '../../../runtime/data/json/key-table.ts'

/** No producer means more; what makes names of ids does. */
const COLUMNS_MAX = 1000

export class NewColumns {
  readonly columns: JsonColumn[] = []
  private readonly before: readonly JsonColumn[]
  private readonly keys = new KeyTable([])

  constructor(before: readonly JsonColumn[]) {
    this.before = before
  }

  /**
   * @param first  where the name of a member stands, in an object whose text has been checked: all
   *        members before it are known
   * @returns false when the record's members can be no columns; the reason is in `fault`
   */
  collect(bytes: Uint8Array, first: number): boolean {
    const known = new Set(this.before.map(({ path }) => path[0]))
    const types = new Map<string, ColumnType>()
    for (let at = first; bytes[at] !== CLOSE_OBJECT;) {
      const start = at
      this.keys.find(bytes, at, bytes.length)
      const name = textOf(bytes, at, nameEnd.at)
      const value = skipSpace(bytes, skipSpace(bytes, nameEnd.at) + 1)
      const end = valueEnd(bytes, value, bytes.length, 0)
      at = skipSpace(bytes, end)
      if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
      const type = typeOf(bytes, value, end)
      if (type === null || known.has(name)) continue
      if (name === '' || !name.isWellFormed()) return refuse(start, 'its name can be no column')
      types.set(name, type)
    }
    if (this.before.length + types.size > COLUMNS_MAX) {
      return refuse(first, `the table would have more than ${COLUMNS_MAX} columns`)
    }
    for (const [name, type] of types) this.columns.push(plainColumn(name, type))
    return true
  }
}

function refuse(at: number, reason: string): boolean {
  return failAt(at, reason) !== FAULT
}

/** @returns `null` of a null */
function typeOf(bytes: Uint8Array, start: number, end: number): ColumnType | null {
  switch (bytes[start]) {
    case 0x22:
      return { kind: 'string' }
    case 0x7b:
    case 0x5b:
      return { kind: 'string', json: true }
    case 0x74:
    case 0x66:
      return { kind: 'boolean' }
    case 0x6e:
      return null
    default:
      return numberType(new TextDecoder().decode(bytes.subarray(start, end)))
  }
}

const LONG_MAX = 2n ** 63n

/** Whole numbers stay exact: 64 bits, or up to 38 digits. */
function numberType(text: string): ColumnType {
  if (!/^-?\d+$/.test(text) || text.length > 38) return { kind: 'double' }
  const value = text.length > 18 ? BigInt(text) : 0n
  if (value < LONG_MAX && value >= -LONG_MAX) return { kind: 'long' }
  return { kind: 'decimal', precision: 38, scale: 0 }
}
