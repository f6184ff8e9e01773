// Beginnings: of a unit, of a slice, of the month that a day ends; and dates from their parts. Days
// and longer are those of local clocks; what is shorter keeps the offset that the instant has.

import type { FixedBuilder } from '../../column/builder.ts'
import { daysFromCivil, daysInMonth, US_PER_DAY } from '../calendar.ts'
import { DATE, TIMESTAMP, TIMESTAMPTZ, type Interval } from '../expression-type.ts'
import type { Zone } from '../zone.ts'
import { Refusal, textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import type { Overload, Parameter } from './function.ts'
import { int32Argument, longAt, rowKernel, wordsArgument } from './rows.ts'
import { momentReader, putMoment, setMoment, toLocal, toUtc, zoneArgument } from './time.ts'
import type { Moment } from './time.ts'
import { firstDay, firstOfMonth, monthOf, unitNamed } from './time-unit.ts'

/** Moves a local moment back to where its unit begins. */
type Begin = (moment: Moment) => void

const OUT_OF_RANGE = 'the time is out of range'
const INT32_MAX = 0x7fff_ffff

/** @param clock  the unit is shorter than a day */
function beginning(begin: Begin, clock: boolean, zone: Zone, at: number): Kernel {
  const moment: Moment = { days: 0, us: 0 }
  const offset: Moment = { days: 0, us: 0 }
  return rowKernel((call) => {
    const words = wordsArgument(call, at)
    const instants = call.args[at]?.type.kind === 'timestamptz'
    const out = call.out as FixedBuilder
    return (row) => {
      setMoment(moment, words, row)
      offset.days = moment.days
      offset.us = moment.us
      if (instants) toLocal(moment, zone)
      const ahead = (moment.days - offset.days) * US_PER_DAY + moment.us - offset.us
      begin(moment)
      if (instants && clock) moment.us -= ahead
      else if (instants) toUtc(moment, zone)
      if (!putMoment(out.pairs, row, moment)) call.fail(row, OUT_OF_RANGE)
    }
  })
}

/** Days from days, of dates. */
function dayKernel(step: (days: number) => number, at: number): Kernel {
  return rowKernel((call) => {
    const days = int32Argument(call, at)
    const values = (call.out as FixedBuilder).values as Int32Array
    return (row) => {
      const day = step(days[row]!)
      if (Math.abs(day) > INT32_MAX) call.fail(row, OUT_OF_RANGE)
      else values[row] = day
    }
  })
}

/** @throws Refusal */
function truncated(binding: Binding): Kernel {
  const dates = binding.types[1]?.kind === 'date'
  const unit = unitNamed(textConstant(binding, 0) ?? '', dates)
  if (dates) return dayKernel((days) => firstDay(unit, days), 1)
  const zone = zoneArgument(binding, 2)
  if (unit.us > 0) return beginning((moment) => (moment.us -= moment.us % unit.us), true, zone, 1)
  const begin: Begin = (moment) => {
    moment.days = firstDay(unit, moment.days)
    moment.us = 0
  }
  return beginning(begin, false, zone, 1)
}

/** Months of 1970-01. */
const EPOCH_MONTH = 1970 * 12
/** 1970-01-05, a Monday. */
const EPOCH_MONDAY = 4

/** @returns the first day of the slice that a day is in */
function daySlice({ months, days: length }: Interval): (days: number) => number {
  if (months > 0) {
    return (days) => {
      const since = monthOf(days) - EPOCH_MONTH
      return firstOfMonth(EPOCH_MONTH + Math.floor(since / months) * months)
    }
  }
  const origin = length % 7 === 0 ? EPOCH_MONDAY : 0
  return (days) => origin + Math.floor((days - origin) / length) * length
}

/** @throws Refusal */
function slice(binding: Binding): Kernel {
  const interval = binding.constants[1] as Interval
  const { months, days, us } = interval
  const parts = [months, days, Number(us)]
  const hint = "Write months, or days, or hours and less: INTERVAL '15' MINUTE."
  if (parts.filter((part) => part !== 0).length !== 1 || parts.some((part) => part < 0)) {
    throw new Refusal(1, 'slices are as long as one unit has it', hint)
  }
  const dates = binding.types[0]?.kind === 'date'
  if (us > 0n && dates) throw new Refusal(1, 'slices of a date are days or months', hint)
  if (us === 0n) {
    const first = daySlice(interval)
    if (dates) return dayKernel(first, 0)
    const begin: Begin = (moment) => {
      moment.days = first(moment.days)
      moment.us = 0
    }
    return beginning(begin, false, zoneArgument(binding, 2), 0)
  }
  return clockSlice(us)
}

/** Slices of the clock are counted from 1970-01-01T00:00, in UTC for instants. */
function clockSlice(us: bigint): Kernel {
  return rowKernel((call) => {
    const { buffer, byteOffset, length } = wordsArgument(call, 0)
    const times = new BigInt64Array(buffer, byteOffset, length >> 1)
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const time = times[row]!
      const start = time - (((time % us) + us) % us)
      if (start === BigInt.asIntN(64, start)) values[row] = start
      else call.fail(row, OUT_OF_RANGE)
    }
  })
}

/** @returns the kernel of a function of the local day of a date or time */
function ofDay(step: (days: number) => number): (binding: Binding) => Kernel {
  return (binding) => {
    const zone = zoneArgument(binding, 1)
    const moment: Moment = { days: 0, us: 0 }
    return rowKernel((call) => {
      const read = momentReader(call, 0, zone)
      const values = (call.out as FixedBuilder).values as Int32Array
      return (row) => {
        read(moment, row)
        const day = step(moment.days)
        if (Math.abs(day) > INT32_MAX) call.fail(row, OUT_OF_RANGE)
        else values[row] = day
      }
    })
  }
}

const madeDate: Kernel = rowKernel((call) => {
  const parts = [0, 1, 2].map((index) => wordsArgument(call, index))
  const values = (call.out as FixedBuilder).values as Int32Array
  return (row) => {
    const [year, month, day] = [
      longAt(parts[0]!, row),
      longAt(parts[1]!, row),
      longAt(parts[2]!, row),
    ]
    const exists =
      Math.abs(year) < 5_000_000 &&
      month >= 1 &&
      month <= 12 &&
      day >= 1 &&
      day <= daysInMonth(year, month)
    if (exists) values[row] = daysFromCivil(year, month, day)
    else call.fail(row, 'there is no such date')
  }
})

/** A date stays one, a timestamp one without a zone. */
function overloads(
  before: readonly Parameter[],
  behind: readonly Parameter[],
  prepare: Overload['prepare'],
): readonly Overload[] {
  const shared = { fails: true, prepare } as const
  return [
    { parameters: [...before, 'date', ...behind], result: DATE, ...shared },
    { parameters: [...before, 'timestamp', ...behind], result: TIMESTAMP, ...shared },
    {
      parameters: [...before, 'timestamptz', ...behind, 'constant string'],
      optional: 1,
      result: TIMESTAMPTZ,
      ...shared,
    },
  ]
}

function dayOverloads(step: (days: number) => number): readonly Overload[] {
  const shared = { result: DATE, fails: true, prepare: ofDay(step) } as const
  return [
    { parameters: ['date'], ...shared },
    { parameters: ['timestamp'], ...shared },
    { parameters: ['timestamptz', 'constant string'], optional: 1, ...shared },
  ]
}

export const timeTruncFunctions: readonly FunctionSpec[] = [
  {
    name: 'date_trunc',
    group: 'time',
    usage: 'date_trunc(unit, t[, z])',
    summary: 'The beginning of the year, quarter, month, ISO week, day, hour ... that `t` is in.',
    overloads: overloads(['constant string'], [], truncated),
  },
  {
    name: 'time_slice',
    group: 'time',
    usage: 'time_slice(t, interval[, z])',
    summary:
      'The beginning of the slice of this length that `t` is in, counted from 1970-01-01, whole ' +
      'weeks from Monday 1970-01-05; slices shorter than a day are counted in UTC.',
    overloads: overloads([], ['interval'], slice),
  },
  {
    name: 'date',
    group: 'time',
    usage: 'date(t[, z])',
    summary: 'The day that a time is in.',
    overloads: dayOverloads((days) => days),
  },
  {
    name: 'last_day',
    group: 'time',
    usage: 'last_day(t[, z])',
    summary: 'The last day of the month.',
    overloads: dayOverloads((days) => firstOfMonth(monthOf(days) + 1) - 1),
  },
  {
    name: 'make_date',
    group: 'time',
    usage: 'make_date(y, m, d)',
    summary: 'The date of year, month and day; one that does not exist is an error.',
    overloads: [
      { parameters: ['long', 'long', 'long'], result: DATE, fails: true, prepare: () => madeDate },
    ],
  },
]
