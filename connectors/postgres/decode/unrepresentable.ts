// How a kernel says that a value has no place in its lake type. It is thrown only for such values,
// so the hot path pays nothing; the place in the bytes tells the caller which column it was.

export class UnrepresentableValue extends Error {
  override readonly name = 'UnrepresentableValue'
  /** Offset of the value (or of a byte in it) in the bytes being decoded. */
  readonly at: number

  constructor(at: number, reason: string) {
    super(reason)
    this.at = at
  }
}

/** numeric's NaN, Infinity and -Infinity have no place in a decimal. */
export function refuseNotANumber(bytes: Uint8Array, at: number): void {
  if (bytes[at]! > 0x39) throw new UnrepresentableValue(at, 'NaN and infinity have no decimal')
}
