// What single values of a pipeline file look like. Messages complete the sentence "<key> must be ...".

import { z } from 'zod'
import { DURATION_PATTERN, formatDuration, parseDuration, parseSize } from './quantity.ts'
import { SIZE_PATTERN } from './quantity.ts'

export function text(wanted: string): z.ZodString {
  return z.string(wanted).min(1, wanted)
}

export function integer(low: number, high: number, unit: string): z.ZodInt {
  const wanted = `a whole number of ${unit}, ${low} to ${high}`
  return z.int(wanted).min(low, wanted).max(high, wanted)
}

/** Milliseconds between `low` and `high`. */
export function duration(low: number, high: number): z.ZodType<number, string> {
  const range = `${formatDuration(low)} to ${formatDuration(high)}`
  const wanted = `a duration with its unit, such as 10s or 5m, ${range}`
  return z
    .string(wanted)
    .regex(DURATION_PATTERN, wanted)
    .transform((written, context) => {
      const ms = parseDuration(written)
      if (ms !== null && ms >= low && ms <= high) return ms
      context.addIssue({ code: 'custom', message: wanted })
      return z.NEVER
    })
}

/** Bytes, `low` or more. */
export function size(low: number): z.ZodType<number, string> {
  const wanted = 'a size with its unit, such as 512MiB or 20GB'
  return z
    .string(wanted)
    .regex(SIZE_PATTERN, wanted)
    .transform((written, context) => {
      const bytes = parseSize(written)
      if (bytes !== null && bytes >= low && Number.isSafeInteger(bytes)) return bytes
      context.addIssue({ code: 'custom', message: `${wanted}, at least ${low} bytes` })
      return z.NEVER
    })
}

export function patterns(example: string): z.ZodArray<z.ZodString> {
  const wanted = `a list of patterns such as ["${example}"]`
  return z.array(text(`a pattern such as "${example}"`), wanted)
}

/** Text, a variable or a file; what a file says in the clear is warned of. */
export const secret = z
  .union(
    [
      text('text or { from_env: NAME } or { from_file: PATH }; quote a password of digits'),
      z.strictObject(
        { from_env: text('the name of an environment variable') },
        'text or { from_env: NAME } or { from_file: PATH }',
      ),
      z.strictObject(
        { from_file: text('the path of a file') },
        'text or { from_env: NAME } or { from_file: PATH }',
      ),
    ],
    'text or { from_env: NAME } or { from_file: PATH }; quote a password of digits',
  )
  .describe('Fetched anew for each connection.')

export type SecretInput = z.output<typeof secret>

/**
 * What becomes of a row that fails, by name. `null` is one, which YAML takes for no value unless it
 * stands in quotes.
 */
export function rowPolicy<const Name extends string>(
  names: readonly [Name, ...Name[]],
): z.ZodType<Name | 'null', Name | 'null' | null> {
  const nothing = z.null().transform(() => 'null' as const)
  return z.union([z.enum(names), nothing], `one of ${names.join(', ')}`)
}
