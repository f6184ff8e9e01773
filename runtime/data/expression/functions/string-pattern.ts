// Regular expressions, by RE2: linear time, so that a pattern of a user never holds a pipeline up.
// A constant pattern is compiled once; others are kept while they repeat.

import { RE2JS, type Matcher } from 're2js'
import type { BytesBuilder, FixedBuilder } from '../../column/builder.ts'
import { BOOLEAN, INT, STRING } from '../expression-type.ts'
import { Refusal, textConstant, type Binding } from './function.ts'
import type { FunctionSpec, Kernel, KernelCall, Overload } from './function.ts'
import { appendText, bytesArgument, decodeText, longAt, rowKernel, wordsArgument } from './rows.ts'

const PATTERN = 1
/** Patterns that are not constant, by their text. */
const KEPT_MAX = 64

function compiled(text: string): RE2JS | null {
  try {
    return RE2JS.compile(text)
  } catch {
    return null
  }
}

/** @returns what gives a matcher for the row, or fails the row. @throws Refusal */
function matchers(binding: Binding): (call: KernelCall) => (row: number) => Matcher | null {
  const constant = textConstant(binding, PATTERN)
  const fixed = constant === null ? null : compiled(constant)
  if (constant !== null && fixed === null) {
    const hint = 'The syntax is that of RE2: no look-around and no back references.'
    throw new Refusal(PATTERN, `"${constant}" is no regular expression`, hint)
  }
  const kept = new Map<string, RE2JS | null>()
  return (call) => {
    const text = bytesArgument(call, 0)
    const pattern = bytesArgument(call, PATTERN)
    return (row) => {
      let regexp = fixed
      if (regexp === null) {
        const source = decodeText(pattern.bytes, pattern.offsets[row]!, pattern.offsets[row + 1]!)
        if (!kept.has(source)) {
          if (kept.size === KEPT_MAX) kept.clear()
          kept.set(source, compiled(source))
        }
        regexp = kept.get(source) ?? null
      }
      if (regexp === null) {
        call.fail(row, 'the pattern is no regular expression')
        return null
      }
      return regexp.matcher(decodeText(text.bytes, text.offsets[row]!, text.offsets[row + 1]!))
    }
  }
}

function like(binding: Binding): Kernel {
  const begin = matchers(binding)
  return rowKernel((call) => {
    const matcherOf = begin(call)
    const values = (call.out as FixedBuilder).values as Uint8Array
    return (row) => {
      const matcher = matcherOf(row)
      if (matcher !== null) values[row] = matcher.find() ? 1 : 0
    }
  })
}

function countMatches(binding: Binding): Kernel {
  const begin = matchers(binding)
  return rowKernel((call) => {
    const matcherOf = begin(call)
    const values = (call.out as FixedBuilder).values as Int32Array
    return (row) => {
      const matcher = matcherOf(row)
      if (matcher === null) return
      let count = 0
      while (matcher.find()) count++
      values[row] = count
    }
  })
}

function extract(binding: Binding): Kernel {
  const begin = matchers(binding)
  return rowKernel((call) => {
    const matcherOf = begin(call)
    const groups = call.args.length > 2 ? wordsArgument(call, 2) : null
    const out = call.out as BytesBuilder
    return (row) => {
      const matcher = matcherOf(row)
      if (matcher === null) return
      const group = groups === null ? 0 : longAt(groups, row)
      if (group < 0 || group > matcher.groupCount()) {
        call.fail(row, 'the pattern has no such group')
        return
      }
      const found = matcher.find() ? matcher.group(group) : null
      if (found === null) out.setNull(row)
      else {
        appendText(out, found)
        out.endRow(row)
      }
    }
  })
}

/** Texts and numbers of groups in turn. */
type Replacement = readonly (string | number)[]

/** `\0` to `\9` are groups, `\\` a backslash. @throws Refusal */
function replacementOf(text: string): Replacement {
  const parts = text.split(/\\(.?)/su)
  return parts.map((part, index) => {
    if (index % 2 === 0) return part
    if (/^\d$/.test(part)) return Number(part)
    if (part === '\\') return part
    const hint = 'Write \\1 to \\9 for a group, \\0 for the whole match, \\\\ for a backslash.'
    throw new Refusal(2, `"\\${part}" has no meaning in a replacement`, hint)
  })
}

function replaceAll(binding: Binding): Kernel {
  const begin = matchers(binding)
  const replacement = replacementOf(textConstant(binding, 2) ?? '')
  const lastGroup = Math.max(0, ...replacement.filter((part) => typeof part === 'number'))
  const constant = textConstant(binding, PATTERN)
  if (constant !== null && lastGroup > RE2JS.compile(constant).groupCount()) {
    throw new Refusal(2, `the pattern has no group ${lastGroup}`)
  }
  return rowKernel((call) => {
    const matcherOf = begin(call)
    const text = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    return (row) => {
      const matcher = matcherOf(row)
      if (matcher === null) return
      if (lastGroup > matcher.groupCount()) {
        call.fail(row, 'the pattern has no such group')
        return
      }
      const source = decodeText(text.bytes, text.offsets[row]!, text.offsets[row + 1]!)
      let at = 0
      while (matcher.find()) {
        appendText(out, source.slice(at, matcher.start()))
        for (const part of replacement) {
          appendText(out, typeof part === 'number' ? (matcher.group(part) ?? '') : part)
        }
        at = matcher.end()
      }
      appendText(out, source.slice(at))
      out.endRow(row)
    }
  })
}

function overloads(
  prepare: Overload['prepare'],
  parts: Partial<Overload> & Pick<Overload, 'result'>,
): readonly Overload[] {
  return [{ parameters: ['string', 'string'], fails: true, costly: true, ...parts, prepare }]
}

// tidy: table
export const stringPatternFunctions: readonly FunctionSpec[] = [
  {
    name: 'regexp_like',
    group: 'string',
    usage: 'regexp_like(s, p)',
    summary: 'True when the pattern matches somewhere in `s`.',
    overloads: overloads(like, { result: BOOLEAN }),
  },
  {
    name: 'regexp_count',
    group: 'string',
    usage: 'regexp_count(s, p)',
    summary: 'How often the pattern matches, each match behind the one before.',
    overloads: overloads(countMatches, { result: INT }),
  },
  {
    name: 'regexp_extract',
    group: 'string',
    usage: 'regexp_extract(s, p[, group])',
    summary: 'The first match, or a group of it; null when there is none.',
    overloads: overloads(extract, {
      parameters: ['string', 'string', 'long'],
      optional: 1,
      result: STRING,
      nullable: true,
    }),
  },
  {
    name: 'regexp_replace',
    group: 'string',
    usage: 'regexp_replace(s, p, r)',
    summary: 'Each match becomes `r`, in which `\\1` to `\\9` are groups.',
    overloads: overloads(replaceAll, {
      parameters: ['string', 'string', 'constant string'],
      result: STRING,
    }),
  },
]
