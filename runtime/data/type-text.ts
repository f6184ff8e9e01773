// Types as people write them: `decimal(12,2)`, `list<int>`, `json`. What `formatType` prints is
// read back as the same type.

import type { ColumnType, PrimitiveType } from './type.ts'

/** Iceberg's own limit. */
const PRECISION_MAX = 38

const NAMED = {
  boolean: { kind: 'boolean' },
  int: { kind: 'int' },
  long: { kind: 'long' },
  float: { kind: 'float' },
  double: { kind: 'double' },
  date: { kind: 'date' },
  time: { kind: 'time' },
  timestamp: { kind: 'timestamp' },
  timestamptz: { kind: 'timestamptz' },
  string: { kind: 'string' },
  json: { kind: 'string', json: true },
  uuid: { kind: 'uuid' },
  binary: { kind: 'binary' },
} as const satisfies Record<string, PrimitiveType>

/** Names of types, for messages. */
export const TYPE_NAMES: readonly string[] = [...Object.keys(NAMED), 'decimal(12,2)', 'list<...>']

/** @returns `null` when the text names no type */
export function parseType(text: string): ColumnType | null {
  const written = text.trim().toLowerCase()
  const element = /^list\s*<(.*)>$/s.exec(written)?.[1]
  if (element === undefined) return parsePrimitive(written)
  const type = parsePrimitive(element.trim())
  return type === null ? null : { kind: 'list', element: type }
}

function parsePrimitive(text: string): PrimitiveType | null {
  if (Object.hasOwn(NAMED, text)) return NAMED[text as keyof typeof NAMED]
  const digits = /^decimal\s*\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)$/.exec(text)
  if (digits === null) return null
  const precision = Number(digits[1])
  const scale = Number(digits[2] ?? 0)
  if (precision < 1 || precision > PRECISION_MAX || scale > precision) return null
  return { kind: 'decimal', precision, scale }
}
