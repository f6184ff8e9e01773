// A table of the source as `discover` and `check` print it.

import { formatCount } from '../console/progress.ts'
import { tableKey } from '../data/schema.ts'
import type { DiscoveredTable } from '../source.ts'
import { printable } from './failure.ts'

/** @param remark  stands behind the table's name; '' for none */
export function formatTable(table: DiscoveredTable, remark: string): string {
  const { estimatedRows, key, columns } = table
  const rows = estimatedRows === null ? 'rows unknown' : `~${formatCount(estimatedRows)} rows`
  const keyed = key === null ? 'no key' : `key ${key.join(', ')}`
  const facts = [rows, keyed, ...(remark === '' ? [] : [remark])].join('; ')
  const width = widest(columns.map((column) => column.name))
  const typeWidth = widest(columns.map((column) => column.sourceType))
  const lines = columns.map((column) => {
    const nullable = column.nullable ? '' : ' not null'
    const mapped = column.lakeType === null ? 'none' : `${column.lakeType}${nullable}`
    const note = column.note === null ? '' : `  (${column.note})`
    const { name: columnName, sourceType } = column
    return `    ${columnName.padEnd(width)}  ${sourceType.padEnd(typeWidth)}  ${mapped}${note}`
  })
  return printable([`${tableKey(table)}  ${facts}`, ...lines].join('\n'))
}

function widest(texts: readonly string[]): number {
  return Math.min(40, Math.max(0, ...texts.map((text) => text.length)))
}
