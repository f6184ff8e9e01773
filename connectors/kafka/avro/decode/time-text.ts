// Dates and times as text of ISO 8601, for the values within JSON. Microseconds show only where
// there are any; years beyond four digits have a sign and six.

const DAY_US = 86_400_000_000n

/** @param days  since 1970-01-01 */
export function dateText(days: bigint): string {
  // Source: https://howardhinnant.github.io/date_algorithms.html, civil_from_days
  const shifted = days + 719_468n
  const era = floorDivided(shifted, 146_097n)
  const dayOfEra = Number(shifted - era * 146_097n)
  const leaps = Math.trunc(dayOfEra / 1460) - Math.trunc(dayOfEra / 36_524)
  const yearOfEra = Math.trunc((dayOfEra - leaps + Math.trunc(dayOfEra / 146_096)) / 365)
  const ofYear = dayOfEra - (365 * yearOfEra + (yearOfEra >> 2) - Math.trunc(yearOfEra / 100))
  const shiftedMonth = Math.trunc((5 * ofYear + 2) / 153)
  const day = ofYear - Math.trunc((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = Number(era) * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  return `${yearText(year)}-${padded(month, 2)}-${padded(day, 2)}`
}

function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return padded(year, 4)
  return `${year < 0 ? '-' : '+'}${padded(Math.abs(year), 6)}`
}

/** @param us  since midnight, less than a day */
export function timeText(us: bigint): string {
  const seconds = Number(us / 1_000_000n)
  const fraction = Number(us % 1_000_000n)
  const [hour, minute] = [Math.trunc(seconds / 3600), Math.trunc(seconds / 60) % 60]
  const whole = [hour, minute, seconds % 60].map((part) => padded(part, 2)).join(':')
  return fraction === 0 ? whole : `${whole}.${padded(fraction, 6)}`
}

/** @param us  since 1970-01-01T00:00:00 */
export function instantText(us: bigint): string {
  const days = floorDivided(us, DAY_US)
  return `${dateText(days)}T${timeText(us - days * DAY_US)}`
}

function floorDivided(value: bigint, by: bigint): bigint {
  return value >= 0n ? value / by : -((-value + by - 1n) / by)
}

function padded(value: number, length: number): string {
  return String(value).padStart(length, '0')
}
