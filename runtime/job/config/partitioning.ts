// `sink.partition_by`: which tables of the lake are partitioned, and by what.

import { parsePartitionField, TransformFault } from '../../data/partition/transform.ts'
import { TRANSFORM_NAMES, type PartitionField } from '../../data/partition/transform.ts'
import type { ConfigDocument } from './document.ts'
import { compilePattern, PatternFault } from './glob.ts'
import { nearestName } from '../../base/nearest.ts'
import type { PartitionRule } from './pipeline-config.ts'
import type { Path } from './problems.ts'
import { TABLE_SHAPE, tableSelector } from './selector.ts'

interface TableNames {
  readonly namespace: string
  readonly name: string
}

/** @returns the rules in the order of the file; what is wrong with one is reported */
export function resolvePartitioning(
  written: Readonly<Record<string, readonly string[]>>,
  document: ConfigDocument,
): PartitionRule[] {
  return Object.entries(written).map(([pattern, texts]) => {
    const path = ['sink', 'partition_by', pattern]
    reportPattern(pattern, path, document)
    const fields = texts.flatMap((text, index) => resolveField(text, [...path, index], document))
    return { pattern, fields }
  })
}

function reportPattern(pattern: string, path: Path, document: ConfigDocument): void {
  const compiled = compilePattern(pattern, TABLE_SHAPE)
  if (!(compiled instanceof PatternFault)) return
  const message = `sink.partition_by: "${pattern}" ${compiled.message}`
  const { suggestion } = compiled
  document.report(path, { error: 'CONFIG_VALUE', message, suggestion, atKey: true })
}

function resolveField(text: string, path: Path, document: ConfigDocument): PartitionField[] {
  const field = parsePartitionField(text)
  if (!(field instanceof TransformFault)) return [field]
  const { unknown } = field
  const suggestion = unknown === null ? null : nearestName(unknown, TRANSFORM_NAMES)
  const message = `sink.partition_by: "${text}" ${field.message}`
  document.report(path, { error: 'CONFIG_VALUE', message, suggestion })
  return []
}

/** @returns the fields of a lake table, of the first rule that has it; [] where none has */
export function partitioningOf(
  rules: readonly PartitionRule[],
): (table: TableNames) => readonly PartitionField[] {
  const compiled = rules.map(({ pattern, fields }) => ({
    selects: tableSelector([pattern]),
    fields,
  }))
  return ({ namespace, name }) =>
    compiled.find(({ selects }) => selects(namespace, name))?.fields ?? []
}
