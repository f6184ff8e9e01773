// Paths into JSON documents: $ is the document, .name or ."any name" a member, [n] an element from
// 0, [*] all elements. Nothing is built: what is found is a range of the document's own bytes.

import { findElement, findMember, found, skipSpace, skipValue } from './json-scan.ts'

export type PathStep =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'element'; readonly index: number }
  | { readonly kind: 'all' }

const STEP = /\.(?:"((?:[^"\\]|\\.)*)"|([\p{L}_][\p{L}\p{N}_$-]*))|\[(?:(-?\d{1,9})|(\*))\]/uy

/** @returns the steps of a path; a text says what is wrong with it */
export function readPath(path: string): readonly PathStep[] | string {
  if (!path.startsWith('$')) return 'it does not begin with $'
  const steps: PathStep[] = []
  for (STEP.lastIndex = 1; STEP.lastIndex < path.length;) {
    const at = STEP.lastIndex
    const match = STEP.exec(path)
    if (match === null) {
      STEP.lastIndex = 0
      return path.startsWith('..', at) ? '".." is not supported' : `"${path.slice(at)}" is no step`
    }
    const [, quoted, plain, index, star] = match
    if (star !== undefined) steps.push({ kind: 'all' })
    else if (index !== undefined) steps.push({ kind: 'element', index: Number(index) })
    else {
      const name = plain ?? (JSON.parse(`"${quoted ?? ''}"`) as string)
      steps.push({ kind: 'member', name })
    }
  }
  return steps
}

/** @returns true when the path has one value at most */
export function isSingle(path: readonly PathStep[]): boolean {
  return path.every(({ kind }) => kind !== 'all')
}

/** Called with the range of a value. @returns false to end the search */
export type OnValue = (start: number, end: number) => boolean

/**
 * Calls `see` for each value that the path leads to, in the order of the document.
 *
 * @param bytes  with a valid document at [start, end)
 * @returns false when `see` has ended it
 */
export function followPath(
  bytes: Uint8Array,
  start: number,
  end: number,
  path: readonly PathStep[],
  see: OnValue,
  from = 0,
): boolean {
  let [left, right] = [skipSpace(bytes, start, end), end]
  for (let at = from; at < path.length; at++) {
    const step = path[at]!
    if (step.kind === 'all') {
      return eachElement(bytes, left, right, (first, last) =>
        followPath(bytes, first, last, path, see, at + 1),
      )
    }
    const there =
      step.kind === 'member'
        ? findMember(bytes, left, right, step.name)
        : findElement(bytes, left, right, step.index)
    if (!there) return true
    left = found.start
    right = found.end
  }
  return see(left, skipValue(bytes, left, right, 0))
}

/** @returns false when `see` has ended it; what is no array has no elements */
export function eachElement(bytes: Uint8Array, start: number, end: number, see: OnValue): boolean {
  const open = skipSpace(bytes, start, end)
  if (open >= end || bytes[open] !== 0x5b) return true
  let at = skipSpace(bytes, open + 1, end)
  while (at < end && bytes[at] !== 0x5d) {
    const behind = skipValue(bytes, at, end, 0)
    if (behind < 0) return true
    if (!see(at, behind)) return false
    at = skipSpace(bytes, behind, end)
    if (bytes[at] === 0x2c) at = skipSpace(bytes, at + 1, end)
  }
  return true
}
