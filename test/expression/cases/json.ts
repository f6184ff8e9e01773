// Functions of JSON documents against DuckDB.

import type { OracleCase } from '../oracle.ts'

const PATHS = ['$', '$.a', '$.a.b', '$[0]', '$[1].a', '$."a"', '$.b[0]', '$.a[-1]']

/** Numbers are one type here. */
const TYPE =
  "CASE WHEN json_type(js) IN ('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT') THEN 'number' " +
  "WHEN json_type(js) = 'VARCHAR' THEN 'string' ELSE lower(json_type(js)) END"

export const jsonCases: readonly OracleCase[] = [
  ...PATHS.flatMap((path): OracleCase[] => [
    {
      ours: `json_query(js, '${path}')`,
      theirs: `json_extract(js, '${path.replace('[-1]', '[#-1]')}')`,
    },
    {
      ours: `json_value(js, '${path}')`,
      theirs:
        `CASE WHEN json_type(js, '${path.replace('[-1]', '[#-1]')}') NOT IN ('OBJECT', 'ARRAY', 'NULL') ` +
        `THEN json_extract_string(js, '${path.replace('[-1]', '[#-1]')}') END`,
    },
    {
      ours: `json_exists(js, '${path}')`,
      theirs: `json_exists(js, '${path.replace('[-1]', '[#-1]')}')`,
    },
  ]),
  {
    ours: "json_query(js, '$[*]')",
    theirs: "CASE WHEN js IS NOT NULL THEN to_json(json_extract(js, '$[*]')) END",
  },
  {
    ours: "json_query(js, '$.a[*]')",
    theirs: "CASE WHEN js IS NOT NULL THEN to_json(json_extract(js, '$.a[*]')) END",
  },
  { ours: 'json_type(js)', theirs: TYPE },
  {
    ours: 'json_length(js)',
    theirs:
      "CASE json_type(js) WHEN 'ARRAY' THEN json_array_length(js) WHEN 'OBJECT' THEN len(json_keys(js)) END",
  },
  { ours: 'json_keys(js)', theirs: "CASE json_type(js) WHEN 'OBJECT' THEN json_keys(js) END" },
  { ours: 'json_parse(CAST(js AS string))', theirs: 'js' },
  {
    ours: 'try_json_parse(nums) IS NOT NULL',
    theirs: "coalesce(json_valid(nums) AND NOT regexp_matches(nums, '[a-z]{2}', 'i'), FALSE)",
  },
  {
    ours: "json_extract(js, '$.a', 'string')",
    theirs:
      "CASE WHEN json_type(js, '$.a') NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN js ->> '$.a' END",
  },
  {
    ours: "try(json_extract(js, '$[0]', 'long'))",
    theirs:
      "CASE WHEN json_type(js, '$[0]') NOT IN ('OBJECT', 'ARRAY', 'NULL') " +
      "THEN TRY_CAST(js ->> '$[0]' AS BIGINT) END",
  },
  { ours: 'to_json(l)', theirs: 'l::VARCHAR' },
  { ours: 'to_json(s)', theirs: 'to_json(s)::VARCHAR' },
  { ours: 'to_json(b)', theirs: 'b::VARCHAR' },
  { ours: 'to_json(p)', theirs: 'p::VARCHAR' },
  { ours: 'to_json(d)', theirs: "'\"' || d::VARCHAR || '\"'" },
  { ours: 'to_json(id)', theirs: "'\"' || id::VARCHAR || '\"'" },
  { ours: 'to_json(li)', theirs: 'to_json(li)::VARCHAR' },
  { ours: 'to_json(ls)', theirs: 'to_json(ls)::VARCHAR' },
  { ours: 'to_json(js)', theirs: 'js::VARCHAR' },
]
