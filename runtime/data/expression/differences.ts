// Where results differ from those of other databases on purpose, and why. The differential tests
// hold that nothing else differs; docs/expressions.md prints this table.

export const differences = {
  UPPER_ESZETT: {
    subject: 'upper of ß',
    reason: 'It stays, as in PostgreSQL and in the simple mappings of Unicode; DuckDB gives ẞ.',
  },
  LIST_NEGATIVE: {
    subject: '`l[n]` with a negative place',
    reason: 'Null, as any place outside of the list; DuckDB counts from the end.',
  },
  EXACT_TO_DOUBLE: {
    subject: 'a decimal as double or float',
    reason: 'The nearest one; DuckDB divides two rounded numbers and is a few units off.',
  },
  FLOATING_TEXT: {
    subject: 'a double or float as text',
    reason:
      'The shortest text that reads back as the same number, written as JSON has it: 1, 0.00001, ' +
      '1e+21. DuckDB writes 1.0 and 1e-05, PostgreSQL 1 and 1e-05.',
  },
  HEX_NUMBER: {
    subject: "a text as number: '0x10'",
    reason: 'No number; DuckDB and PostgreSQL 16 read hexadecimal digits.',
  },
  DOUBLE_TOO_LARGE: {
    subject: "a text as double or float: '1e400'",
    reason: 'An error, as in PostgreSQL; DuckDB makes infinity of it.',
  },
  END_OF_DAY: {
    subject: "the time '24:00:00'",
    reason: 'An error: the lake has no such time. DuckDB and PostgreSQL take it.',
  },
  TIME_TWICE: {
    subject: 'a local time that exists twice',
    reason: 'The earlier one; DuckDB and PostgreSQL take the later one.',
  },
  WEEKS_BETWEEN: {
    subject: 'date_diff of weeks',
    reason: 'The Mondays between, as for all units; DuckDB counts seven days from the first time.',
  },
  SUBSTRING_BEFORE: {
    subject: 'substring with a place or length below 0',
    reason:
      'As in the SQL standard and PostgreSQL: places before the first are empty, a negative ' +
      'length is an error. DuckDB counts from the end.',
  },
  NO_MATCH: {
    subject: 'regexp_extract without a match',
    reason: 'Null, since the empty text can be a match; DuckDB gives the empty text.',
  },
  REPLACE_ALL: {
    subject: 'regexp_replace with several matches',
    reason: 'All are replaced; DuckDB and PostgreSQL replace the first.',
  },
  OFFSET_SECONDS: {
    subject: 'a timestamptz as text, at an offset with seconds',
    reason: 'The seconds are written, as in PostgreSQL; DuckDB cuts them off.',
  },
} as const satisfies Record<string, { readonly subject: string; readonly reason: string }>

export type DifferenceName = keyof typeof differences
