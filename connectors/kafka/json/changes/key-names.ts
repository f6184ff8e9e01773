// Which columns are the key: from the key of a record, or from a list in its value. Read once for
// each structure, so that objects do no harm here.

/** Of a record's key: by itself, or the payload beside its schema. */
export function keyNames(bytes: Uint8Array, start: number, end: number): readonly string[] | null {
  if (start < 0) return null
  const key = parsed(bytes, start, end)
  if (!isObject(key)) return null
  const { payload } = key
  const hasSchema = 'schema' in key && Object.keys(key).length === 2
  const names = Object.keys(hasSchema && isObject(payload) ? payload : key)
  return names.length === 0 ? null : names
}

/** A list of names, whose text has been checked. */
export function namesAt(bytes: Uint8Array, start: number, end: number): readonly string[] | null {
  const names = start < 0 ? null : parsed(bytes, start, end)
  if (!Array.isArray(names) || names.length === 0) return null
  return names.every((name) => typeof name === 'string') ? names : null
}

function parsed(bytes: Uint8Array, start: number, end: number): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)))
  } catch {
    // A key of another format names no columns.
    return null
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
