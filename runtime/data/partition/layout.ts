// Where the files of a table lie in a directory without a catalog, as a pipeline file says it:
// `{table}/dt={day(ts)}/hr={hour(ts)}/`. First folders with names, then one for each partition
// field, spelled as Hive does, so that every reader of such directories finds the values.

import { parsePartitionField, TransformFault, type PartitionField } from './transform.ts'

/** Text of a folder's name: as it is written, or the table's own. */
export type LayoutPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'table' | 'namespace' }

/** A folder `key=value`. */
export interface PartitionFolder {
  readonly key: string
  readonly field: PartitionField
  /** The folder above says the rest: `hr=07` below `dt=2026-11-20`, by the same column. */
  readonly short: boolean
}

/** Plain data. */
export interface FolderLayout {
  readonly text: string
  readonly folders: readonly (readonly LayoutPart[])[]
  readonly partitions: readonly PartitionFolder[]
}

/** What is wrong with a layout, as the end of a sentence that begins with it. */
export class LayoutFault {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

const KEY = /^[A-Za-z][A-Za-z0-9_]*$/
/** Readers pass over folders that begin with a dot or an underscore; `_millrace` is ours. */
const TEXT = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
const LARGER: Readonly<Record<string, string>> = { month: 'year', day: 'month', hour: 'day' }

export function parseLayout(text: string): FolderLayout | LayoutFault {
  const segments = splitOutside(text.replace(/\/$/, ''))
  const folders: LayoutPart[][] = []
  const partitions: PartitionFolder[] = []
  for (const segment of segments) {
    if (segment === '') return new LayoutFault('has a folder without a name')
    const partition = partitionOf(segment, partitions.at(-1) ?? null)
    if (partition instanceof LayoutFault) return partition
    if (partition !== null) {
      const same = partitions.find(({ key }) => key.toLowerCase() === partition.key.toLowerCase())
      if (same !== undefined) return new LayoutFault(`has two folders "${partition.key}"`)
      partitions.push(partition)
      continue
    }
    if (partitions.length > 0) {
      return new LayoutFault(`has "${segment}" below a partition: folders with names come first`)
    }
    const parts = partsOf(segment)
    if (parts instanceof LayoutFault) return parts
    folders.push(parts)
  }
  return { text, folders, partitions }
}

/** Slashes inside braces are of a column's name. */
function splitOutside(text: string): string[] {
  const segments: string[] = ['']
  let depth = 0
  for (const character of text) {
    if (character === '{') depth++
    if (character === '}') depth--
    if (character === '/' && depth === 0) segments.push('')
    else segments[segments.length - 1] += character
  }
  return segments
}

function partitionOf(
  segment: string,
  above: PartitionFolder | null,
): PartitionFolder | LayoutFault | null {
  const [, key, inside] = /^([^={}]*)=\{(.*)\}$/s.exec(segment) ?? []
  if (key === undefined || inside === undefined) return null
  if (!KEY.test(key)) return new LayoutFault(`has "${key}" for a name: take letters, digits and _`)
  const field = parsePartitionField(inside)
  if (field instanceof TransformFault)
    return new LayoutFault(`has {${inside}}, which ${field.message}`)
  const { kind } = field.transform
  if (kind === 'void') return new LayoutFault(`has {${inside}}, which parts nothing`)
  const larger = LARGER[kind]
  const continues = above?.field.column === field.column && above.field.transform.kind === larger
  return { key, field, short: larger !== undefined && continues }
}

function partsOf(segment: string): LayoutPart[] | LayoutFault {
  const parts: LayoutPart[] = []
  for (const piece of segment.split(/(\{[^{}]*\})/).filter((part) => part !== '')) {
    if (piece === '{table}' || piece === '{namespace}') {
      parts.push({ kind: piece === '{table}' ? 'table' : 'namespace' })
    } else if (piece.startsWith('{')) {
      const inside = piece.slice(1, -1)
      return new LayoutFault(
        `has ${piece}, which is not {table} or {namespace}; a partition is name={${inside}}`,
      )
    } else parts.push({ kind: 'text', text: piece })
  }
  const plain = parts.map((part) => (part.kind === 'text' ? part.text : 'x')).join('')
  if (TEXT.test(plain)) return parts
  return new LayoutFault(
    `has the folder "${segment}": take letters, digits, ., _ and -, a letter or digit first`,
  )
}
