// Times from texts and texts of times, by a pattern or as ISO 8601 has them.

import type { BytesBuilder, FixedBuilder } from '../../column/builder.ts'
import { SECONDS_PER_DAY } from '../calendar.ts'
import { DATE, STRING, TIMESTAMP, TIMESTAMPTZ } from '../expression-type.ts'
import { formatPattern, patternReader, readByPattern } from '../kernels/time-pattern.ts'
import { readPattern, type PatternPart } from '../kernels/time-pattern.ts'
import { moment as text, readDate, readTimestamp } from '../kernels/time-text.ts'
import { Refusal, textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { appendText, bytesArgument, rowKernel } from './rows.ts'
import { momentReader, putMoment, setMoment, toUtc, zoneArgument, type Moment } from './time.ts'
import { wordsArgument } from './rows.ts'

/** @throws Refusal */
function patternOf(pattern: string, argument: number, reads: boolean): readonly PatternPart[] {
  const parts = readPattern(pattern, reads)
  if (typeof parts !== 'string') return parts
  const hint = "Letters are those of LDML, as yyyy-MM-dd'T'HH:mm:ss.SSSXXX."
  throw new Refusal(argument, `'${pattern}' is no pattern: ${parts}`, hint)
}

/** Fills `text`; false where it is none. */
type Read = (bytes: Uint8Array, start: number, end: number) => boolean

/** @throws Refusal */
function readerOf(binding: Binding, plain: Read): Read {
  const pattern = textConstant(binding, 1)
  if (pattern === null) return plain
  const parts = patternOf(pattern, 1, true)
  if (binding.result.kind === 'timestamp' && parts.some(({ letter }) => /x/i.test(letter))) {
    throw new Refusal(1, 'a timestamp has no offset', 'Write to_timestamptz.')
  }
  const reader = patternReader(parts)
  return (bytes, start, end) => readByPattern(reader, bytes, start, end)
}

/** @throws Refusal */
function toDate(binding: Binding): Kernel {
  const read = readerOf(binding, readDate)
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const values = (call.out as FixedBuilder).values as Int32Array
    return (row) => {
      if (read(bytes, offsets[row]!, offsets[row + 1]!)) values[row] = text.days
      else call.fail(row, 'the text is no date')
    }
  })
}

/** @throws Refusal */
function toTimestamp(binding: Binding): Kernel {
  const read = readerOf(binding, readTimestamp)
  const zone = zoneArgument(binding, 2)
  const instants = binding.result.kind === 'timestamptz'
  const at: Moment = { days: 0, us: 0 }
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as FixedBuilder
    return (row) => {
      const isTime = read(bytes, offsets[row]!, offsets[row + 1]!)
      const hasOffset = !Number.isNaN(text.offset)
      // An offset that nobody asks for would be passed over.
      if (!isTime || (!instants && hasOffset)) {
        call.fail(row, 'the text is no such time')
        return
      }
      at.days = text.days
      at.us = text.us
      if (instants && hasOffset) at.us -= text.offset * 1e6
      else if (instants) toUtc(at, zone)
      if (!putMoment(out.pairs, row, at)) call.fail(row, 'the time is out of range')
    }
  })
}

/** @throws Refusal */
function formatted(binding: Binding): Kernel {
  const parts = patternOf(textConstant(binding, 1) ?? '', 1, false)
  const kind = binding.types[0]?.kind
  if (kind !== 'timestamptz' && parts.some(({ letter }) => /x/i.test(letter))) {
    throw new Refusal(1, `a ${kind} has no offset`)
  }
  const zone = zoneArgument(binding, 2)
  const at: Moment = { days: 0, us: 0 }
  const utc: Moment = { days: 0, us: 0 }
  return rowKernel((call) => {
    const read = momentReader(call, 0, zone)
    const words = kind === 'timestamptz' ? wordsArgument(call, 0) : null
    const out = call.out as BytesBuilder
    return (row) => {
      read(at, row)
      let offset = 0
      if (words !== null) {
        setMoment(utc, words, row)
        offset = (at.days - utc.days) * SECONDS_PER_DAY + Math.floor((at.us - utc.us) / 1e6)
      }
      appendText(out, formatPattern(parts, at.days, at.us, offset))
      out.endRow(row)
    }
  })
}

const shared = { fails: true, costly: true } as const
const format = { result: STRING, prepare: formatted } as const

export const timePatternFunctions: readonly FunctionSpec[] = [
  {
    name: 'to_date',
    group: 'time',
    usage: 'to_date(s[, pattern])',
    summary: 'The date that a text is, as ISO 8601 has it or by a pattern as dd.MM.yyyy.',
    overloads: [
      {
        parameters: ['string', 'constant string'],
        optional: 1,
        result: DATE,
        prepare: toDate,
        ...shared,
      },
    ],
  },
  {
    name: 'to_timestamp',
    group: 'time',
    usage: 'to_timestamp(s[, pattern])',
    summary: 'The timestamp that a text is; one with an offset is an error.',
    overloads: [
      {
        parameters: ['string', 'constant string'],
        optional: 1,
        result: TIMESTAMP,
        prepare: toTimestamp,
        ...shared,
      },
    ],
  },
  {
    name: 'to_timestamptz',
    group: 'time',
    usage: 'to_timestamptz(s[, pattern[, z]])',
    summary: 'The instant that a text is, by its offset or, where it has none, in the zone.',
    overloads: [
      {
        parameters: ['string', 'constant string', 'constant string'],
        optional: 2,
        result: TIMESTAMPTZ,
        prepare: toTimestamp,
        ...shared,
      },
    ],
  },
  {
    name: 'date_format',
    group: 'time',
    usage: 'date_format(t, pattern[, z])',
    summary: "The text of a date or time by a pattern of LDML, as yyyy-MM-dd'T'HH:mm:ss.SSSXXX.",
    overloads: [
      { parameters: ['date', 'constant string'], ...format },
      { parameters: ['timestamp', 'constant string'], ...format },
      {
        parameters: ['timestamptz', 'constant string', 'constant string'],
        optional: 1,
        ...format,
      },
    ],
  },
]
