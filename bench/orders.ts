// The usual table of the benchmarks and the rows that go into it. The rows depend on their ids
// alone, so that every run and every server loads the same ones.

export const POSTGRES_TABLE = `CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer integer NOT NULL,
  status varchar(16) NOT NULL,
  amount numeric(12,2) NOT NULL,
  price double precision NOT NULL,
  note varchar(64),
  created timestamp NOT NULL,
  updated timestamp,
  flag boolean NOT NULL,
  payload bytea NOT NULL
)`

export const MYSQL_TABLE = `CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer int NOT NULL,
  status varchar(16) NOT NULL,
  amount decimal(12,2) NOT NULL,
  price double NOT NULL,
  note varchar(64),
  created timestamp(6) NOT NULL,
  updated timestamp(6) NULL,
  flag boolean NOT NULL,
  payload varbinary(80) NOT NULL
)`

const STATUSES = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned', 'cancelled']
const WORDS = (
  'the order was placed by phone and customer asks for delivery before noon please call again ' +
  'gift wrapped second address fragile do not bend left at door refund pending review stock'
).split(' ')
const NOTES = 4096
/** Five characters each: twelve of them make a payload that no other row has. */
const PIECES = 65_536
const PIECES_PER_PAYLOAD = 12
const CENTS_MAX = 10_000_000
const DAY_SECONDS = 86_400
/** 2025-01-01. */
const FIRST_DAY = 20_089

/** How a value is written in a server's load statement. */
interface Form {
  readonly separator: string
  readonly start: string
  readonly end: string
  readonly null: string
  readonly booleans: readonly [string, string]
  text(value: string): string
  /** Before, after, and how a part of bytes that are ASCII is written between. */
  readonly bytes: readonly [string, string, (ascii: string) => string]
}

const COPY_FORM: Form = {
  separator: '\t',
  start: '',
  end: '\n',
  null: '\\N',
  booleans: ['f', 't'],
  text: (value) => value,
  bytes: ['\\\\x', '', (ascii) => Buffer.from(ascii).toString('hex')],
}

const VALUES_FORM: Form = {
  separator: ',',
  start: '(',
  end: ')',
  null: 'NULL',
  booleans: ['0', '1'],
  text: (value) => `'${value}'`,
  bytes: ["'", "'", (ascii) => ascii],
}

/** Rows `first`...`first + count - 1` for COPY orders FROM STDIN. */
export function copyText(first: number, count: number): string {
  return Array.from({ length: count }, (_, at) => formatRow(first + at, COPY_PARTS)).join('')
}

/** The same rows for INSERT INTO orders VALUES. */
export function insertValues(first: number, count: number): string {
  return Array.from({ length: count }, (_, at) => formatRow(first + at, VALUES_PARTS)).join(',')
}

/**
 * `count` ids out of 1...`total`, spread over the whole table; running numbers from 0 on give each
 * id once, until `total` of them are used up.
 */
export function scatteredIds(from: number, count: number, total: number): number[] {
  const step = coprimeStep(total)
  return Array.from(
    { length: count },
    (_, at) => Number((BigInt(from + at) * step) % BigInt(total)) + 1,
  )
}

function coprimeStep(total: number): bigint {
  let step = BigInt(Math.floor(total * 0.618)) | 1n
  while (greatestDivisor(step, BigInt(total)) !== 1n) step += 2n
  return step
}

function greatestDivisor(left: bigint, right: bigint): bigint {
  return right === 0n ? left : greatestDivisor(right, left % right)
}

/** Texts that many rows share, formatted once. */
interface Parts {
  readonly form: Form
  readonly statuses: readonly string[]
  readonly notes: readonly string[]
  readonly pieces: readonly string[]
}

function partsOf(form: Form): Parts {
  const random = generator(7)
  const notes = Array.from({ length: NOTES }, () => form.text(noteText(random)))
  const pieces = Array.from({ length: PIECES }, () => {
    const ascii = random(36 ** 5).toString(36)
    return form.bytes[2](ascii.padStart(5, '0'))
  })
  return { form, statuses: STATUSES.map((status) => form.text(status)), notes, pieces }
}

const COPY_PARTS = partsOf(COPY_FORM)
const VALUES_PARTS = partsOf(VALUES_FORM)

function noteText(random: (limit: number) => number): string {
  const wanted = 20 + random(30)
  let text = WORDS[random(WORDS.length)] ?? ''
  while (text.length < wanted) text += ` ${WORDS[random(WORDS.length)] ?? ''}`
  return text.slice(0, 64)
}

function formatRow(id: number, { form, statuses, notes, pieces }: Parts): string {
  const random = generator(id)
  const customer = random(200_000)
  const status = statuses[random(statuses.length)]
  const cents = random(CENTS_MAX)
  const price = random(100_000) / 100
  const note = random(10) === 0 ? form.null : notes[random(NOTES)]
  const second = id / 8
  const created = form.text(timestamp(second, random(1_000_000)))
  const isUpdated = random(5) !== 0
  const updated = isUpdated ? form.text(timestamp(second + random(DAY_SECONDS), 0)) : form.null
  const flag = form.booleans[random(2) === 0 ? 0 : 1]
  let payload = form.bytes[0]
  for (let at = 0; at < PIECES_PER_PAYLOAD; at += 2) {
    const pair = random(PIECES * PIECES)
    payload += pieces[pair >>> 16] ?? ''
    payload += pieces[pair & 0xffff] ?? ''
  }
  payload += form.bytes[1]
  const fields = [
    id,
    customer,
    status,
    `${Math.floor(cents / 100)}.${two(cents % 100)}`,
    price,
    note,
    created,
    updated,
    flag,
    payload,
  ]
  return form.start + fields.join(form.separator) + form.end
}

/** A fixed sequence for each seed: mulberry32. */
export function generator(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 0x9e37_79b1)
  return (limit) => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * limit)
  }
}

let shownDay = -1
let shownDate = ''

/** @param second  since 2025-01-01 */
function timestamp(second: number, microseconds: number): string {
  const whole = Math.floor(second)
  const day = FIRST_DAY + Math.floor(whole / DAY_SECONDS)
  if (day !== shownDay) {
    shownDay = day
    shownDate = new Date(day * DAY_SECONDS * 1000).toISOString().slice(0, 10)
  }
  const rest = whole % DAY_SECONDS
  const hour = two(Math.floor(rest / 3600))
  const minute = two(Math.floor(rest / 60) % 60)
  const fraction = String(microseconds).padStart(6, '0')
  return `${shownDate} ${hour}:${minute}:${two(rest % 60)}.${fraction}`
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}
