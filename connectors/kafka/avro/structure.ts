// The structure of a topic: the union of the columns of every schema that its records have had.
// It only grows, so that records of old and new producers, in any order, have their place; and it
// is the same in whichever order the schemas came, except for that of the columns.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { widens } from '../../../runtime/data/evolution.ts'
import type { SourceColumn } from '../../../runtime/data/schema.ts'
import { formatType, sameType, type ColumnType } from '../../../runtime/data/type.ts'
import { typeChanged } from '../retyped.ts'
import type { Leaf } from './columns.ts'

export interface StructureColumn {
  /** The path that it had first, and never changes. */
  readonly identity: string
  readonly name: string
  /** Every path that it had in a schema, or that one says it had. */
  readonly paths: readonly string[]
  readonly type: ColumnType
  readonly nullable: boolean
  readonly sourceType: string
  readonly comment: string | null
  /** The highest id of a schema that has it: that one names it. 0: of a file. */
  readonly schemaId: number
}

export type Structure = readonly StructureColumn[]

export interface Union {
  readonly structure: Structure
  /** By leaf: index of its column. */
  readonly columns: readonly number[]
}

/**
 * @param known  `null`: no schema was seen before
 * @param schemaId  of the schema that the leaves are of
 * @returns `known` itself where the schema adds nothing
 * @throws PipelineError FORMAT_TYPE_CHANGED
 */
export function unite(known: Structure | null, leaves: readonly Leaf[], schemaId: number): Union {
  const before = known ?? []
  const columns = match(before, leaves)
  const after: StructureColumn[] = [...before]
  const used = new Set(columns)
  for (const [index, column] of before.entries()) {
    if (!used.has(index) && !column.nullable) after[index] = { ...column, nullable: true }
  }
  const found = leaves.map((leaf, at) => {
    const index = columns[at] ?? -1
    const column = before[index]
    if (column !== undefined) {
      after[index] = joined(column, leaf, schemaId)
      return index
    }
    after.push(added(leaf, schemaId, known !== null, after))
    return after.length - 1
  })
  refuseNesting(after)
  const same = after.length === before.length && after.every((one, at) => one === before[at])
  return { structure: known !== null && same ? known : after, columns: found }
}

/** By leaf: index of the column; -1: there is none. A name of now comes before one of earlier. */
function match(before: Structure, leaves: readonly Leaf[]): number[] {
  const names = new Map(before.map(({ name }, index) => [name, index]))
  const found = leaves.map(({ path }) => names.get(path) ?? -1)
  const take = (isOne: (column: StructureColumn, leaf: Leaf) => boolean): void => {
    for (const [at, leaf] of leaves.entries()) {
      if (found[at] !== -1) continue
      found[at] = before.findIndex((column, index) => !found.includes(index) && isOne(column, leaf))
    }
  }
  take(({ paths }, { path }) => paths.includes(path))
  take(({ paths }, { aliases }) => aliases.some((alias) => paths.includes(alias)))
  return found
}

function joined(column: StructureColumn, leaf: Leaf, schemaId: number): StructureColumn {
  const type = widened(column, leaf)
  const nullable = column.nullable || leaf.nullable
  const unseen = [leaf.path, ...leaf.aliases].filter((path) => !column.paths.includes(path))
  const paths = unseen.length === 0 ? column.paths : [...column.paths, ...unseen]
  // Schemas without ids of their own are newer than what was there.
  const newest = schemaId < column.schemaId ? column : shownBy(leaf, schemaId)
  const same =
    sameType(type, column.type) &&
    nullable === column.nullable &&
    unseen.length === 0 &&
    newest.schemaId === column.schemaId &&
    newest.name === column.name &&
    newest.comment === column.comment &&
    newest.sourceType === column.sourceType
  if (same) return column
  const { name, comment, sourceType, schemaId: newestId } = newest
  return { ...column, type, nullable, paths, name, comment, sourceType, schemaId: newestId }
}

type Shown = Pick<StructureColumn, 'name' | 'comment' | 'sourceType' | 'schemaId'>

function shownBy({ path, doc, sourceType }: Leaf, schemaId: number): Shown {
  return { name: path, comment: doc, sourceType, schemaId }
}

/** The type that holds the values of both exactly. */
function widened({ name, type }: StructureColumn, leaf: Leaf): ColumnType {
  if (sameType(type, leaf.type) || isJson(type)) return type
  if (!isJson(leaf.type) && widens(type, leaf.type)) return leaf.type
  if (!isJson(leaf.type) && widens(leaf.type, type)) return type
  // An older schema's; the lake itself cannot make a double of an int.
  if (type.kind === 'double' && leaf.type.kind === 'int') return type
  throw typeChanged(name, type, leaf.type)
}

function isJson(type: ColumnType): boolean {
  return type.kind === 'string' && type.json === true
}

function added(
  leaf: Leaf,
  schemaId: number,
  later: boolean,
  columns: readonly StructureColumn[],
): StructureColumn {
  const { path, aliases, type, nullable, sourceType, doc } = leaf
  const taken = columns.some(({ identity }) => identity === path)
  return {
    // Avro's names have no such sign. Two fields of one name at different times are two columns.
    identity: taken ? `${path}#${schemaId}` : path,
    name: path,
    paths: [path, ...aliases],
    type,
    nullable: nullable || later,
    sourceType,
    comment: doc,
    schemaId,
  }
}

/** What was a value and becomes a record, or the reverse, would leave one of both without rows. */
function refuseNesting(columns: Structure): void {
  const names = new Map(columns.map((column) => [column.name, column]))
  for (const { name } of columns) {
    for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
      const outer = names.get(name.slice(0, dot))
      if (outer === undefined) continue
      const message = `field "${outer.name}" is ${formatType(outer.type)} in one schema`
      throw new PipelineError('FORMAT_TYPE_CHANGED', `${message} and a record in another`)
    }
  }
}

/** Columns as the source tells them on. */
export function sourceColumns(structure: Structure): readonly SourceColumn[] {
  return structure.map(({ identity, name, type, nullable, sourceType, comment }) => {
    return { identity, name, type, nullable, comment, sourceType, existing: { kind: 'null' } }
  })
}

export function saveStructure(structure: Structure | null): string | null {
  return structure === null ? null : JSON.stringify({ format: 1, columns: structure })
}

/** @throws PipelineError CHECKPOINT_CORRUPT */
export function loadStructure(saved: string | null): Structure | null {
  if (saved === null) return null
  const { format, columns } = JSON.parse(saved) as { format: number; columns: Structure }
  if (format === 1) return columns
  throw new PipelineError('CHECKPOINT_CORRUPT', 'the structure of a topic has an unknown format')
}
