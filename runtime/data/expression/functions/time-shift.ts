// Distances in time: adding a number of units, counting the boundaries between two times, and
// numbers since 1970. Days and longer are those of local clocks, what is shorter has a fixed
// length.

import type { FixedBuilder } from '../../column/builder.ts'
import { SECONDS_PER_DAY } from '../calendar.ts'
import { DATE, LONG, TIMESTAMP, TIMESTAMPTZ } from '../expression-type.ts'
import { floorDivide, shiftDays } from '../kernels/moments.ts'
import type { Zone } from '../zone.ts'
import { Refusal, textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { int32Argument, int64Argument, longAt, putLong, rowKernel } from './rows.ts'
import { wordsArgument } from './rows.ts'
import { putMoment, setMoment, toLocal, toUtc, zoneArgument, type Moment } from './time.ts'
import { monthOf, perDay, unitNamed, weekOf, type Unit } from './time-unit.ts'

const OUT_OF_RANGE = 'the time is out of range'
const INT32_MAX = 0x7fff_ffff
/** More of any unit than there is time. */
const COUNT_MAX = 1e14

/** @throws Refusal */
function unitOf(binding: Binding, argument: number): Unit {
  return unitNamed(textConstant(binding, 0) ?? '', binding.types[argument]?.kind === 'date')
}

function addedDays(unit: Unit): Kernel {
  return rowKernel((call) => {
    const [n, days] = [wordsArgument(call, 1), int32Argument(call, 2)]
    const values = (call.out as FixedBuilder).values as Int32Array
    return (row) => {
      const count = longAt(n, row)
      const day =
        Math.abs(count) > COUNT_MAX
          ? Infinity
          : shiftDays(days[row]!, count * unit.months, count * unit.days)
      if (Math.abs(day) > INT32_MAX) call.fail(row, OUT_OF_RANGE)
      else values[row] = day
    }
  })
}

function addedCalendar(unit: Unit, zone: Zone): Kernel {
  const moment: Moment = { days: 0, us: 0 }
  return rowKernel((call) => {
    const [n, times] = [wordsArgument(call, 1), wordsArgument(call, 2)]
    const instants = call.args[2]?.type.kind === 'timestamptz'
    const out = call.out as FixedBuilder
    return (row) => {
      const count = longAt(n, row)
      if (Math.abs(count) > COUNT_MAX) {
        call.fail(row, OUT_OF_RANGE)
        return
      }
      setMoment(moment, times, row)
      if (instants) toLocal(moment, zone)
      moment.days = shiftDays(moment.days, count * unit.months, count * unit.days)
      // A place that no zone has a rule for is out of range, too.
      if (instants && Math.abs(moment.days) < INT32_MAX) toUtc(moment, zone)
      if (!putMoment(out.pairs, row, moment)) call.fail(row, OUT_OF_RANGE)
    }
  })
}

function addedClock({ us }: Unit): Kernel {
  const length = BigInt(us)
  return rowKernel((call) => {
    const [n, times] = [int64Argument(call, 1), int64Argument(call, 2)]
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const time = times[row]! + n[row]! * length
      if (time === BigInt.asIntN(64, time)) values[row] = time
      else call.fail(row, OUT_OF_RANGE)
    }
  })
}

/** @throws Refusal */
function added(binding: Binding): Kernel {
  const unit = unitOf(binding, 2)
  if (binding.types[2]?.kind === 'date') return addedDays(unit)
  return unit.us > 0 ? addedClock(unit) : addedCalendar(unit, zoneArgument(binding, 3))
}

/** @returns the number of the unit that a day is in */
function countOf({ months, days: length }: Unit, days: number): number {
  if (months > 0) return Math.floor(monthOf(days) / months)
  return length === 7 ? weekOf(days) : days
}

function daysBetween(unit: Unit): Kernel {
  return rowKernel((call) => {
    const [a, b] = [int32Argument(call, 1), int32Argument(call, 2)]
    const out = call.out as FixedBuilder
    return (row) => putLong(out.pairs, row, countOf(unit, b[row]!) - countOf(unit, a[row]!))
  })
}

function calendarBetween(unit: Unit, zone: Zone): Kernel {
  const [first, second]: [Moment, Moment] = [
    { days: 0, us: 0 },
    { days: 0, us: 0 },
  ]
  return rowKernel((call) => {
    const [a, b] = [wordsArgument(call, 1), wordsArgument(call, 2)]
    const instants = call.args[1]?.type.kind === 'timestamptz'
    const out = call.out as FixedBuilder
    return (row) => {
      setMoment(first, a, row)
      setMoment(second, b, row)
      if (instants) {
        toLocal(first, zone)
        toLocal(second, zone)
      }
      putLong(out.pairs, row, countOf(unit, second.days) - countOf(unit, first.days))
    }
  })
}

/** Boundaries of the clock are those that the local clock of the first time has. */
function clockBetween(unit: Unit, zone: Zone): Kernel {
  const [first, second]: [Moment, Moment] = [
    { days: 0, us: 0 },
    { days: 0, us: 0 },
  ]
  return rowKernel((call) => {
    const [a, b] = [wordsArgument(call, 1), wordsArgument(call, 2)]
    const instants = call.args[1]?.type.kind === 'timestamptz'
    const out = call.out as FixedBuilder
    return (row) => {
      setMoment(first, a, row)
      setMoment(second, b, row)
      if (instants) {
        const at = first.days * SECONDS_PER_DAY + Math.floor(first.us / 1e6)
        const ahead = zone.offsetAt(at) * 1e6
        first.us += ahead
        second.us += ahead
      }
      const clock = Math.floor(second.us / unit.us) - Math.floor(first.us / unit.us)
      const count = (second.days - first.days) * perDay(unit) + clock
      if (Math.abs(count) <= Number.MAX_SAFE_INTEGER) putLong(out.pairs, row, count)
      else putWide(call, row, first, second, unit)
    }
  })
}

/** As above, where doubles do not count so far. */
function putWide(
  call: Parameters<Kernel>[0],
  row: number,
  first: Moment,
  second: Moment,
  unit: Unit,
): void {
  const clock = Math.floor(second.us / unit.us) - Math.floor(first.us / unit.us)
  const count = BigInt(second.days - first.days) * BigInt(perDay(unit)) + BigInt(clock)
  const values = (call.out as FixedBuilder).values as BigInt64Array
  if (count === BigInt.asIntN(64, count)) values[row] = count
  else call.fail(row, 'the distance is no long')
}

/** @throws Refusal */
function between(binding: Binding): Kernel {
  const unit = unitOf(binding, 1)
  if (binding.types[1]?.kind === 'date') return daysBetween(unit)
  const zone = zoneArgument(binding, 3)
  return unit.us > 0 ? clockBetween(unit, zone) : calendarBetween(unit, zone)
}

/** Numbers since 1970: how many microseconds one is, or how many of them are one microsecond. */
const EPOCH_UNITS: Readonly<Record<string, readonly [us: bigint, perUs: bigint]>> = {
  s: [1_000_000n, 1n],
  ms: [1000n, 1n],
  us: [1n, 1n],
  ns: [1n, 1000n],
}

/** @throws Refusal */
function epochUnit(binding: Binding): readonly [bigint, bigint] {
  const name = textConstant(binding, 1) ?? ''
  const found = EPOCH_UNITS[name.toLowerCase()]
  if (found !== undefined) return found
  throw new Refusal(1, `there is no unit "${name}"`, 'It is one of s, ms, us and ns.')
}

/** @throws Refusal */
function fromUnix(binding: Binding): Kernel {
  const [us, perUs] = epochUnit(binding)
  return rowKernel((call) => {
    const n = int64Argument(call, 0)
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const time = floorDivide(n[row]! * us, perUs)
      if (time === BigInt.asIntN(64, time)) values[row] = time
      else call.fail(row, OUT_OF_RANGE)
    }
  })
}

/** @throws Refusal */
function toUnix(binding: Binding): Kernel {
  const [us, perUs] = epochUnit(binding)
  return rowKernel((call) => {
    const times = int64Argument(call, 0)
    const values = (call.out as FixedBuilder).values as BigInt64Array
    return (row) => {
      const n = floorDivide(times[row]! * perUs, us)
      if (n === BigInt.asIntN(64, n)) values[row] = n
      else call.fail(row, 'the number is no long')
    }
  })
}

const add = { fails: true, prepare: added } as const
const diff = { result: LONG, fails: true, prepare: between } as const

export const timeShiftFunctions: readonly FunctionSpec[] = [
  {
    name: 'date_add',
    group: 'time',
    usage: 'date_add(unit, n, t[, z])',
    summary: '`n` units later; a day that the month does not have becomes its last one.',
    overloads: [
      { parameters: ['constant string', 'long', 'date'], result: DATE, ...add },
      { parameters: ['constant string', 'long', 'timestamp'], result: TIMESTAMP, ...add },
      {
        parameters: ['constant string', 'long', 'timestamptz', 'constant string'],
        optional: 1,
        result: TIMESTAMPTZ,
        ...add,
      },
    ],
  },
  {
    name: 'date_diff',
    group: 'time',
    usage: 'date_diff(unit, a, b[, z])',
    summary: 'How many beginnings of the unit lie between `a` and `b`; negative when `b` is first.',
    overloads: [
      { parameters: ['constant string', 'date', 'date'], ...diff },
      { parameters: ['constant string', 'timestamp', 'timestamp'], ...diff },
      {
        parameters: ['constant string', 'timestamptz', 'timestamptz', 'constant string'],
        optional: 1,
        ...diff,
      },
    ],
  },
  {
    name: 'from_unix',
    group: 'time',
    usage: 'from_unix(n, unit)',
    summary: 'The instant `n` s, ms, us or ns after 1970; ns are cut to microseconds.',
    overloads: [
      {
        parameters: ['long', 'constant string'],
        result: TIMESTAMPTZ,
        fails: true,
        prepare: fromUnix,
      },
    ],
  },
  {
    name: 'to_unix',
    group: 'time',
    usage: 'to_unix(t, unit)',
    summary: 'How many whole s, ms, us or ns an instant is after 1970.',
    overloads: [
      {
        parameters: ['timestamptz', 'constant string'],
        result: LONG,
        fails: true,
        prepare: toUnix,
      },
    ],
  },
]
