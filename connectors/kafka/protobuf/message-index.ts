// Which message of its schema a record holds: behind the id stand the places of the message among
// its siblings, from the outermost on. Each combination is looked up once and then known by its
// bytes, so that no record costs more than a comparison.
// Source: Confluent Schema Registry, "Wire format",
// https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html

/** Deeper than anybody nests; a count beyond it is no count. */
const INDEXES_MAX = 100

export interface MessageIndexes {
  readonly indexes: readonly number[]
  /** Place behind them. */
  readonly end: number
}

/**
 * Reads the count and the indexes, all of them zigzag varints; a count of 0 stands for the first
 * message.
 *
 * @returns `null`: there are none at `at`
 */
export function readIndexes(bytes: Uint8Array, at: number, end: number): MessageIndexes | null {
  const numbers: number[] = []
  let place = at
  let wanted = 1
  while (numbers.length < wanted) {
    let value = 0
    let scale = 1
    for (let size = 1; ; size++, place++) {
      const byte = bytes[place] ?? 0
      if (place >= end || size > 5) return null
      value += (byte & 127) * scale
      scale *= 128
      if (byte < 128) break
    }
    place++
    // The negative ones are odd.
    if (value % 2 === 1) return null
    numbers.push(value / 2)
    if (numbers.length === 1) wanted = value / 2 + 1
    if (wanted > INDEXES_MAX) return null
  }
  const indexes = numbers.slice(1)
  return { indexes: indexes.length === 0 ? [0] : indexes, end: place }
}

/** Routes of the messages of one schema, by the bytes of their indexes. */
export class Routes<T> {
  private readonly known: { readonly bytes: Uint8Array; readonly route: T }[] = []
  private readonly find: (indexes: readonly number[]) => T
  /** Place behind the indexes that were looked up last. */
  end = 0

  constructor(find: (indexes: readonly number[]) => T) {
    this.find = find
  }

  /** @returns `null`: there are no indexes at `at` */
  of(bytes: Uint8Array, at: number, end: number): T | null {
    for (const one of this.known) {
      if (startsWith(bytes, at, end, one.bytes)) {
        this.end = at + one.bytes.length
        return one.route
      }
    }
    const read = readIndexes(bytes, at, end)
    if (read === null) return null
    const route = this.find(read.indexes)
    this.known.push({ bytes: bytes.slice(at, read.end), route })
    this.end = read.end
    return route
  }
}

/** No indexes are the beginning of others: the first byte says how many there are. */
function startsWith(bytes: Uint8Array, at: number, end: number, prefix: Uint8Array): boolean {
  if (at + prefix.length > end) return false
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[at + index] !== prefix[index]) return false
  }
  return true
}
