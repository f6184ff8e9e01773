// Exact numbers, in two forms: as a double while everything stays within 2^53 (the narrow form),
// else as a bigint. A narrow result that may not be exact is NaN, and the batch is computed anew in
// the wide form. Decimals are rounded half away from zero.

/** @returns value / divisor; `divisor` is a power of ten */
export function roundDivide(value: number, divisor: number): number {
  const rest = value % divisor
  const quotient = (value - rest) / divisor
  if (2 * Math.abs(rest) < divisor) return quotient
  return value < 0 ? quotient - 1 : quotient + 1
}

export function roundDivideWide(value: bigint, divisor: bigint): bigint {
  const rest = value % divisor
  const quotient = value / divisor
  if (2n * (rest < 0n ? -rest : rest) < (divisor < 0n ? -divisor : divisor)) return quotient
  return value < 0n !== divisor < 0n ? quotient - 1n : quotient + 1n
}

/** @returns left * factor / right, rounded, neither being 0; NaN when it leaves 2^53 */
export function divideDecimal(left: number, factor: bigint, right: number): number {
  const quotient = roundDivideWide(BigInt(left) * factor, BigInt(right))
  const value = Number(quotient)
  return Number.isSafeInteger(value) ? value : Number.NaN
}

/** @returns the nearest integer; of two the even one, as casts of doubles do everywhere */
export function roundEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

/**
 * @returns unscaled / 10^scale as the nearest double. Up to 22 both numbers are exact doubles, so
 *          that one division rounds once; else the text is read, which rounds once as well
 */
export function decimalToDouble(unscaled: number, scale: number): number {
  return scale <= 22 ? unscaled / 10 ** scale + 0 : Number(`${unscaled}e-${scale}`)
}

export function decimalToDoubleWide(unscaled: bigint, scale: number): number {
  return scale === 0 ? Number(unscaled) : Number(`${unscaled}e-${scale}`)
}

/** @returns the shortest decimal text of a float: what reads back as the same float */
export function floatText(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(Number(value.toPrecision(9)))
}

/** @returns the value as unscaled decimal, rounded; `null` for NaN and infinities */
export function doubleToDecimal(text: string, scale: number): bigint | null {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(text) ?? []
  if (whole === '') return null
  const shift = Number(exponent) - fraction.length + scale
  const digits = BigInt(whole + fraction)
  // Beyond all decimals: no power of so many digits is made.
  if (shift > 400) return digits === 0n ? 0n : 10n ** 100n
  const value =
    shift >= 0 ? digits * 10n ** BigInt(shift) : roundDivideWide(digits, 10n ** BigInt(-shift))
  return sign === '' ? value : -value
}
