// Local times and instants of an IANA time zone, in microseconds. A day may have 23 or 25 hours. A
// local time may be there twice: then it is taken for the earlier instant, so that a watermark made
// of it promises no more than is true. One that is not there at all is the end of the gap.

const HOUR_US = 3_600_000_000n
const DAY_US = 24n * HOUR_US
/** Offsets are asked for once in a quarter of an hour of time: zones change at no finer step. */
const STEP_US = HOUR_US / 4n
const CACHED_MAX = 4096

export class TimeZone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat | null
  readonly #offsets = new Map<bigint, bigint>()

  /** @throws RangeError when there is no such zone; see `isTimeZone` */
  constructor(name: string) {
    this.name = name
    this.#format = name === 'UTC' ? null : formatOf(name)
  }

  /** @returns the local time at an instant, as microseconds since 1970-01-01T00:00:00 local */
  localOf(instantUs: bigint): bigint {
    return instantUs + this.#offsetAt(instantUs)
  }

  /** @returns the earliest instant that has this local time, or the first one after a gap */
  instantOf(localUs: bigint): bigint {
    if (this.#format === null) return localUs
    // A zone changes its offset at most once in two days, so one of these is the right one.
    const before = this.#offsetAt(localUs - DAY_US)
    const after = this.#offsetAt(localUs + DAY_US)
    let earliest: bigint | null = null
    for (const offset of [before, after]) {
      const instant = localUs - offset
      if (this.#offsetAt(instant) !== offset) continue
      if (earliest === null || instant < earliest) earliest = instant
    }
    return earliest ?? localUs - before
  }

  #offsetAt(instantUs: bigint): bigint {
    const format = this.#format
    if (format === null) return 0n
    const step = floorTo(instantUs, STEP_US)
    const known = this.#offsets.get(step)
    if (known !== undefined) return known
    if (this.#offsets.size >= CACHED_MAX) this.#offsets.clear()
    const offset = offsetOf(format, step)
    this.#offsets.set(step, offset)
    return offset
  }
}

/** @returns true for the names that this machine's tz database has */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

/** @returns the greatest multiple of `unit` that is not above `value` */
export function floorTo(value: bigint, unit: bigint): bigint {
  const rest = value % unit
  return rest < 0n ? value - rest - unit : value - rest
}

function formatOf(name: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
}

function offsetOf(format: Intl.DateTimeFormat, instantUs: bigint): bigint {
  const instantMs = Number(instantUs / 1000n)
  const part: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(instantMs)) part[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
  const localMs = Date.UTC(year, month - 1, day, hour, minute, second)
  return BigInt(localMs - instantMs) * 1000n
}
