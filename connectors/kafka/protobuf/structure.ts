// The columns of all schemas that a topic's records were seen to have, as one structure. It only
// grows: a column that a newer schema lacks stays and reads null, one that it renames is renamed,
// one that it widens takes the wider type. What the lake cannot follow is an error.
//
// Producers of several versions write side by side, and a reader that starts over meets their
// schemas in another order. So the newest schema, the one with the highest number, decides names
// and comments, whenever it is met; an older one adds what is missing.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { widens } from '../../../runtime/data/evolution.ts'
import type { SourceColumn } from '../../../runtime/data/schema.ts'
import { sameType, type ColumnType } from '../../../runtime/data/type.ts'
import type { FormatTable } from '../format.ts'
import type { Leaf } from './mapping.ts'

/** A column of the union, and who spoke of it last. */
export interface UnionColumn extends Leaf {
  /** Number of the newest schema that has it; `name` is the one that it gives. */
  readonly schema: number
}

export interface Structure {
  /** Number of the newest schema in it; -1: none is. */
  readonly newest: number
  readonly columns: readonly UnionColumn[]
}

export const NO_STRUCTURE: Structure = { newest: -1, columns: [] }

/**
 * @param schema  number of the schema that has `leaves`; later ones have higher numbers
 * @returns `structure` itself when it has all of that already
 * @throws PipelineError FORMAT_TYPE_CHANGED
 */
export function unite(structure: Structure, leaves: readonly Leaf[], schema: number): Structure {
  const clash = differentKind(structure.columns, leaves)
  if (clash !== null) throw clash
  const first = structure.newest === -1
  const known = new Map(leaves.map((leaf) => [leaf.identity, leaf]))
  const columns: UnionColumn[] = structure.columns.map((column) => {
    const leaf = known.get(column.identity)
    known.delete(column.identity)
    return leaf === undefined ? { ...column, nullable: true } : met(column, leaf, schema)
  })
  for (const leaf of known.values()) {
    // The rows of the other schemas do not have it.
    columns.push({ ...leaf, nullable: leaf.nullable || !first, schema })
  }
  const next = { newest: Math.max(structure.newest, schema), columns }
  return JSON.stringify(next) === JSON.stringify(structure) ? structure : next
}

function met(column: UnionColumn, leaf: Leaf, schema: number): UnionColumn {
  const type = wider(column.type, leaf.type)
  if (type === null || isDuration(column) !== isDuration(leaf)) {
    const [before, after] = schema >= column.schema ? [column, leaf] : [leaf, column]
    throw typeChanged(column.name, before.sourceType, after.sourceType)
  }
  const nullable = column.nullable || leaf.nullable
  if (schema < column.schema) return { ...column, type, nullable }
  return { ...leaf, type, nullable, schema }
}

/** Its column is as long as any; what it counts is not. */
function isDuration({ sourceType }: Leaf): boolean {
  return sourceType === 'google.protobuf.Duration'
}

/** The words are those of the .proto files, where it has to be mended. */
function typeChanged(column: string, before: string, after: string): PipelineError {
  const types = `from ${before} to ${after}`
  return new PipelineError('FORMAT_TYPE_CHANGED', `column "${column}" changed ${types}`)
}

function wider(left: ColumnType, right: ColumnType): ColumnType | null {
  if (sameType(left, right)) return left
  // Text and JSON are one type of the lake, but never one column.
  if (left.kind === 'string' || right.kind === 'string') return null
  if (widens(left, right)) return right
  return widens(right, left) ? left : null
}

/** A field that was a value and is a message with columns now, or the other way round. */
function differentKind(
  columns: readonly UnionColumn[],
  leaves: readonly Leaf[],
): PipelineError | null {
  const before = new Map(columns.map((column) => [column.identity, column]))
  const after = new Map(leaves.map((leaf) => [leaf.identity, leaf]))
  for (const { identity } of leaves) {
    for (const around of prefixes(identity)) {
      const column = before.get(around)
      if (column !== undefined) return typeChanged(column.name, column.sourceType, 'a message')
    }
  }
  for (const { identity } of columns) {
    for (const around of prefixes(identity)) {
      const leaf = after.get(around)
      if (leaf !== undefined) return typeChanged(leaf.name, 'a message', leaf.sourceType)
    }
  }
  return null
}

/** `3`, `3.1` of `3.1.7`. */
function prefixes(identity: string): string[] {
  const numbers = identity.split('.')
  return numbers.slice(1).map((_, index) => numbers.slice(0, index + 1).join('.'))
}

/** @returns the structure as the source and the lake take it; every name once */
export function tableOf({ columns }: Structure): FormatTable {
  const names = uniqueNames(columns)
  const shown = columns.map(({ identity, name, type, nullable, sourceType, comment }) => {
    const column: SourceColumn = {
      identity,
      name: names.get(identity) ?? name,
      type,
      nullable,
      comment,
      sourceType,
      existing: { kind: 'null' },
    }
    return column
  })
  return { columns: shown, key: null, comment: null }
}

/**
 * A name that was given up may be another field's now. The newest schema has it; the column of
 * before takes its number behind its name.
 */
function uniqueNames(columns: readonly UnionColumn[]): Map<string, string> {
  const names = new Map<string, string>()
  const taken = new Set<string>()
  for (const { identity, name } of columns.toSorted((a, b) => b.schema - a.schema)) {
    let free = name
    while (taken.has(free)) free += `__${identity.replaceAll(/\W/g, '_')}`
    taken.add(free)
    names.set(identity, free)
  }
  return names
}
