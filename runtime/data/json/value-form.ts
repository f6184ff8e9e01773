// What a kernel is told of its column, besides what its type says.

export interface ValueForm {
  readonly precision: number
  /**
   * Places behind the point that a number keeps: of a decimal its scale; of a time what makes
   * microseconds of its unit, which is below 0 for nanoseconds.
   */
  readonly scale: number
}

export function valueForm(precision: number, scale: number): ValueForm {
  return { precision, scale }
}
