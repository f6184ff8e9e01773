// Writes the source of a decoder for records of one schema in one structure, and compiles it. A
// generated decoder names its columns directly and has every value's code in line: a loop over
// fields with a table of functions costs several times as much. `MILLRACE_DUMP_DECODERS=dir` writes
// each one to a file.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ColumnBuilder } from '../../../../runtime/data/column/builder.ts'
import type { ColumnType } from '../../../../runtime/data/type.ts'
import type { Node } from '../columns.ts'
import { avroRuntime } from './runtime.ts'
import { absentCode, closeCode, Constants, openCode, unionCode, valueCode } from './value-code.ts'
import { Verdict } from './verdict.ts'

/** What a call has decoded. */
export interface RecordsDecoded {
  /** The row behind the last one. */
  row: number
  /** The record behind the last one; of another schema, or the one that `status` is about. */
  record: number
  status: Verdict
  /** Index of the column that was read. */
  column: number
  /** Where in `bytes`. */
  at: number
}

/**
 * Decodes records from `record` on into rows `row`, ..., until `count` or `limit` is reached, or a
 * record has another schema, or one cannot be read; its row is then half written.
 *
 * @param views  by column, of the bytes that it is collected in; kept between calls
 */
export type DecodeRecords = (
  bytes: Uint8Array,
  view: DataView,
  starts: Int32Array,
  ends: Int32Array,
  record: number,
  count: number,
  row: number,
  limit: number,
  columns: readonly ColumnBuilder[],
  views: DataView[],
  ops: Uint8Array,
  records: Int32Array,
  out: RecordsDecoded,
) => void

export interface AvroPlan {
  /** For the dumped file and its heading. */
  readonly title: string
  /** That stands in front of each record; `null`: nothing does. */
  readonly schemaId: number | null
  readonly root: Node
  /** By leaf of the schema: index of its column. */
  readonly columns: readonly number[]
  /** Of the structure. */
  readonly types: readonly ColumnType[]
}

/** Code, and the columns whose builders it names. */
interface Piece {
  readonly code: string
  readonly columns: readonly number[]
}

/**
 * V8 optimises no function of more than 60 KB of its bytecode, and these have about one byte for
 * each of their characters. What is longer is cut into functions of their own.
 */
const PIECE_MAX = 40_000

export function compileDecoder(plan: AvroPlan): DecodeRecords {
  const constants = new Constants()
  const source = decoderSource(plan, constants)
  dump(plan.title, source)
  const names = { ...avroRuntime, symbols: constants.symbols, nodes: constants.nodes }
  // The text comes from templates and numbers only.
  // oxlint-disable-next-line typescript/no-implied-eval
  const create = new Function(...Object.keys(names), source) as (
    ...values: readonly unknown[]
  ) => DecodeRecords
  return create(...Object.values(names))
}

/** @returns the body of the function that makes the decoder */
export function decoderSource(plan: AvroPlan, constants: Constants): string {
  const writer = new SourceWriter(plan, constants)
  const main = writer.main()
  const heading = `'use strict' // ${plan.title.replaceAll(/[^\w .,$-]/g, '?')}`
  const symbols = constants.symbols.map(
    (_, at) =>
      `const { lengths: lengths${at}, starts: starts${at}, words: words${at} } = symbols[${at}]`,
  )
  return [heading, ...symbols, ...writer.parts, main, ''].join('\n')
}

const LOCALS = 'let status = 0, column = -1, b = 0, x = 0, h = 0, s = 0, e = 0'
const TAIL = 'const tail = view.byteLength - 4'
const PART_PARAMETERS = 'bytes, view, p, end, row, columns, views, out'

class SourceWriter {
  /** Functions that the main one calls. */
  readonly parts: string[] = []
  private readonly plan: AvroPlan
  private readonly constants: Constants

  constructor(plan: AvroPlan, constants: Constants) {
    this.plan = plan
    this.constants = constants
  }

  main(): string {
    const { schemaId, root, columns, types } = this.plan
    const lacking = types.map((_, column) => column).filter((column) => !columns.includes(column))
    const body = this.fitted([this.node(root), ...lacking.map((column) => this.absent(column))])
    return `return function decode(bytes, view, starts, ends, record, count, row, limit,
columns, views, ops, records, out) {
${this.open(body.columns)}
${TAIL}
${LOCALS}, p = 0, end = 0
while (record < count && row < limit) {
p = starts[record]; end = ends[record]
${schemaId === null ? '' : frameCode(schemaId)}
fields: { ${body.code}
if (p !== end) status = ${Verdict.trailing} }
if (status !== 0) break
ops[row] = 0; records[row] = record
row++; record++
}
if (status !== 0 && p > end) { status = ${Verdict.truncated}; p = end }
${this.close(body.columns)}
out.row = row; out.record = record
out.status = status; out.column = column; out.at = p
}`
  }

  private node(node: Node): Piece {
    switch (node.kind) {
      case 'null':
        return { code: unionCode(node, -1, '', ''), columns: [] }
      case 'record': {
        const inner = this.fitted(node.nodes.map((child) => this.node(child)))
        if (node.branches === 0) return inner
        const absent = this.absentBelow(node, inner.columns)
        const code = unionCode(node, -1, inner.code, absent)
        return { code, columns: inner.columns }
      }
      case 'leaf': {
        const column = this.plan.columns[node.leaf]!
        const type = this.plan.types[column]!
        const target = { f: String(column), row: 'row', column, type, avro: node.type }
        const value = valueCode(target, this.constants)
        const code = unionCode(node, column, value, this.absent(column).code)
        return { code, columns: [column] }
      }
    }
  }

  private leavesBelow(node: Node): number[] {
    if (node.kind === 'record') return node.nodes.flatMap((child) => this.leavesBelow(child))
    return node.kind === 'leaf' ? [this.plan.columns[node.leaf]!] : []
  }

  /**
   * All leaves of a record as null. A column's bytes are counted by one function at a time, so those
   * that `here` lacks, for a part writes them, are left to a part too.
   */
  private absentBelow(node: Node, here: readonly number[]): string {
    const columns = this.leavesBelow(node)
    const own = columns.filter((column) => here.includes(column))
    const others = columns.filter((column) => !here.includes(column))
    const inline = joined(own.map((column) => this.absent(column))).code
    if (others.length === 0) return inline
    const called = this.fitted(others.map((column) => this.absent(column)))
    return `${inline}\n${called.columns.length === 0 ? called.code : this.part(called).code}`
  }

  private absent(column: number): Piece {
    const code = absentCode(String(column), 'row', this.plan.types[column]!)
    return { code, columns: [column] }
  }

  /** One piece of all, short enough: neighbours become functions where together they are not. */
  private fitted(pieces: readonly Piece[]): Piece {
    if (lengthOf(pieces) <= PIECE_MAX) return joined(pieces)
    const groups: Piece[][] = [[]]
    for (const piece of pieces) {
      const last = groups.at(-1)!
      if (last.length > 0 && lengthOf([...last, piece]) > PIECE_MAX) groups.push([piece])
      else last.push(piece)
    }
    return this.fitted(groups.map((group) => this.part(joined(group))))
  }

  private part({ code, columns }: Piece): Piece {
    const name = `part${this.parts.length}`
    this.parts.push(`function ${name}(${PART_PARAMETERS}) {
${this.open(columns)}
${TAIL}
${LOCALS}
fields: { ${code} }
${this.close(columns)}
if (status === 0) return p
out.status = status; out.column = column; out.at = p
return -1
}`)
    return {
      code: `e = ${name}(${PART_PARAMETERS})
if (e < 0) { status = out.status; column = out.column; p = out.at; break fields }
p = e`,
      columns: [],
    }
  }

  private open(columns: readonly number[]): string {
    return columns.map((at) => openCode(String(at), at, this.plan.types[at]!)).join('\n')
  }

  private close(columns: readonly number[]): string {
    const codes = columns.map((at) => closeCode(String(at), at, this.plan.types[at]!))
    return codes.filter((code) => code !== '').join('\n')
  }
}

function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((length, { code }) => length + code.length, 0)
}

function joined(pieces: readonly Piece[]): Piece {
  const columns = new Set(pieces.flatMap((piece) => piece.columns))
  return { code: pieces.map(({ code }) => code).join('\n'), columns: [...columns] }
}

/** Ends the loop at a record of another schema, or of none. */
function frameCode(schemaId: number): string {
  const id = schemaId | 0
  return `if (end - p < 5 || bytes[p] !== 0 || view.getInt32(p + 1) !== ${id}) break
p += 5`
}

function dump(title: string, source: string): void {
  const folder = process.env['MILLRACE_DUMP_DECODERS']
  if (folder === undefined || folder === '') return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${title.replaceAll(/[^\w.-]/g, '_')}.js`), source)
}
