// Transforms over whole columns: what a partition is told by, one value a row. Null stays null.

import { assert } from '../../base/assert.ts'
import { PipelineError } from '../../base/errors.ts'
import { isNull, type Column, type Int32Column } from '../column/column.ts'
import type { PrimitiveType } from '../type.ts'
import { bucketRows, wordsOf } from './bucket.ts'
import { monthOfDay } from './time-range.ts'
import { resultTypeOf, type Transform } from './transform.ts'
import { truncated } from './truncate.ts'

/**
 * @param column  of a type that the transform takes
 * @returns the partition values of rows 0...rows - 1; may share the column's memory
 * @throws PipelineError VALUE_UNREPRESENTABLE for an hour or bound beyond what the type holds
 */
export function applyTransform(transform: Transform, column: Column, rows: number): Column {
  switch (transform.kind) {
    case 'identity':
      return column
    case 'void':
      return { ...column, validity: new Uint8Array((rows + 7) >> 3) }
    case 'truncate':
      return truncated(column, rows, transform.width)
    default: {
      const values = new Int32Array(rows)
      if (transform.kind === 'bucket') bucketRows(column, rows, transform.buckets, values)
      else timeRows(transform.kind, column, rows, values)
      const type = resultTypeOf(transform, column.type as PrimitiveType)
      const { validity } = column
      return { type, layout: 'int32', length: rows, validity, unchanged: null, values }
    }
  }
}

function timeRows(
  unit: 'year' | 'month' | 'day' | 'hour',
  column: Column,
  rows: number,
  into: Int32Array,
): void {
  if (column.layout === 'int64') {
    const words = wordsOf(column.values)
    if (unit === 'hour') {
      hoursOf(words, rows, column, into)
      return
    }
    daysOf(words, rows, into)
  } else into.set((column as Int32Column).values.subarray(0, rows))
  assert(unit !== 'hour', 'a date has no hours')
  if (unit === 'day') return
  for (let row = 0; row < rows; row++) {
    const month = monthOfDay(into[row]!)
    into[row] = unit === 'month' ? month : Math.floor(month / 12)
  }
}

/**
 * A day has 2^13 * 10,546,875 microseconds, an hour 2^10 * 3,515,625: what is left of 64 bits
 * without the power of two is an integer that a double holds exactly, and its quotient keeps a
 * distance from the next whole number that rounding does not bridge.
 */
function daysOf(words: Int32Array, rows: number, into: Int32Array): void {
  for (let row = 0; row < rows; row++) {
    const shifted = words[2 * row + 1]! * 524_288 + (words[2 * row]! >>> 13)
    into[row] = Math.floor(shifted / 10_546_875)
  }
}

const INT_MAX = 0x7fff_ffff

function hoursOf(words: Int32Array, rows: number, column: Column, into: Int32Array): void {
  for (let row = 0; row < rows; row++) {
    const shifted = words[2 * row + 1]! * 4_194_304 + (words[2 * row]! >>> 10)
    const hours = Math.floor(shifted / 3_515_625)
    into[row] = hours
    // Beyond the year 246,000 the hours wrap, and a reader would look in the wrong partition.
    if ((hours > INT_MAX || hours < -INT_MAX - 1) && !isNull(column, row)) throw tooFar()
  }
}

function tooFar(): PipelineError {
  const detail = 'Iceberg counts hours from 1970 in 32 bits.'
  return new PipelineError('VALUE_UNREPRESENTABLE', 'a time lies beyond the hours of a partition', {
    detail,
  })
}
