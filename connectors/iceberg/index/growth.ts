// Arrays of the index that grow as rows come.

/** @returns a copy with room for `length` words, twice as many as before at least */
export function grown(array: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(Math.max(length, array.length * 2))
  larger.set(array)
  return larger
}
