// The charset of a collation id, as events and column definitions carry it.
// Source: information_schema.collations of MySQL 9.7 and MariaDB 10.11.

const LOW_IDS: Readonly<Record<string, readonly number[]>> = {
  armscii8: [32, 64],
  ascii: [11, 65],
  big5: [1, 84],
  binary: [63],
  cp1250: [26, 34, 44, 66, 99],
  cp1251: [14, 23, 50, 51, 52],
  cp1256: [57, 67],
  cp1257: [29, 58, 59],
  cp850: [4, 80],
  cp852: [40, 81],
  cp866: [36, 68],
  cp932: [95, 96],
  dec8: [3, 69],
  eucjpms: [97, 98],
  euckr: [19, 85],
  gb2312: [24, 86],
  gbk: [28, 87],
  geostd8: [92, 93],
  greek: [25, 70],
  hebrew: [16, 71],
  hp8: [6, 72],
  keybcs2: [37, 73],
  koi8r: [7, 74],
  koi8u: [22, 75],
  latin1: [5, 8, 15, 31, 47, 48, 49, 94],
  latin2: [2, 9, 21, 27, 77],
  latin5: [30, 78],
  latin7: [20, 41, 42, 79],
  macce: [38, 43],
  macroman: [39, 53],
  sjis: [13, 88],
  swe7: [10, 82],
  tis620: [18, 89],
  ucs2: [35, 90],
  ujis: [12, 91],
  utf16: [54, 55],
  utf16le: [56, 62],
  utf32: [60, 61],
  utf8mb3: [33, 76, 83],
  utf8mb4: [45, 46],
}

/** [first, last, charset]: the blocks of Unicode collations; those from 576 on are MariaDB's. */
const BLOCKS: readonly (readonly [number, number, string])[] = [
  [101, 124, 'utf16'],
  [128, 159, 'ucs2'],
  [160, 183, 'utf32'],
  [192, 223, 'utf8mb3'],
  [224, 247, 'utf8mb4'],
  [248, 250, 'gb18030'],
  [255, 399, 'utf8mb4'],
  [576, 607, 'utf8mb3'],
  [608, 639, 'utf8mb4'],
  [640, 671, 'ucs2'],
  [672, 703, 'utf16'],
  [736, 767, 'utf32'],
  [2048, 2303, 'utf8mb3'],
  [2304, 2559, 'utf8mb4'],
  [2560, 2815, 'ucs2'],
  [2816, 3071, 'utf16'],
  [3072, 3327, 'utf32'],
]

const byLowId = new Map<number, string>(
  Object.entries(LOW_IDS).flatMap(([charset, ids]) => ids.map((id) => [id, charset] as const)),
)

/** MariaDB's NO PAD twin of a collation. */
const NO_PAD = 1024

/** @returns lowercase name of the charset, `null` for an id that no server we know has */
export function charsetOfCollation(id: number): string | null {
  const base = id > NO_PAD && id < 2 * NO_PAD ? id - NO_PAD : id
  const low = byLowId.get(base)
  if (low !== undefined) return low
  return BLOCKS.find(([first, last]) => base >= first && base <= last)?.[2] ?? null
}
