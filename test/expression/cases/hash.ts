// Hashes and masks against DuckDB.

import type { OracleCase } from '../oracle.ts'

/** The sha1 of namespace and name, with the bits of version 5. */
function uuidOf(namespace: string, name: string): string {
  const hash = `sha1(unhex(replace(${namespace}, '-', '')) || encode(${name}))`
  const variant = `substr('89ab', (('0x' || substr(${hash}, 17, 1))::INTEGER & 3) + 1, 1)`
  const text = `substr(${hash}, 1, 12) || '5' || substr(${hash}, 14, 3) || ${variant}`
  return `(${text} || substr(${hash}, 18, 15))::UUID`
}

export const hashCases: readonly OracleCase[] = [
  { ours: 'md5(s)' },
  { ours: 'md5(bin)' },
  { ours: 'sha1(s)' },
  { ours: 'sha1(bin)' },
  { ours: 'sha256(u)' },
  { ours: 'sha256(bin)' },
  { ours: 'to_hex(bin)', theirs: 'lower(hex(bin))' },
  { ours: 'to_hex(s)', theirs: 'lower(hex(s))' },
  { ours: 'from_hex(to_hex(bin))', theirs: 'bin' },
  { ours: 'from_hex(upper(to_hex(u)))', theirs: 'encode(u)' },
  { ours: 'to_base64(bin)' },
  { ours: 'to_base64(s)', theirs: 'to_base64(encode(s))' },
  { ours: 'from_base64(to_base64(bin))', theirs: 'bin' },
  {
    ours: "uuid_v5('dns', s)",
    theirs: uuidOf("'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", 's'),
  },
  { ours: 'uuid_v5(id, u)', theirs: uuidOf('id::TEXT', 'u') },
  {
    ours: 'mask_partial(s, 1, 2)',
    theirs:
      "CASE WHEN length(s) > 3 THEN left(s, 1) || repeat('*', length(s) - 3) || right(s, 2) " +
      "ELSE repeat('*', length(s)) END",
  },
  {
    ours: "mask_partial(u, n, 0, '#-')",
    theirs:
      "CASE WHEN length(u) > n AND n > 0 THEN left(u, n) || repeat('#-', length(u) - n) " +
      "WHEN n IS NOT NULL THEN repeat('#-', length(u)) END",
  },
  { ours: 'mask_digits(s)', theirs: "regexp_replace(s, '\\p{Nd}', '*', 'g')" },
  { ours: 'mask_all(u)', theirs: "CASE WHEN u IS NOT NULL THEN '****' END" },
  {
    ours: "mask_email(concat(c1, '@', a))",
    theirs:
      "CASE c1 WHEN '' THEN CASE WHEN a IS NOT NULL THEN '****' END ELSE " +
      "CASE WHEN length(c1) = 1 THEN '' ELSE left(c1, 1) END || '****@' || a END",
  },
]
