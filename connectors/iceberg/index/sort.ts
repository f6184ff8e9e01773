// Order of keys: unsigned comparison of the words of their hashes, word 0 first. Runs on disk,
// folds and look-ups in runs all go by it.

const DIGIT_BITS = 11
const DIGITS = 1 << DIGIT_BITS
const DIGIT_MASK = DIGITS - 1

/** Reused by all calls: the sorted keys' words 0, and the counts of one digit. */
let ranks = new Int32Array(0)
let spareRanks = new Int32Array(0)
const counts = new Int32Array(DIGITS)

/**
 * @param keys    rows of `stride` words that begin with a hash of `words` words
 * @param starts  index of the first word of each key to sort, `count` of them; `null`: all rows
 * @returns indexes of first words in ascending order of the keys
 * Cost: 15-25 ns a key: one pass of a radix sort for each 11 bits of word 0 that differ.
 */
export function orderByHash(
  keys: Int32Array,
  words: number,
  stride: number,
  starts: Int32Array | null,
  count: number,
): Int32Array {
  if (ranks.length < count) {
    ranks = new Int32Array(count)
    spareRanks = new Int32Array(count)
  }
  let order = new Int32Array(count)
  let same = 0
  const first = count === 0 ? 0 : keys[starts === null ? 0 : starts[0]!]!
  for (let index = 0; index < count; index++) {
    const at = starts === null ? index * stride : starts[index]!
    const rank = keys[at]!
    order[index] = at
    ranks[index] = rank
    same |= rank ^ first
  }
  let spare = new Int32Array(count)
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    // Keys of one segment have the same upper bits.
    if (((same >>> shift) & DIGIT_MASK) === 0) continue
    sortByDigit(order, spare, count, shift)
    const sorted = spare
    spare = order
    order = sorted
  }
  settleTies(keys, words, order)
  return order
}

/** Moves order and ranks to the spare arrays, stably, by the digit at `shift`. */
function sortByDigit(order: Int32Array, to: Int32Array, count: number, shift: number): void {
  const from = ranks
  const ranksTo = spareRanks
  counts.fill(0)
  for (let index = 0; index < count; index++) counts[(from[index]! >>> shift) & DIGIT_MASK]!++
  let next = 0
  for (let digit = 0; digit < DIGITS; digit++) {
    const digits = counts[digit]!
    counts[digit] = next
    next += digits
  }
  for (let index = 0; index < count; index++) {
    const rank = from[index]!
    const place = counts[(rank >>> shift) & DIGIT_MASK]!++
    to[place] = order[index]!
    ranksTo[place] = rank
  }
  ranks = ranksTo
  spareRanks = from
}

/** Keys with the same word 0 are few and stand together: insertion sort by the other words. */
function settleTies(keys: Int32Array, words: number, order: Int32Array): void {
  for (let rank = 1; rank < order.length; rank++) {
    const at = order[rank]!
    let to = rank
    while (
      to > 0 &&
      keys[order[to - 1]!] === keys[at] &&
      compareKeys(keys, order[to - 1]!, keys, at, words) > 0
    ) {
      order[to] = order[to - 1]!
      to--
    }
    order[to] = at
  }
}

/** @returns below 0, 0 or above 0, as the left key is before, equal to or after the right one */
export function compareKeys(
  left: Int32Array,
  leftAt: number,
  right: Int32Array,
  rightAt: number,
  words: number,
): number {
  for (let word = 0; word < words; word++) {
    const a = left[leftAt + word]!
    const b = right[rightAt + word]!
    // Flipping the sign bit turns the order of int32 into that of u32.
    if (a !== b) return (a ^ 0x80000000) < (b ^ 0x80000000) ? -1 : 1
  }
  return 0
}
