// `late` of `partition_ready`: rows of a partition that was announced are set aside or dropped only
// where it is certain that each is of the partition that its event time says, and that nobody else
// waits for it: appended rows of a topic, whose time goes into the lake as it is.

import { PipelineError } from '../../base/errors.ts'
import { parseProjection } from '../../data/expression/parse/parser.ts'
import type { PipelineConfig } from './pipeline-config.ts'
import { CHANGE_FORMATS } from './schema-formats.ts'
import type { TransformConfig } from './transform.ts'

type LateContext = Pick<PipelineConfig, 'source' | 'sink' | 'transforms' | 'scripts'>

export interface LateFault {
  readonly message: string
  /** What was asked for makes sense, and this version does not do it. */
  readonly isLater: boolean
}

/**
 * @param late    `dlq` or `drop`
 * @param column  of the partition
 * @returns why it cannot be; `null`: it can
 */
export function lateFault(
  late: string,
  column: string,
  { sink, source, transforms, scripts }: LateContext,
): LateFault | null {
  if (sink.mode !== 'append') {
    const rows = sink.mode === 'upsert' ? 'an upsert table' : 'a changelog'
    return { message: `${rows} takes every row, however late`, isLater: false }
  }
  const later = (message: string): LateFault => ({ message, isLater: true })
  if (source.type !== 'kafka') return later(`${late} is for topics; this version takes reopen`)
  if (CHANGE_FORMATS.includes(source.value.format)) {
    return later(`${late} is not supported for ${source.value.format}, whose rows are changes`)
  }
  const field = source.rowTime?.field ?? null
  if (field !== column) {
    const told = field === null ? 'the timestamp of the record' : `column ${field}`
    return later(`rows are late by source.event_time, ${told}, and the partition is of ${column}`)
  }
  if (scripts.length > 0) return later(`${late} is not supported beside scripts`)
  const changes = transforms.find((transform) => !carries(transform, column))
  if (changes === undefined) return null
  return later(
    `${late} needs column ${column} as it is, and transform of ${changes.from} may not be`,
  )
}

/** The column goes through the entry as it is, under its name. */
function carries({ projection, cast, mask }: TransformConfig, column: string): boolean {
  if (column in cast || column in mask) return false
  if (projection === null) return true
  try {
    const items = parseProjection({ text: projection, what: 'projection' })
    const isMade = items.some((item) => {
      if (item.kind === 'star') return false
      const isItself = item.value.kind === 'name' && item.value.name === column
      return item.alias === column && !isItself
    })
    if (isMade) return false
    return items.some((item) => {
      if (item.kind === 'star') return item.except.every(({ name }) => name !== column)
      const isItself = item.value.kind === 'name' && item.value.name === column
      return isItself && (item.alias ?? column) === column
    })
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    // It is no projection, which is said already.
    return true
  }
}
