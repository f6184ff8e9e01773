// The functions of expressions by name; function.ts says how to add one.

import type { FunctionSpec } from './function.ts'
import { bitFunctions } from './bits.ts'
import { extremeFunctions } from './extremes.ts'
import { hashFunctions } from './hash.ts'
import { jsonDocumentFunctions } from './json-document.ts'
import { jsonMakeFunctions } from './json-make.ts'
import { jsonStepFunctions } from './json-step.ts'
import { listElementFunctions } from './list-element.ts'
import { listFunctions } from './list.ts'
import { maskFunctions } from './mask.ts'
import { powerFunctions } from './numeric-power.ts'
import { numericFunctions } from './numeric.ts'
import { roundingFunctions } from './rounding.ts'
import { stringCharacterFunctions } from './string-character.ts'
import { stringConcatFunctions } from './string-concat.ts'
import { stringPartFunctions } from './string-part.ts'
import { stringPatternFunctions } from './string-pattern.ts'
import { stringSearchFunctions } from './string-search.ts'
import { stringUrlFunctions } from './string-url.ts'
import { stringFunctions } from './string.ts'
import { timePatternFunctions } from './time-pattern.ts'
import { timeShiftFunctions } from './time-shift.ts'
import { timeTruncFunctions } from './time-trunc.ts'
import { timeFunctions } from './time.ts'

const all: readonly FunctionSpec[] = [
  ...stringFunctions,
  ...stringPartFunctions,
  ...stringSearchFunctions,
  ...stringConcatFunctions,
  ...stringPatternFunctions,
  ...stringCharacterFunctions,
  ...stringUrlFunctions,
  ...hashFunctions,
  ...maskFunctions,
  ...numericFunctions,
  ...powerFunctions,
  ...roundingFunctions,
  ...extremeFunctions,
  ...bitFunctions,
  ...timeFunctions,
  ...timeTruncFunctions,
  ...timeShiftFunctions,
  ...timePatternFunctions,
  ...jsonStepFunctions,
  ...jsonDocumentFunctions,
  ...jsonMakeFunctions,
  ...listElementFunctions,
  ...listFunctions,
]

export const functions: ReadonlyMap<string, FunctionSpec> = new Map(
  all.map((spec) => [spec.name, spec]),
)

const NOT_HASHING = /^(?:from_|to_|iceberg_)/

/** @returns true for a function that hides what it is given */
export function isHashing(name: string): boolean {
  return functions.get(name)?.group === 'hash' && !NOT_HASHING.test(name)
}

/** Not deterministic, so that a replay would give other rows: what to write instead. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ['now', 'Use the column __source_commit_time__, the time at which the source committed the row.'],
  ['current_timestamp', 'Use the column __source_commit_time__.'],
  ['current_date', 'Use date(__source_commit_time__).'],
  ['random', 'Use a hash of the key, as iceberg_bucket(1000, id).'],
  ['rand', 'Use a hash of the key, as iceberg_bucket(1000, id).'],
  ['uuid', 'Use uuid_v5(namespace, id), which is the same at every replay.'],
  ['gen_random_uuid', 'Use uuid_v5(namespace, id), which is the same at every replay.'],
])
