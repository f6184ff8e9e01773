// "Did you mean": the known name that a misspelled one most likely stands for.

/**
 * @param name   what was written
 * @param known  candidates, the likelier first
 * @returns the candidate with the fewest slips (insert, delete, replace, swap); `null` when none is
 *          near enough to be more than a guess: one slip for every three letters, at least one
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  const wanted = fold(name)
  let best: string | null = null
  let bestSlips = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const slips = editDistance(wanted, fold(candidate))
    if (slips < bestSlips) {
      best = candidate
      bestSlips = slips
    }
  }
  return best
}

function fold(name: string): string {
  return snakeCase(name.slice(0, NAME_LENGTH_MAX))
}

/** Other tools write `source-table`, `source.table` or `sourceTable`; ours is `source_table`. */
export function snakeCase(name: string): string {
  const snake = name.replace(/([a-z0-9])([A-Z])/g, '$1_$2')
  return snake.replace(/[-. ]/g, '_').toLowerCase()
}

// Longer names are no slip of the pen, and the distance costs the product of the lengths.
const NAME_LENGTH_MAX = 64

/** Optimal string alignment distance. Source: Damerau 1964. */
function editDistance(left: string, right: string): number {
  let before: number[] = []
  let above = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      const choices = [
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      ]
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (row > 1 && column > 1 && swapped) choices.push((before[column - 2] ?? 0) + 1)
      current.push(Math.min(...choices))
    }
    before = above
    above = current
  }
  return above[right.length] ?? 0
}
