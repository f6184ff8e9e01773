// Checks on our own mistakes. Input from outside can never trip one: it gets a PipelineError.

export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure'
}

/**
 * Stops the task when one of our own invariants is broken. Call it per batch, never per row.
 *
 * @param reason  what must hold and why, in a few words
 * @throws AssertionFailure
 */
export function assert(condition: unknown, reason: string): asserts condition {
  if (!condition) throw new AssertionFailure(reason)
}

/** Returns `value`, which by our own reasoning cannot be absent. @throws AssertionFailure */
export function present<T>(value: T | null | undefined, reason: string): T {
  if (value === null || value === undefined) throw new AssertionFailure(reason)
  return value
}

/** Marks a branch that the types already exclude. @throws AssertionFailure always */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${JSON.stringify(value)}`)
}
