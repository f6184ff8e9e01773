// Random JSON documents as text: names in any order, some twice, some with escapes; numbers in all
// spellings; white space anywhere.

import fc from 'fast-check'
import type { JsonColumn } from '../../../connectors/kafka/json/columns.ts'
import type { ColumnType } from '../../../runtime/data/type.ts'

const space = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  fc.constantFrom(' ', '\n', '\t\r ', '  '),
)

/** A string as JSON, with characters escaped here and there. */
function quoted(text: string, escapes: readonly boolean[]): string {
  let at = 0
  const inner = text.replaceAll(/[\s\S]/g, (unit) => {
    const escape = escapes.length > 0 && escapes[at++ % escapes.length]!
    if (escape) return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
    const plain = JSON.stringify(unit).slice(1, -1)
    // Half a pair stands alone here, and together with the other half is itself.
    return /[\ud800-\udfff]/.test(unit) ? unit : plain
  })
  return `"${inner}"`
}

const characters = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', ' ', 'Z', '0', '-', ':') },
  fc.constantFrom('"', '\\', '/', '\n', '\u0000', '\u001f', '\u007f', 'é', '€', '😀', '\u2028'),
)

export const string = fc
  .tuple(
    fc.array(characters, { maxLength: 20 }).map((parts) => parts.join('')),
    fc.oneof(fc.constant([]), fc.array(fc.boolean(), { minLength: 1, maxLength: 5 })),
  )
  .map(([text, escapes]) => quoted(text, escapes))

const loneSurrogate = fc.constantFrom(
  String.raw`"\ud800"`,
  String.raw`"x\udc00"`,
  String.raw`"\udc00\udc00"`,
  String.raw`"\ud800\ud800"`,
  String.raw`"\ud83d\u0041"`,
  String.raw`"\ud83d\n\ude00"`,
)

const digits = (min: number, max: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: min, maxLength: max })
    .map((d) => d.join(''))

const whole = fc.oneof(
  fc.constant('0'),
  fc.tuple(fc.integer({ min: 1, max: 9 }), digits(0, 40)).map(([first, rest]) => `${first}${rest}`),
  fc.tuple(fc.integer({ min: 1, max: 9 }), digits(0, 6)).map(([first, rest]) => `${first}${rest}`),
  fc.constantFrom(
    '9223372036854775807',
    '9223372036854775808',
    '2147483647',
    '2147483648',
    '9007199254740993',
    '999999999999999999',
    '99999999999999999999999999999999999999',
  ),
)

export const number = fc
  .tuple(
    fc.constantFrom('', '', '-'),
    whole,
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      digits(1, 20).map((d) => `.${d}`),
    ),
    fc.oneof(
      { weight: 4, arbitrary: fc.constant('') },
      fc
        .tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), digits(1, 3))
        .map((parts) => parts.join('')),
    ),
  )
  .map((parts) => parts.join(''))

const two = (max: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, '0'))

const date = fc
  .tuple(fc.constantFrom('1969', '2000', '2024', '0001', '9999', '2100', '0000'), two(13), two(32))
  .map((parts) => parts.join('-'))
const clock = fc
  .tuple(
    two(24),
    two(60),
    two(60),
    fc.oneof(
      fc.constant(''),
      digits(1, 9).map((d) => `.${d}`),
    ),
  )
  .map(([h, m, s, f]) => `${h}:${m}:${s}${f}`)
const zone = fc.oneof(
  fc.constantFrom('', 'Z', 'z', '+02', '-0330', '+05:30', '+24:00', ' Z'),
  fc.tuple(two(23), two(59)).map(([h, m]) => `-${h}:${m}`),
)
const moment = fc
  .tuple(date, fc.constantFrom('T', ' ', 't', ''), clock, zone)
  .map(([d, t, c, z]) => `"${d}${t}${c}${z}"`)

/** Numbers that fit something: few digits, zeros at either end, small exponents. */
const smallNumber = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.constant('0'), fc.integer({ min: 1, max: 99_999 }).map(String)),
    fc.constantFrom('', '', '000', '0000000000'),
    fc.constantFrom('', '', '.0', '.50', '.25', '.125', '.000000', '.0000001'),
    fc.constantFrom('', '', '', 'e0', 'E2', 'e+10', 'e-2', 'e-1'),
  )
  .map(([sign, first, zeros, fraction, exponent]) => {
    return `${sign}${first}${first === '0' ? '' : zeros}${fraction}${exponent}`
  })

const numbers = fc.oneof(number, smallNumber, smallNumber)
const uuid = fc.uuid().map((text) => `"${text}"`)
const base64 = fc
  .uint8Array({ maxLength: 8 })
  .map((bytes) => `"${Buffer.from(bytes).toString('base64')}"`)

const scalar = fc.oneof(
  { weight: 3, arbitrary: string },
  { weight: 4, arbitrary: numbers },
  fc.constantFrom('true', 'false', 'null', 'null', '"NaN"', '"-Infinity"', '""', '{}', '[]'),
  loneSurrogate,
  numbers.map((text) => `"${text}"`),
  fc.oneof(date, clock).map((text) => `"${text}"`),
  moment,
  uuid,
  base64,
)

const list = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(space, fc.oneof(value, fc.constant('null')), space), { maxLength: 5 })
    .map((values) => `[${values.map((parts) => parts.join('')).join(',')}]`)

const strings = fc.oneof({ weight: 9, arbitrary: string }, loneSurrogate)

/** What a column of the type takes, mostly. */
function fitting(type: ColumnType, isNumber: boolean): fc.Arbitrary<string> {
  if (isNumber) return numbers
  switch (type.kind) {
    case 'list':
      return list(fitting(type.element, false))
    case 'boolean':
      return fc.constantFrom('true', 'false')
    case 'int':
    case 'long':
    case 'decimal':
    case 'float':
    case 'double':
      return fc.oneof(
        numbers,
        numbers.map((text) => `"${text}"`),
      )
    case 'date':
      return date.map((text) => `"${text}"`)
    case 'time':
      return clock.map((text) => `"${text}"`)
    case 'timestamp':
    case 'timestamptz':
      return moment
    case 'uuid':
      return uuid
    case 'binary':
      return base64
    case 'string':
      return type.json === true ? fc.oneof(scalar, list(scalar)) : strings
  }
}

function object(names: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .array(fc.tuple(space, names, space, space, value, space), { maxLength: 6 })
    .map((members) => {
      const texts = members.map(([a, name, b, c, one, d]) => `${a}${name}${b}:${c}${one}${d}`)
      return `{${texts.join(',')}}`
    })
}

const stranger = fc.tuple(
  fc.constantFrom('"other"', '"x"', '""', '"idd"', '"i"'),
  fc.oneof(scalar, list(scalar)),
)

/** Objects with members for these columns, and a few others. */
export function documents(columns: readonly JsonColumn[]): fc.Arbitrary<string> {
  const written = (name: string): fc.Arbitrary<string> =>
    fc.oneof(
      { weight: 5, arbitrary: fc.constant(JSON.stringify(name)) },
      fc.constant(quoted(name, [true, false])),
    )
  const members = columns.map(({ path, type, encoding }) => {
    const fits = fitting(type, encoding.kind === 'number')
    const value = fc.oneof({ weight: 9, arbitrary: fits }, scalar)
    const [first = '', second] = path
    const inner = second === undefined ? value : object(written(second), value)
    return fc.tuple(written(first), fc.oneof({ weight: 9, arbitrary: inner }, fc.constant('null')))
  })
  const member = fc.oneof({ weight: 8, arbitrary: fc.oneof(...members) }, stranger)
  return fc
    .tuple(space, fc.array(fc.tuple(space, member, space, space, space), { maxLength: 12 }), space)
    .map(([before, parts, behind]) => {
      const texts = parts.map(([a, [name, one], b, c, d]) => `${a}${name}${b}:${c}${one}${d}`)
      return `${before}{${texts.join(',')}}${behind}`
    })
}
