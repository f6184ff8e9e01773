// Functions of lists against DuckDB.

import type { OracleCase } from '../oracle.ts'

/** DuckDB drops nulls: ours has one, last where it is sorted. */
function distinct(list: string): string {
  const none = `len(list_filter(${list}, lambda x: x IS NULL)) > 0`
  return `list_sort(list_distinct(${list}), 'ASC', 'NULLS LAST') || CASE WHEN ${none} THEN [NULL] ELSE [] END`
}

export const listCases: readonly OracleCase[] = [
  { ours: 'list(n, k, i)', theirs: '[n, k, i]' },
  { ours: 'list(s, NULL, u)', theirs: '[s, NULL, u]' },
  { ours: 'list(p, p)', theirs: '[p, p]' },
  { ours: 'cardinality(li)', theirs: 'len(li)' },
  { ours: 'cardinality(ls)', theirs: 'len(ls)' },
  { ours: 'list_contains(li, n)' },
  { ours: 'list_contains(ls, c1)' },
  {
    ours: 'list_position(li, n)',
    theirs: 'CASE WHEN li IS NOT NULL AND n IS NOT NULL THEN coalesce(list_position(li, n), 0) END',
  },
  { ours: 'list_slice(li, 2, 3)', theirs: 'li[2:3]' },
  { ours: 'list_slice(ls, -5, 2)', theirs: 'ls[1:2]' },
  { ours: 'list_slice(ls, 3, 1)', theirs: 'CASE WHEN ls IS NOT NULL THEN [] END' },
  { ours: 'list_sort(li)', theirs: "list_sort(li, 'ASC', 'NULLS LAST')" },
  { ours: 'list_sort(ls)', theirs: "list_sort(ls, 'ASC', 'NULLS LAST')" },
  { ours: 'list_sort(list(x, y, r))', theirs: "list_sort([x, y, r], 'ASC', 'NULLS LAST')" },
  { ours: 'list_sort(list(w, w))', theirs: "list_sort([w, w], 'ASC', 'NULLS LAST')" },
  { ours: 'list_sort(list_distinct(li))', theirs: distinct('li') },
  { ours: 'list_sort(list_distinct(ls))', theirs: distinct('ls') },
  {
    ours: "list_join(ls, '-')",
    theirs: "CASE WHEN ls IS NOT NULL THEN coalesce(array_to_string(ls, '-'), '') END",
  },
  {
    ours: "list_join(li, ', ')",
    theirs: "CASE WHEN li IS NOT NULL THEN coalesce(array_to_string(li, ', '), '') END",
  },
  { ours: 'list_concat(li, li)', theirs: 'CASE WHEN li IS NOT NULL THEN list_concat(li, li) END' },
  {
    ours: 'list_concat(ls, list(s))',
    theirs: 'CASE WHEN ls IS NOT NULL THEN list_concat(ls, [s]) END',
  },
]
