// What can be wrong with the bytes of a record. The numbers stand in generated code.

export const Verdict = {
  whole: 0,
  truncated: 1,
  trailing: 2,
  varint: 3,
  length: 4,
  branch: 5,
  symbol: 6,
  boolean: 7,
  utf8: 8,
  range: 9,
  deep: 10,
} as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]

const TEXTS: Readonly<Record<Verdict, string>> = {
  [Verdict.whole]: 'nothing is wrong',
  [Verdict.truncated]: 'the bytes end before the schema does',
  [Verdict.trailing]: 'there are more bytes than the schema takes',
  [Verdict.varint]: 'a number has more bits than its type',
  [Verdict.length]: 'a length is negative or leads beyond the record',
  [Verdict.branch]: 'the union has no such branch',
  [Verdict.symbol]: 'the enum has no such symbol',
  [Verdict.boolean]: 'a boolean is neither 0 nor 1',
  [Verdict.utf8]: 'a string is no UTF-8',
  [Verdict.range]: 'the value lies outside the range of the column',
  [Verdict.deep]: 'values are nested too deep',
}

/** @param column  name of the one that was read; `null`: none */
export function verdictMessage(verdict: Verdict, column: string | null): string {
  return column === null ? TEXTS[verdict] : `column "${column}": ${TEXTS[verdict]}`
}
