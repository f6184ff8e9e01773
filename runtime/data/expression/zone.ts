// Time zones: offsets of the IANA database as Node's ICU has it, without an Intl call per row.
// A local time that does not exist (the clock went forward) moves forward by the gap; one that
// exists twice is the earlier.

/** Seconds of one table of offsets, a little more than a year. */
const CHUNK_SECONDS = 2 ** 25
/** Between two looks at the offset; no zone has ever changed it twice within so few hours. */
const SAMPLE_SECONDS = 2 ** 15
/** The Gregorian calendar, weekdays included, repeats after 400 years, and so do rules of zones. */
const CYCLE_SECONDS = 12_622_780_800
/** 1800-01-01: local mean time before. */
const FIRST_SECOND = -5_364_662_400
/** 2500-01-01: the 400 years before have no rules of the past, as US clocks of 2006. */
const CYCLE_START = 16_725_225_600
const DAY_SECONDS = 86_400

interface Chunk {
  /** Seconds at which `offsets` begin to hold; the first is that of the chunk. */
  readonly starts: readonly number[]
  readonly offsets: readonly number[]
}

export class Zone {
  readonly name: string
  private readonly format: Intl.DateTimeFormat | null
  private readonly fixed: number
  private readonly chunks = new Map<number, Chunk>()
  /** The range of the last answer: rows of a batch lie close together. */
  private from = 0
  private to = 0
  private last = 0

  /** `format` is null for a zone with one offset, `fixed` seconds. */
  constructor(name: string, format: Intl.DateTimeFormat | null, fixed: number) {
    this.name = name
    this.format = format
    this.fixed = fixed
  }

  /** True when local time is always UTC. */
  get isUtc(): boolean {
    return this.format === null && this.fixed === 0
  }

  /** @param seconds  since 1970 in UTC, whole @returns seconds that local time is ahead */
  offsetAt(seconds: number): number {
    if (seconds >= this.from && seconds < this.to) return this.last
    return this.format === null ? this.fixed : this.look(seconds)
  }

  /** @param local  seconds since 1970-01-01T00:00:00 on local clocks @returns seconds in UTC */
  toUtc(local: number): number {
    if (this.format === null) return local - this.fixed
    const before = this.offsetAt(local - DAY_SECONDS)
    const after = this.offsetAt(local + DAY_SECONDS)
    const early = local - before
    if (before === after) return early
    const late = local - after
    const earlyHolds = this.offsetAt(early) === before
    const lateHolds = this.offsetAt(late) === after
    if (earlyHolds && lateHolds) return Math.min(early, late)
    return lateHolds ? late : early
  }

  private look(seconds: number): number {
    let at = Math.max(seconds, FIRST_SECOND)
    if (at >= CYCLE_START) at -= Math.ceil((at - CYCLE_START + 1) / CYCLE_SECONDS) * CYCLE_SECONDS
    const number = Math.floor(at / CHUNK_SECONDS)
    let chunk = this.chunks.get(number)
    if (chunk === undefined) {
      chunk = this.readChunk(number * CHUNK_SECONDS)
      this.chunks.set(number, chunk)
    }
    const { starts, offsets } = chunk
    let index = starts.length - 1
    while (index > 0 && at < (starts[index] ?? 0)) index--
    this.last = offsets[index] ?? 0
    this.from = (starts[index] ?? 0) + (seconds - at)
    this.to = (starts[index + 1] ?? (number + 1) * CHUNK_SECONDS) + (seconds - at)
    if (seconds < this.from || seconds >= this.to) this.to = this.from
    return this.last
  }

  private readChunk(start: number): Chunk {
    const starts = [start]
    const offsets = [this.ask(start)]
    for (let at = start; at < start + CHUNK_SECONDS; at += SAMPLE_SECONDS) {
      const next = this.ask(at + SAMPLE_SECONDS)
      const before = offsets.at(-1) ?? 0
      if (next === before) continue
      let [low, high] = [at, at + SAMPLE_SECONDS]
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        if (this.ask(middle) === before) low = middle
        else high = middle
      }
      if (high >= start + CHUNK_SECONDS) break
      starts.push(high)
      offsets.push(next)
    }
    return { starts, offsets }
  }

  private ask(seconds: number): number {
    const text = this.format?.format(seconds * 1000) ?? ''
    const [month, day, year, hour, minute, second] = (text.match(/\d+/g) ?? []).map(Number)
    // Years of four digits only: the range of tables is 1800 to 2500.
    const local = Date.UTC(year ?? 1970, (month ?? 1) - 1, day, hour, minute, second)
    return local / 1000 - seconds
  }
}

const zones = new Map<string, Zone | null>()

/**
 * @param name  `Europe/Berlin`, `UTC`, or an offset east of UTC as `+02:00`
 * @returns `null` when there is no such zone
 */
export function zoneNamed(name: string): Zone | null {
  const known = zones.get(name)
  if (known !== undefined) return known
  const zone = makeZone(name)
  zones.set(name, zone)
  return zone
}

function makeZone(name: string): Zone | null {
  if (/^(?:utc|z|gmt|etc\/utc)$/i.test(name)) return new Zone(name, null, 0)
  const [, sign, hours = '', minutes = '0'] = /^([+-])(\d\d)(?::?(\d\d))?$/.exec(name) ?? []
  if (sign !== undefined) {
    const seconds = Number(hours) * 3600 + Number(minutes) * 60
    return seconds < DAY_SECONDS ? new Zone(name, null, sign === '-' ? -seconds : seconds) : null
  }
  // ICU takes some things for zones that are none of the database's.
  if (!/^[A-Za-z]/.test(name)) return null
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    return new Zone(name, format, 0)
  } catch {
    return null
  }
}
