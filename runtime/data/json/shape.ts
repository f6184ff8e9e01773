// What is wanted of an object: its members by name, each with the slot that takes its place in the
// bytes, or with members of its own, or both.

/** A slot is a column, or what an envelope needs. */
export const NO_SLOT = -1

export interface Member {
  readonly name: string
  readonly slot: number
  readonly child: Shape | null
}

/**
 * What is noted of members that nobody wants: nothing · that there is one · that there is one whose
 * value is not null.
 */
export type Strangers = 'ignored' | 'noted' | 'valued'

export interface Shape {
  /** Those with members of their own come last. */
  readonly members: readonly Member[]
  readonly strangers: Strangers
}

/** A path of names, and the slot of the value at its end. */
export interface WantedPath {
  readonly path: readonly string[]
  readonly slot: number
}

/**
 * The shape of all paths together.
 *
 * @param inner  of the objects that paths lead through
 */
export function shapeOf(
  wanted: readonly WantedPath[],
  strangers: Strangers,
  inner: Strangers = strangers,
): Shape {
  const names = [...new Set(wanted.map(({ path }) => path[0] ?? ''))]
  const members = names.map((name): Member => {
    const here = wanted.filter(({ path }) => path[0] === name)
    const slot = here.find(({ path }) => path.length === 1)?.slot ?? NO_SLOT
    const below = here
      .filter(({ path }) => path.length > 1)
      .map(({ path, slot: last }) => ({ path: path.slice(1), slot: last }))
    return { name, slot, child: below.length === 0 ? null : shapeOf(below, inner) }
  })
  const leaves = members.filter(({ child }) => child === null)
  return { members: [...leaves, ...members.filter(({ child }) => child !== null)], strangers }
}

/** @returns every slot of the shape, those of inner objects included */
export function slotsOf({ members }: Shape): number[] {
  return members.flatMap(({ slot, child }) => [
    ...(slot === NO_SLOT ? [] : [slot]),
    ...(child === null ? [] : slotsOf(child)),
  ])
}
