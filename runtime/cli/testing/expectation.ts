// What came against what was expected: every row must find a partner of its own. Columns that an
// expected row does not name are not compared.

import { PipelineError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest.ts'
import type { SourceTable } from '../../data/schema.ts'
import type { TestConfig, TestRowConfig } from '../../job/config/pipeline-tests.ts'
import { valueText } from '../verify/value-text.ts'
import { columnOfValues } from './values.ts'

/** A row that has left the operators. */
export interface LeftRow {
  /** c, u, d or r. */
  readonly op: string
  /** By column: the value as JSON. */
  readonly cells: ReadonlyMap<string, string>
}

/** One thing that is wrong. */
export interface Mismatch {
  /** Row that was expected; `null`: one came that was not. */
  readonly row: TestRowConfig | null
  readonly message: string
}

interface Cell {
  readonly name: string
  /** As it was written. */
  readonly shown: string
  fits(text: string): boolean
}

interface Expected {
  readonly row: TestRowConfig
  readonly cells: readonly Cell[]
}

/** @throws PipelineError CONFIG_VALUE where an expected value is none of its column */
export function compareRows(
  { output, ordered }: Pick<TestConfig, 'output' | 'ordered'>,
  table: SourceTable,
  came: readonly LeftRow[],
): readonly Mismatch[] {
  const wanted = output.map((row): Expected => ({ row, cells: cellsOf(row, table) }))
  const partners = ordered ? inOrder(wanted, came) : matched(wanted, came)
  const left = new Set(came.keys())
  for (const partner of partners) if (partner !== null) left.delete(partner)
  const mismatches: Mismatch[] = []
  for (const [index, expected] of wanted.entries()) {
    if (partners[index] !== null) continue
    const near = ordered && left.has(index) ? index : nearest(expected, came, left)
    if (near !== null) left.delete(near)
    const found = near === null ? undefined : came[near]
    mismatches.push({ row: expected.row, message: difference(expected, found) })
  }
  for (const index of left) {
    const row = came[index]
    if (row !== undefined) mismatches.push({ row: null, message: `came too: ${format(row)}` })
  }
  return mismatches
}

function cellsOf({ op, before, after, label }: TestRowConfig, { columns }: SourceTable): Cell[] {
  const values = (op === 'd' ? before : after) ?? {}
  return Object.entries(values).map(([name, value]): Cell => {
    const column = columns.find((one) => one.name === name)
    if (column === undefined) {
      const names = columns.map((one) => one.name)
      const near = nearestName(name, names)
      const hint = near === null ? `What leaves has ${names.join(', ')}.` : `There is "${near}".`
      throw new PipelineError('CONFIG_VALUE', `${label}: no column "${name}" leaves`, { hint })
    }
    if (value === 'any') return { name, shown: 'any', fits: () => true }
    const pattern = typeof value === 'string' ? /^\/(.+)\/$/s.exec(value)?.[1] : undefined
    if (pattern !== undefined) return patternCell(name, pattern, label)
    const text = valueText(columnOfValues(column.type, [value], [`${label}.${name}`]), 0)
    return { name, shown: text, fits: (other) => other === text }
  })
}

function patternCell(name: string, pattern: string, label: string): Cell {
  let regex: RegExp
  try {
    regex = new RegExp(pattern, 'u')
  } catch {
    throw new PipelineError('CONFIG_VALUE', `${label}.${name}: /${pattern}/ is no expression`)
  }
  const fits = (text: string): boolean => {
    if (text === 'null') return false
    return regex.test(text.startsWith('"') ? (JSON.parse(text) as string) : text)
  }
  return { name, shown: `/${pattern}/`, fits }
}

function fits({ row, cells }: Expected, came: LeftRow | undefined): boolean {
  if (came === undefined || row.op !== came.op) return false
  return cells.every((cell) => cell.fits(came.cells.get(cell.name) ?? 'null'))
}

/** @returns by expected row: index of the row that is it; `null`: none is */
function inOrder(wanted: readonly Expected[], came: readonly LeftRow[]): (number | null)[] {
  return wanted.map((expected, index) => (fits(expected, came[index]) ? index : null))
}

/** The most pairs that there can be: a pattern must not take the one row that a value needs. */
function matched(wanted: readonly Expected[], came: readonly LeftRow[]): (number | null)[] {
  const owner = new Map<number, number>()
  const find = (index: number, tried: Set<number>): boolean => {
    const expected = wanted[index]
    if (expected === undefined) return false
    for (const [row, one] of came.entries()) {
      if (tried.has(row) || !fits(expected, one)) continue
      tried.add(row)
      const other = owner.get(row)
      if (other !== undefined && !find(other, tried)) continue
      owner.set(row, index)
      return true
    }
    return false
  }
  for (const index of wanted.keys()) find(index, new Set())
  const partners = wanted.map((): number | null => null)
  for (const [row, index] of owner) partners[index] = row
  return partners
}

/** @returns the row of those that are left that differs least */
function nearest(
  { row, cells }: Expected,
  came: readonly LeftRow[],
  left: ReadonlySet<number>,
): number | null {
  let best: number | null = null
  let fewest = Infinity
  for (const index of left) {
    const one = came[index]
    if (one === undefined) continue
    const wrong = cells.filter((cell) => !cell.fits(one.cells.get(cell.name) ?? 'null')).length
    const distance = wrong + (one.op === row.op ? 0 : 1)
    if (distance < fewest) [best, fewest] = [index, distance]
  }
  return best
}

function difference({ row, cells }: Expected, came: LeftRow | undefined): string {
  if (came === undefined) {
    const shown = cells.map(({ name, shown: text }) => `${name}: ${text}`)
    return `${row.label} did not come: ${row.op} { ${shown.join(', ')} }`
  }
  const wrong = cells.flatMap((cell) => {
    const text = came.cells.get(cell.name) ?? 'null'
    return cell.fits(text) ? [] : [`${cell.name} is ${text}, not ${cell.shown}`]
  })
  const op = came.op === row.op ? [] : [`op is ${came.op}, not ${row.op}`]
  return `${row.label}: ${[...op, ...wrong].join('; ')}`
}

function format({ op, cells }: LeftRow): string {
  return `${op} { ${[...cells].map(([name, text]) => `${name}: ${text}`).join(', ')} }`
}
