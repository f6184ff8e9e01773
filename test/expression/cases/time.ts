// Functions of dates and times against DuckDB.

import type { OracleCase } from '../oracle.ts'

const CALENDAR = ['year', 'quarter', 'month', 'week', 'day']
const CLOCK = ['hour', 'minute', 'second', 'millisecond', 'microsecond']
const BERLIN = 'Europe/Berlin'
const YORK = 'America/New_York'

/** Patterns: ours and theirs. */
const PATTERNS: readonly (readonly [string, string])[] = [
  ["yyyy-MM-dd''T''HH:mm:ss.SSSSSS", '%Y-%m-%dT%H:%M:%S.%f'],
  ['dd.MM.yyyy', '%d.%m.%Y'],
  ['yyyyMMddHHmmssSSS', '%Y%m%d%H%M%S%g'],
  ['MMM d, h:mm a', '%b %-d, %-I:%M %p'],
  ['EEEE, MMMM dd', '%A, %B %d'],
  ['EEE D', '%a %-j'],
  ['YYYY-ww', '%G-%V'],
]

/** DuckDB counts no Mondays. */
function weeks(unit: string): Pick<OracleCase, 'differs'> {
  return unit === 'week' ? { differs: { name: 'WEEKS_BETWEEN', where: () => true } } : {}
}

export const timeFunctionCases: readonly OracleCase[] = [
  ...CALENDAR.flatMap((unit): OracleCase[] => [
    { ours: `date_trunc('${unit}', ts)` },
    { ours: `date_trunc('${unit}', d)`, theirs: `date_trunc('${unit}', d)::DATE` },
    { ours: `date_trunc('${unit}', tz)`, zone: YORK },
    { ours: `date_diff('${unit}', d, e)`, ...weeks(unit) },
    { ours: `date_diff('${unit}', ts, ts2)`, ...weeks(unit) },
    { ours: `date_diff('${unit}', tz, tl AT TIME ZONE 'UTC')`, zone: BERLIN, ...weeks(unit) },
    {
      ours: `date_add('${unit}', n, d)`,
      theirs: `(d + to_${unit}s(n))::DATE`,
    },
    { ours: `date_add('${unit}', n, ts)`, theirs: `ts + to_${unit}s(n)` },
    // Of an hour that exists twice DuckDB takes the later: from one to two in New York.
    {
      ours: `CASE WHEN hour(date_add('${unit}', n, tz)) <> 1 THEN date_add('${unit}', n, tz) END`,
      theirs: `CASE WHEN hour(tz + to_${unit}s(n)) <> 1 THEN tz + to_${unit}s(n) END`,
      zone: YORK,
    },
  ]),
  ...CLOCK.flatMap((unit): OracleCase[] => [
    { ours: `date_trunc('${unit}', ts)` },
    { ours: `date_trunc('${unit}', tz)`, zone: 'Asia/Kathmandu' },
    { ours: `date_diff('${unit}', ts, ts2)` },
    { ours: `date_diff('${unit}', tz, tl AT TIME ZONE 'UTC')` },
    { ours: `date_add('${unit}', n, ts)`, theirs: `ts + to_${unit}s(n)` },
    { ours: `date_add('${unit}', n, tz)`, theirs: `tz + to_${unit}s(n)`, zone: BERLIN },
  ]),
  {
    ours: `date_trunc('day', tz, '${BERLIN}')`,
    theirs: `date_trunc('day', tz AT TIME ZONE '${BERLIN}') AT TIME ZONE '${BERLIN}'`,
  },
  {
    ours: "date_diff('week', d, e)",
    theirs: "(date_trunc('week', e)::DATE - date_trunc('week', d)::DATE) // 7",
  },
  { ours: 'date(ts)', theirs: 'ts::DATE' },
  { ours: 'date(tz)', theirs: 'tz::DATE', zone: YORK },
  { ours: 'last_day(d)' },
  { ours: 'last_day(ts)' },
  ...['year', 'quarter', 'month', 'day', 'hour', 'minute', 'second', 'week'].map((part) => ({
    ours: `${part}(ts)`,
  })),
  { ours: `hour(tz, '${BERLIN}')`, theirs: `hour(tz AT TIME ZONE '${BERLIN}')` },
  { ours: 'day_of_week(d)', theirs: 'isodow(d)' },
  { ours: 'day_of_year(tz)', theirs: 'dayofyear(tz)', zone: YORK },
  { ours: 'make_date(n + 2000, n % 14, n)', theirs: 'make_date(n + 2000, n % 14, n)', fails: true },
  { ours: "to_unix(tz, 'us')", theirs: 'epoch_us(tz)' },
  { ours: "to_unix(tz, 'ms')", theirs: 'epoch_us(tz) // 1000 - (epoch_us(tz) % 1000 < 0)::INT' },
  {
    ours: "to_unix(tz, 's')",
    theirs: 'epoch_us(tz) // 1000000 - (epoch_us(tz) % 1000000 < 0)::INT',
  },
  { ours: "from_unix(k * 86399, 's')", theirs: 'make_timestamptz(k::BIGINT * 86399 * 1000000)' },
  { ours: "from_unix(i, 'ms')", theirs: 'make_timestamptz(i::BIGINT * 1000)' },
  {
    ours: "time_slice(ts, INTERVAL '15' MINUTE)",
    theirs: "time_bucket(INTERVAL '15 minutes', ts, TIMESTAMP '1970-01-01')",
  },
  {
    ours: "time_slice(tz, INTERVAL '7' HOUR)",
    theirs: "time_bucket(INTERVAL '7 hours', tz, TIMESTAMPTZ '1970-01-01')",
  },
  {
    ours: "time_slice(d, INTERVAL '5' MONTH)",
    theirs: "time_bucket(INTERVAL '5 months', d, DATE '1970-01-01')::DATE",
  },
  {
    ours: "time_slice(d, INTERVAL '3' DAY)",
    theirs: "time_bucket(INTERVAL '3 days', d, DATE '1970-01-01')::DATE",
  },
  {
    ours: "time_slice(d, INTERVAL '2' WEEK)",
    theirs: "time_bucket(INTERVAL '14 days', d, DATE '1970-01-05')::DATE",
  },
  { ours: "time_slice(ts, INTERVAL '1' YEAR)", theirs: "date_trunc('year', ts)" },
  { ours: "time_slice(tz, INTERVAL '1' DAY)", theirs: "date_trunc('day', tz)", zone: BERLIN },
  ...PATTERNS.flatMap(([ours, theirs]): OracleCase[] => [
    {
      ours: `CASE WHEN ts > TIMESTAMP '1000-01-01 00:00:00' THEN date_format(ts, '${ours}') END`,
      theirs: `CASE WHEN ts > TIMESTAMP '1000-01-01' THEN strftime(ts, '${theirs}') END`,
    },
  ]),
  {
    ours:
      "CASE WHEN tz > TIMESTAMPTZ '1000-01-02 00:00:00' " +
      `THEN date_format(tz, 'yyyy-MM-dd HH:mm', '${YORK}') END`,
    theirs:
      "CASE WHEN tz > TIMESTAMP '1000-01-02' " +
      `THEN strftime(tz AT TIME ZONE '${YORK}', '%Y-%m-%d %H:%M') END`,
  },
  {
    ours: "try(to_date(dts, 'yyyy-MM-dd'))",
    theirs:
      "CASE WHEN regexp_full_match(dts, '\\d{4,6}-\\d\\d-\\d\\d') " +
      "THEN try_strptime(dts, '%Y-%m-%d')::DATE END",
  },
  { ours: 'to_date(dts)', theirs: 'TRY_CAST(dts AS DATE)' },
  { ours: 'to_timestamp(tss)', theirs: 'TRY_CAST(tss AS TIMESTAMP)' },
  { ours: 'to_timestamptz(tss)', theirs: 'TRY_CAST(tss AS TIMESTAMPTZ)', zone: 'Asia/Kolkata' },
  // What a pattern has written it reads back.
  ...[
    "dd/MM/yyyy HH''h''mm:ss.SSSSSS",
    'yyyyMMddHHmmssSSSSSS',
    'MMMM d yyyy, hh:mm:ss a.SSSSSS',
    'MMM dd yyyy HH:mm:ss SSSSSS',
  ].map((pattern) => ({
    ours: `to_timestamp(date_format(ts, '${pattern}'), '${pattern}')`,
    theirs: 'ts',
  })),
  ...['X', 'XX', 'XXX', 'xxx'].map((offset) => ({
    ours:
      `to_timestamptz(date_format(tz, 'yyyy-MM-dd HH:mm:ss.SSSSSS${offset}', 'Asia/Kolkata'), ` +
      `'yyyy-MM-dd HH:mm:ss.SSSSSS${offset}')`,
    theirs: 'tz',
  })),
]
