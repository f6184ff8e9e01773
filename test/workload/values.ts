// Values of all column types as SQL literals, with the edges of each type mixed in: where decoders
// and encoders go wrong is at the ends of a range, not in its middle.
import type { Random } from './random.ts'

/** Gives a SQL literal. */
export type Draw = (random: Random) => string

/** One of the edges now and then, else from the middle. */
export function mixed(edges: readonly string[], middle: Draw): Draw {
  return (random) => (random.chance(0.25) ? random.pick(edges) : middle(random))
}

/** NULL now and then. */
export function nullable(draw: Draw, probability = 0.15): Draw {
  return (random) => (random.chance(probability) ? 'NULL' : draw(random))
}

export function between(low: bigint, high: bigint): Draw {
  const span = high - low + 1n
  const middle: Draw = (random) => {
    const word = BigInt(random.int(0, 0xffff_ffff)) * 0x1_0000_0000n
    return String(low + ((word + BigInt(random.int(0, 0xffff_ffff))) % span))
  }
  const edges = [low, high, 0n, 1n, -1n, low + 1n, high - 1n]
  return mixed(edges.filter((edge) => edge >= low && edge <= high).map(String), middle)
}

export function decimal(precision: number, scale: number, signed = true): Draw {
  const whole = precision - scale
  const most = `${'9'.repeat(whole) || '0'}${scale > 0 ? `.${'9'.repeat(scale)}` : ''}`
  const least = scale > 0 ? `0.${'0'.repeat(scale - 1)}1` : '1'
  const edges = signed ? [most, `-${most}`, '0', least, `-${least}`] : [most, '0', least]
  return mixed(edges, (random) => {
    const sign = signed && random.chance(0.5) ? '-' : ''
    const digits = random.digits(random.int(1, Math.max(1, whole)))
    return `${sign}${digits}${scale > 0 ? `.${random.digits(random.int(1, scale))}` : ''}`
  })
}

/** Of characters of one to four bytes, with those that protocols and JSON escape. */
const CHARACTERS = Array.from('abcXYZ019 _-%/.,;:(){}[]"ÄßéñЖ中€\n\t😀\u2028\'\\')

export type Quote = (text: string) => string

export function text(quote: Quote, charactersMax: number, characters = CHARACTERS): Draw {
  return (random) => {
    let value = ''
    const length = random.chance(0.1) ? 0 : random.int(1, charactersMax)
    for (let count = 0; count < length; count++) value += random.pick(characters)
    return quote(value)
  }
}

/** Characters that every single-byte Latin character set has. */
export const LATIN = Array.from('abcXYZ019 _-äößÿÀ¿§')

/** Text that does not compress, so that PostgreSQL stores it out of line. */
export function large(quote: Quote, bytes: number): Draw {
  return (random) => quote(Buffer.from(random.hex(bytes), 'hex').toString('base64').slice(0, bytes))
}

export function labels(quote: Quote, names: readonly string[]): Draw {
  return (random) => quote(random.pick(names))
}

export function uuid(quote: Quote): Draw {
  const edges = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']
  return mixed(edges.map(quote), (random) => quote(uuidOf(random.hex(16))))
}

/** Random UUIDs are of version 4: MariaDB refuses versions that do not exist. */
export function uuidOf(hex: string): string {
  const part = (start: number, end: number): string => hex.slice(start, end)
  return [part(0, 8), part(8, 12), `4${part(13, 16)}`, `8${part(17, 20)}`, part(20, 32)].join('-')
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

/** `YYYY-MM-DD` between two years, both included. */
export function dateText(random: Random, low: number, high: number): string {
  const year = String(random.int(low, high)).padStart(4, '0')
  return `${year}-${twoDigits(random.int(1, 12))}-${twoDigits(random.int(1, 28))}`
}

export function timeText(random: Random): string {
  const time = [random.int(0, 23), random.int(0, 59), random.int(0, 59)].map(twoDigits).join(':')
  return random.chance(0.7) ? `${time}.${random.digits(random.int(1, 6))}` : time
}

export function date(quote: Quote, low = 1, high = 9999): Draw {
  const edges = [`${String(low).padStart(4, '0')}-01-01`, `${high}-12-31`, '1970-01-01']
  return mixed([...edges, '1969-12-31', '2000-02-29'].map(quote), (random) =>
    quote(dateText(random, low, high)),
  )
}

export function moment(quote: Quote, low = 1, high = 9999, zone = ''): Draw {
  const first = `${String(low).padStart(4, '0')}-01-02 00:00:00`
  const edges = [
    first,
    `${high}-12-30 23:59:59.999999`,
    '1970-01-01 00:00:01',
    '2000-02-29 00:00:00.5',
  ]
  return mixed(
    edges.map((edge) => quote(edge + zone)),
    (random) => quote(`${dateText(random, low + 1, high - 1)} ${timeText(random)}${zone}`),
  )
}

/** A JSON document, as text. */
export function json(random: Random, depth = 0): string {
  const leaf = random.int(0, depth > 2 ? 4 : 6)
  switch (leaf) {
    case 0:
      return String(random.int(-1_000_000, 1_000_000))
    case 1:
      return random.pick(['true', 'false', 'null'])
    case 2:
      return random.pick(['9007199254740993', '-0.5', '1.25', '1e3', '123456789012345678'])
    case 3:
    case 4: {
      let value = ''
      const length = random.int(0, 12)
      for (let count = 0; count < length; count++) value += random.pick(CHARACTERS)
      return JSON.stringify(value)
    }
    case 5:
      return `[${Array.from({ length: random.int(0, 4) }, () => json(random, depth + 1)).join(', ')}]`
    default: {
      const names = ['b', 'a', 'long name', 'ü', 'aa'].slice(0, random.int(0, 5))
      return `{${names.map((name) => `"${name}": ${json(random, depth + 1)}`).join(', ')}}`
    }
  }
}
