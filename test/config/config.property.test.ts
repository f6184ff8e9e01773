// Laws of the configuration: nothing that a file can hold makes it fail in any other way than by a
// typed error; globs, units and variables agree with models of themselves.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { PipelineError } from '../../runtime/base/errors.ts'
import { compilePattern, PatternFault } from '../../runtime/job/config/glob.ts'
import { lintFile, loadPipeline } from '../../runtime/job/config/load.ts'
import { nearestName } from '../../runtime/base/nearest.ts'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../runtime/job/config/quantity.ts'
import { columnSelector, tableSelector } from '../../runtime/job/config/selector.ts'
import { expandVariables } from '../../runtime/job/config/variables.ts'
import { COMPLETE, writeFile } from './pipeline-file.ts'

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 2)
// Eight laws share the time.
const timeBox = { interruptAfterTimeLimit: seconds * 250, numRuns: 100_000 }

/** Lint and load must agree, and fail only by PipelineError. */
function expectTyped(text: string): void {
  const path = writeFile(text, 'fuzz.yaml')
  let failure: PipelineError | null = null
  try {
    loadPipeline(path, {}, { missingSecret: 'warning' })
  } catch (error) {
    if (!(error instanceof PipelineError) || error.error === 'INTERNAL') throw error
    failure = error
  }
  const messages = lintFile(path, {})
  const failed = messages.some(({ severity }) => severity === 'error')
  expect(failed).toBe(failure !== null)
  const lines = text.split('\n').length
  for (const { line, column, message } of messages) {
    expect(line).toBeGreaterThan(0)
    expect(line).toBeLessThanOrEqual(lines)
    expect(column).toBeGreaterThan(0)
    expect(message).toMatch(/^[^A-Z]/)
  }
}

test('any text gives a configuration or a typed error', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), expectTyped), timeBox)
})

test('a complete file with bytes changed gives a configuration or a typed error', () => {
  const edit = fc.tuple(
    fc.nat(COMPLETE.length),
    fc.nat(12),
    fc.oneof(
      fc.constantFrom(...Array.from('{}[]:,&*!|>\'"%@`#-? \n\t\\$')),
      fc.string({ maxLength: 4 }),
    ),
  )
  const mutated = fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let text = COMPLETE
    for (const [at, length, insert] of edits)
      text = text.slice(0, at) + insert + text.slice(at + length)
    return text
  })
  fc.assert(fc.property(mutated, expectTyped), timeBox)
})

const names = [
  'version',
  'name',
  'source',
  'sink',
  'pipeline',
  'type',
  'uri',
  'password',
  'from_env',
  'tables',
  'tls',
  'mode',
  'startup',
  'backfill',
  'heartbeat',
  'every',
  'catalog',
  'warehouse',
  'checkpoint',
  'interval',
  'store',
  'transform',
  'profile',
  '__proto__',
  'toString',
  'constructor',
]
const values = [
  1,
  0,
  -1,
  1.5,
  true,
  null,
  '',
  'postgres',
  'mysql',
  'iceberg',
  'sql',
  'kafka',
  'rest',
  'upsert',
  '10s',
  '5m',
  '1GiB',
  'a.*',
  '/x/',
  '${X}',
  'postgresql://u@h/d',
  'sqlite:////a',
  'file:///a',
  's3://b',
]

test('any arrangement of known keys and values gives a configuration or a typed error', () => {
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(...values),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 8 }),
    ),
  }))
  const file = fc.dictionary(fc.constantFrom(...names), tree, { maxKeys: 8 })
  fc.assert(
    fc.property(file, (value) => expectTyped(stringify(value))),
    timeBox,
  )
})

const letter = fc.constantFrom('a', 'b', 'A', '_', '.', '\\', '*', '?', 'é', '😀')
const name = fc.array(letter, { maxLength: 8 }).map((letters) => letters.join(''))

test('a glob matches what the regular expression of its definition matches', () => {
  const part = fc.array(letter, { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(part, part, name, name, (left, right, namespace, table) => {
      const glob = [left, right].map((letters) => letters.map(escapeForGlob).join('')).join('.')
      const regex = [left, right].map((letters) => letters.map(toRegex).join(''))
      const matches = compilePattern(glob, ['schema', 'table'])
      if (matches instanceof PatternFault) throw new Error(`${glob} ${matches.message}`)
      const expected = [namespace, table].every((text, index) =>
        new RegExp(`^${regex[index]}$`, 'su').test(text),
      )
      expect(matches([namespace, table])).toBe(expected)
    }),
    timeBox,
  )
})

function escapeForGlob(character: string, index: number): string {
  // A dot at the start of a part is taken for Flink's spelling; here it stands for one character.
  if (character === '.') return index === 0 ? '?' : '\\.'
  return character === '\\' ? '\\\\' : character
}

function toRegex(character: string, index: number): string {
  if (character === '*') return '.*'
  if (character === '?' || (character === '.' && index === 0)) return '.'
  return character === '.' || character === '\\' ? `\\${character}` : character
}

test('a glob of many stars answers at once', () => {
  const matches = compilePattern(`${'a*'.repeat(40)}b.t`, ['schema', 'table'])
  if (matches instanceof PatternFault) throw new Error(matches.message)
  const startMs = performance.now()
  expect(matches(['a'.repeat(5000), 't'])).toBe(false)
  expect(performance.now() - startMs).toBeLessThan(1000)
})

test('a table is taken when a pattern matches it and no exclusion does', () => {
  const select = tableSelector(['shop.*', '/log_[0-9]+\\.e.*/'], ['shop.tmp_*', '/.*\\.secret/'])
  const taken = [
    ['shop', 'orders'],
    ['shop', 'tmp_1'],
    ['Shop', 'orders'],
    ['shop', 'secret'],
    ['log_7', 'events'],
    ['log_7', 'x'],
    ['xlog_7', 'events'],
    ['shop2', 'orders'],
  ].map(([namespace, table]) => select(namespace!, table!))
  expect(taken).toEqual([true, false, false, false, true, false, false, false])
  const excluded = columnSelector(['*.users.ssn', 'shop.t.internal_*'])
  expect(excluded('any', 'users', 'ssn')).toBe(true)
  expect(excluded('shop', 't', 'internal_x')).toBe(true)
  expect(excluded('shop', 't', 'x')).toBe(false)
})

test('durations and sizes read back what they print', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), (number) => {
      expect(parseDuration(formatDuration(number))).toBe(number)
      expect(parseSize(formatSize(number))).toBe(number)
    }),
    timeBox,
  )
})

test('a number without a unit, or with its units out of order, is no quantity', () => {
  for (const text of ['', '10', '1.5', 's', '-1s', '1 s', '5m1h', '1s1s', '1w', '10S', '1e3s']) {
    expect(parseDuration(text), text).toBeNull()
  }
  for (const text of ['', '10', 'GB', '-1GB', '1gb', '1Gb', '1 GiB x', '1PiB']) {
    expect(parseSize(text), text).toBeNull()
  }
  expect(parseDuration('1h30m')).toBe(5_400_000)
  expect(parseDuration('1.5s')).toBe(1500)
  expect(parseSize('20GB')).toBe(2e10)
  expect(parseSize('1.5 GiB')).toBe(1.5 * 2 ** 30)
})

test('variables are replaced once, and text without them stays as it is', () => {
  const piece = fc.oneof(
    fc
      .string({ maxLength: 3 })
      .filter((text) => !/[${}]/.test(text))
      .map((text) => [text, text]),
    fc.constantFrom(
      ['${A}', 'x${B}'],
      ['${B:d}', 'd'],
      ['${A:d}', 'x${B}'],
      ['$${', '${'],
      ['${E:d}', 'd'],
      ['${E}', ''],
    ),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const { text, fault } = expandVariables(pieces.map(([from]) => from).join(''), {
        A: 'x${B}',
        E: '',
      })
      expect(fault).toBeNull()
      expect(text).toBe(pieces.map(([, to]) => to).join(''))
    }),
    timeBox,
  )
})

test('one slip of the pen finds the name again', () => {
  const known = ['tables', 'parallelism', 'checkpoint', 'warehouse', 'heartbeat', 'max_slot_lag']
  fc.assert(
    fc.property(fc.constantFrom(...known), fc.nat(20), fc.nat(3), (word, at, kind) => {
      const index = at % word.length
      const [before, after] = [word.slice(0, index), word.slice(index)]
      const slips = [
        `${before}x${after}`,
        before + after.slice(1),
        `${before}x${after.slice(1)}`,
        before + after.slice(1, 2) + after.slice(0, 1) + after.slice(2),
      ]
      expect(nearestName(slips[kind]!, known)).toBe(word)
    }),
    timeBox,
  )
  expect(nearestName('zzzzzz', known)).toBeNull()
})
