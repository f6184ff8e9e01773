// Which tables and columns a pipeline takes, compiled from the patterns of its file.

import { PipelineError } from '../../base/errors.ts'
import { compilePattern, type NameMatcher, PatternFault } from './glob.ts'
import type { SourceConfig } from './pipeline-config.ts'

export type TableSelector = (namespace: string, name: string) => boolean
export type ColumnSelector = (namespace: string, table: string, column: string) => boolean

/** @returns whether a table of the source is selected, by the names that it has in the pipeline */
export function sourceSelector(source: SourceConfig): TableSelector {
  if (source.type !== 'kafka') return tableSelector(source.tables, source.tablesExclude)
  const selects = topicSelector(source.topics, source.topicsExclude)
  return (namespace, name) => namespace === source.namespace && selects(name)
}

export const TABLE_SHAPE = ['schema', 'table'] as const
export const TOPIC_SHAPE = ['topic'] as const
export const COLUMN_SHAPE = ['schema', 'table', 'column'] as const

/**
 * @param patterns  globs such as `shop.*`, or regular expressions between slashes that match the
 *                  whole of `schema.table`; a MySQL database counts as a schema
 * @param excludes  the same; they win
 * @returns whether a table is selected; case is exact
 * @throws PipelineError CONFIG_VALUE
 */
export function tableSelector(
  patterns: readonly string[],
  excludes: readonly string[] = [],
): TableSelector {
  const included = compileAll(patterns, TABLE_SHAPE)
  const excluded = compileAll(excludes, TABLE_SHAPE)
  return (namespace, name) => {
    const parts = [namespace, name]
    return included.some((matches) => matches(parts)) && !excluded.some((matches) => matches(parts))
  }
}

/**
 * @param patterns  globs and regular expressions, as for tables, of the one name that a topic has
 * @throws PipelineError CONFIG_VALUE
 */
export function topicSelector(
  patterns: readonly string[],
  excludes: readonly string[] = [],
): (topic: string) => boolean {
  const included = compileAll(patterns, TOPIC_SHAPE)
  const excluded = compileAll(excludes, TOPIC_SHAPE)
  return (topic) =>
    included.some((matches) => matches([topic])) && !excluded.some((matches) => matches([topic]))
}

/**
 * @param patterns  as for tables, with three parts: `public.users.ssn`, `*.*.internal_*`
 * @returns whether a column matches one of them
 * @throws PipelineError CONFIG_VALUE
 */
export function columnSelector(patterns: readonly string[]): ColumnSelector {
  const matchers = compileAll(patterns, COLUMN_SHAPE)
  return (namespace, table, column) => {
    const parts = [namespace, table, column]
    return matchers.some((matches) => matches(parts))
  }
}

function compileAll(patterns: readonly string[], shape: readonly string[]): NameMatcher[] {
  return patterns.map((pattern) => {
    const compiled = compilePattern(pattern, shape)
    if (!(compiled instanceof PatternFault)) return compiled
    throw new PipelineError('CONFIG_VALUE', `pattern "${pattern}" ${compiled.message}`)
  })
}
