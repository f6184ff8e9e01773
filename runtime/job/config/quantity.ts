// Durations and sizes as people write them, always with a unit: a bare number hides one.

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** One or more parts of a number and a unit, the larger first: `10s`, `1h30m`, `1.5s`. */
export const DURATION_PATTERN = /^(?:\d{1,15}(?:\.\d{1,3})?(?:ms|s|m|h|d))+$/
/** A number and a unit: `512MiB`, `20GB`, `1.5GiB`. */
export const SIZE_PATTERN = /^\d{1,15}(?:\.\d{1,3})? ?(?:[kKMGT]B|[KMGT]iB|B)$/

/** @returns milliseconds, rounded; `null` when the text is no duration */
export function parseDuration(text: string): number | null {
  if (!DURATION_PATTERN.test(text)) return null
  let total = 0
  let above = Infinity
  for (const [, digits, unit] of text.matchAll(/([\d.]+)([a-z]+)/g)) {
    const scale = DURATION_MS[unit ?? '']
    // `5m1h` and `1s1s` are slips of the pen, not durations.
    if (scale === undefined || scale >= above) return null
    above = scale
    total += Number(digits) * scale
  }
  return Math.round(total)
}

/** @returns bytes, rounded; `null` when the text is no size */
export function parseSize(text: string): number | null {
  if (!SIZE_PATTERN.test(text)) return null
  const [, digits, unit] = /^([\d.]+) ?([A-Za-z]+)$/.exec(text) ?? []
  const scale = SIZE_BYTES[unit ?? '']
  return scale === undefined ? null : Math.round(Number(digits) * scale)
}

/** @returns the shortest spelling that `parseDuration` reads back to the same number */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const scale = DURATION_MS[unit] ?? 1
    if (ms >= scale && ms % scale === 0) return `${ms / scale}${unit}`
  }
  return `${ms}ms`
}

/** @returns the largest unit that divides the bytes, binary units first */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'TB', 'GiB', 'GB', 'MiB', 'MB', 'KiB', 'kB'] as const) {
    const scale = SIZE_BYTES[unit] ?? 1
    if (bytes >= scale && bytes % scale === 0) return `${bytes / scale}${unit}`
  }
  return `${bytes}B`
}
