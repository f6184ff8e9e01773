// Casts. Every pair that resolve/cast-rules.ts allows has its form here; a value that the target
// cannot hold is an error of the row, or null for TRY_CAST.

import { asDecimal, isFloating } from '../expression-type.ts'
import type { ColumnType } from '../../type.ts'
import type { OperationIr } from '../ir.ts'
import { zoneNamed } from '../zone.ts'
import { checkDigits, free, guarded, outsideLong, scaledDown, scaledUp } from './arithmetic.ts'
import { NEVER, NO_ERROR, shapeOf, type Emitter, type Value } from './emitter.ts'

export function emitCast(
  emitter: Emitter,
  node: OperationIr,
  [operand]: readonly Value[],
  zone: string,
): Value {
  if (operand === undefined) throw new TypeError('a cast has an operand')
  const cast: Cast = { emitter, node, operand, from: node.args[0]?.type ?? node.type, zone }
  const value = convert(cast)
  if (node.detail !== 'try' || value.error === NO_ERROR) return value
  return tried(emitter, operand, value)
}

/** TRY_CAST forgives what the cast itself fails with, not what its operand failed with. */
function tried(emitter: Emitter, operand: Value, value: Value): Value {
  const failed = `${value.error} !== 0`
  const nulls = value.nulls === NEVER ? failed : `(${failed} || ${value.nulls})`
  return { parts: value.parts, nulls: emitter.name('n', nulls), error: operand.error }
}

interface Cast {
  readonly emitter: Emitter
  readonly node: OperationIr
  readonly operand: Value
  readonly from: ColumnType
  /** Of the pipeline. */
  readonly zone: string
}

function convert(cast: Cast): Value {
  const { node, from, operand } = cast
  const to = node.type
  if (to.kind === 'string') return toText(cast)
  if (from.kind === 'string') return fromText(cast)
  if (to.kind === 'boolean') return free(cast.emitter, [operand], `${operand.parts[0]} != 0`)
  if (isFloating(to)) return toDouble(cast)
  if (to.kind === 'int' || to.kind === 'long' || to.kind === 'decimal') return toExact(cast)
  if (to.kind === 'uuid') return binaryToUuid(cast)
  if (to.kind === 'binary') return operand
  return toMoment(cast)
}

/** The error of a value that the target cannot hold. */
function noValue({ emitter, node }: Cast): string {
  const { kind } = node.type
  return emitter.site(node, `the value is no ${kind === 'string' ? 'text' : kind}`)
}

// Numbers

function toDouble(cast: Cast): Value {
  const { emitter, node, operand, from } = cast
  const [value = ''] = operand.parts
  if (from.kind === 'double') return doubleToFloat(cast)
  const rounded = (text: string): string =>
    node.type.kind === 'float' ? `Math.fround(${text})` : text
  if (from.kind === 'int' || isFloating(from)) return free(emitter, [operand], rounded(value))
  const scale = asDecimal(from).scale
  const kernel = emitter.kernel(emitter.wide ? 'decimalToDoubleWide' : 'decimalToDouble')
  // Narrow integers may be -0, which is 0.
  const plain = emitter.wide ? `Number(${value})` : `${value} + 0`
  const text = from.kind === 'long' ? plain : `${kernel}(${value}, ${scale})`
  return free(emitter, [operand], rounded(text))
}

/** Infinity stays, but a number does not become one. */
function doubleToFloat(cast: Cast): Value {
  const { emitter, node, operand } = cast
  const [value = ''] = operand.parts
  return guarded(emitter, node.type, [operand], ({ parts: [name = ''], error }) => {
    emitter.line(`${name} = Math.fround(${value})`)
    const grown = `Math.abs(${name}) === Infinity && Math.abs(${value}) !== Infinity`
    emitter.line(`if (${grown}) ${error} = ${noValue(cast)}`)
  })
}

function toExact(cast: Cast): Value {
  const { emitter, node, operand, from } = cast
  const to = node.type
  const [value = ''] = operand.parts
  if (from.kind === 'boolean') return free(emitter, [operand], oneOrZero(emitter, to, value))
  if (isFloating(from)) return doubleToExact(cast)
  if (from.kind === 'int' && to.kind === 'long') {
    return free(emitter, [operand], emitter.wide ? `BigInt(${value})` : value)
  }
  return guarded(emitter, to, [operand], (target) => {
    const name = emitter.name('v', from.kind === 'int' && emitter.wide ? `BigInt(${value})` : value)
    exactToExact(cast, emitter.name('v', name), target)
  })
}

function oneOrZero(emitter: Emitter, to: ColumnType, value: string): string {
  return shapeOf(to) === 'exact' && emitter.wide ? `(${value} ? 1n : 0n)` : `(${value} ? 1 : 0)`
}

function exactToExact(cast: Cast, value: string, target: Value): void {
  const { emitter, node, from } = cast
  const to = node.type
  const [name = ''] = target.parts
  const [a, b] = [asDecimal(from).scale, to.kind === 'decimal' ? to.scale : 0]
  const scaled = a > b ? scaledDown(emitter, value, a - b) : scaledUp(emitter, value, b - a)
  if (to.kind === 'int') {
    const whole = emitter.name('w', scaled)
    emitter.line(`if (${outsideInt(emitter, whole)}) ${target.error} = ${noValue(cast)}`)
    emitter.line(`else ${name} = ${emitter.wide ? `Number(${whole})` : whole}`)
    return
  }
  emitter.line(`${name} = ${scaled}`)
  if (to.kind === 'decimal') {
    const grows = to.precision - to.scale < asDecimal(from).precision - a + (a > b ? 1 : 0)
    if (grows) checkDigits(emitter, node, name, target.error, to.precision)
  } else if (emitter.wide && from.kind === 'decimal') {
    emitter.line(`if (${outsideLong(name)}) ${target.error} = ${noValue(cast)}`)
  }
}

function outsideInt(emitter: Emitter, name: string): string {
  const suffix = emitter.wide ? 'n' : ''
  return `${name} > 2147483647${suffix} || ${name} < -2147483648${suffix}`
}

function doubleToExact(cast: Cast): Value {
  const { emitter, node, operand } = cast
  const to = node.type
  const [value = ''] = operand.parts
  return guarded(emitter, to, [operand], (target) => {
    const [name = ''] = target.parts
    if (to.kind === 'decimal') {
      const read = emitter.kernel('doubleToDecimal')
      storeBig(cast, emitter.name('d', `${read}(String(${value}), ${to.scale})`), target)
      return
    }
    const whole = emitter.name('w', `${emitter.kernel('roundEven')}(${value})`)
    const limit = to.kind === 'int' ? '2147483648' : '9223372036854775808'
    const outside = `!(${whole} >= -${limit} && ${whole} < ${limit})`
    emitter.line(`if (${outside}) ${target.error} = ${noValue(cast)}`)
    emitter.block('else', () => {
      if (to.kind === 'long') emitter.exact(whole)
      emitter.line(`${name} = ${to.kind === 'long' && emitter.wide ? `BigInt(${whole})` : whole}`)
    })
  })
}

/** A bigint or null, into the form of exact numbers. */
function storeBig(cast: Cast, big: string, target: Value): void {
  const { emitter, node } = cast
  const [name = ''] = target.parts
  emitter.line(`if (${big} === null) ${target.error} = ${noValue(cast)}`)
  emitter.block('else', () => {
    if (emitter.wide) emitter.line(`${name} = ${big}`)
    else {
      emitter.line(`${name} = Number(${big})`)
      emitter.exact(name)
    }
    if (node.type.kind === 'decimal') {
      checkDigits(emitter, node, name, target.error, node.type.precision)
    } else if (emitter.wide) {
      emitter.line(`if (${outsideLong(name)}) ${target.error} = ${noValue(cast)}`)
    }
  })
}

// Texts

function fromText(cast: Cast): Value {
  const { emitter, node, operand } = cast
  const to = node.type
  if (to.kind === 'binary') return operand
  const range = operand.parts.join(', ')
  return guarded(emitter, to, [operand], (target) => {
    if (to.kind === 'int' || to.kind === 'long' || to.kind === 'decimal') {
      textToExact(cast, range, target)
      return
    }
    const [name = '', start = '', end = ''] = target.parts
    const fail = `${target.error} = ${noValue(cast)}`
    if (to.kind === 'uuid') {
      emitter.line(`if (!${emitter.kernel('readUuid')}(${range})) ${fail}`)
      emitter.block('else', () => {
        emitter.line(`${start} = scratch.length`)
        emitter.line(`scratch.append(${emitter.kernel('uuidBytes')}, 0, 16)`)
        emitter.line(`${end} = scratch.length`)
        emitter.line(`${name} = scratch.bytes`)
      })
    } else if (to.kind === 'boolean') {
      const read = emitter.name('r', `${emitter.kernel('readBoolean')}(${range})`)
      emitter.line(`if (${read} < 0) ${fail}`)
      emitter.line(`else ${name} = ${read} === 1`)
    } else if (isFloating(to)) {
      const read = emitter.name('r', `${emitter.kernel('readDouble')}(${range})`)
      const value = to.kind === 'float' ? `Math.fround(${read})` : read
      emitter.line(`if (${read} === null) ${fail}`)
      emitter.line(`else ${name} = ${value}`)
      if (to.kind === 'float') {
        emitter.line(
          `if (Math.abs(${name}) === Infinity && Math.abs(${read}) !== Infinity) ${fail}`,
        )
      }
    } else textToMoment(cast, range, target)
  })
}

function textToExact(cast: Cast, range: string, target: Value): void {
  const { emitter, node } = cast
  const to = node.type
  const [name = ''] = target.parts
  const scale = to.kind === 'decimal' ? to.scale : 0
  if (to.kind === 'int' || !emitter.wide) {
    const read = emitter.name('r', `${emitter.kernel('readNarrow')}(${range}, ${scale})`)
    emitter.line(`if (${read} !== ${read}) ${target.error} = ${noValue(cast)}`)
    if (to.kind === 'int') {
      const outside = `${read} > 2147483647 || ${read} < -2147483648`
      emitter.line(`else if (${outside}) ${target.error} = ${noValue(cast)}`)
      emitter.line(`else ${name} = ${read}`)
      return
    }
    emitter.block('else', () => {
      emitter.exact(read)
      emitter.line(`${name} = ${read}`)
    })
    if (to.kind === 'decimal') checkDigits(emitter, node, name, target.error, to.precision)
    return
  }
  const read = emitter.name('r', `${emitter.kernel('readExact')}(${range}, ${scale})`)
  storeBig(cast, read, target)
}

function textToMoment(cast: Cast, range: string, target: Value): void {
  const { emitter, node, zone } = cast
  const { kind } = node.type
  const [name = ''] = target.parts
  const moment = emitter.kernel('moment')
  const fail = `${target.error} = ${noValue(cast)}`
  if (kind === 'date' || kind === 'time') {
    const read = emitter.kernel(kind === 'date' ? 'readDate' : 'readTime')
    const us = emitter.wide ? `BigInt(${moment}.us)` : `${moment}.us`
    emitter.line(`if (!${read}(${range})) ${fail}`)
    emitter.line(`else ${name} = ${kind === 'date' ? `${moment}.days` : us}`)
    return
  }
  const read = `${emitter.kernel('readTimestamp')}(${range})`
  const local = kind === 'timestamp' ? ` || ${moment}.offset === ${moment}.offset` : ''
  emitter.line(`if (!${read}${local}) ${fail}`)
  emitter.block('else', () => {
    const own = kind === 'timestamp'
    const argument = own ? '' : zoneName(emitter, zone)
    const join = emitter.wide
      ? own
        ? 'joinedWide'
        : 'instantOfWide'
      : own
        ? 'joined'
        : 'instantOf'
    emitter.line(`${name} = ${emitter.kernel(join)}(${argument})`)
    checkMoment(cast, target)
  })
}

function zoneName(emitter: Emitter, zone: string): string {
  return emitter.constant(`zone ${zone}`, () => zoneNamed(zone))
}

function checkMoment(cast: Cast, { parts: [name = ''], error }: Value): void {
  const { emitter } = cast
  if (!emitter.wide) emitter.exact(name)
  else emitter.line(`if (${outsideLong(name)}) ${error} = ${noValue(cast)}`)
}

function toText(cast: Cast): Value {
  const { emitter, node, operand, from } = cast
  if (from.kind === 'string' || from.kind === 'binary') return bytesToText(cast)
  return guarded(emitter, node.type, [operand], ({ parts: [bytes, start, end] }) => {
    emitter.line(`${start} = scratch.length`)
    emitter.line(`scratch.appendText(${textOf(cast)})`)
    emitter.line(`${end} = scratch.length`)
    emitter.line(`${bytes} = scratch.bytes`)
  })
}

/** @returns an expression of a JavaScript string */
function textOf({ emitter, operand, from, zone }: Cast): string {
  const [value = '', start = ''] = operand.parts
  switch (from.kind) {
    case 'boolean':
      return `(${value} ? 'true' : 'false')`
    case 'float':
      return `${emitter.kernel('floatText')}(${value})`
    case 'double':
      return `${emitter.kernel('formatDouble')}(${value})`
    case 'decimal':
      return `${emitter.kernel('formatDecimal')}(${value}, ${from.scale})`
    case 'date':
      return `${emitter.kernel('dateText')}(${value})`
    case 'time':
      return `${emitter.kernel('timeText')}(${value})`
    case 'timestamp':
      return `${emitter.kernel('timestampText')}(${value})`
    case 'timestamptz':
      return `${emitter.kernel('instantText')}(${value}, ${zoneName(emitter, zone)})`
    case 'uuid':
      return `${emitter.kernel('uuidText')}(${value}, ${start})`
    default:
      return `String(${value})`
  }
}

/** A binary is taken for UTF-8; json is a text, but not every text is json. */
function bytesToText(cast: Cast): Value {
  const { emitter, node, operand, from } = cast
  const json = node.type.kind === 'string' && node.type.json === true
  if (from.kind === 'string' && !json) return operand
  const check = emitter.kernel(json ? 'isJson' : 'isUtf8')
  return guarded(emitter, node.type, [operand], (target) => {
    emitter.line(`if (!${check}(${operand.parts.join(', ')})) ${target.error} = ${noValue(cast)}`)
    emitter.block('else', () => {
      for (const [index, part] of target.parts.entries()) {
        emitter.line(`${part} = ${operand.parts[index]}`)
      }
    })
  })
}

function binaryToUuid(cast: Cast): Value {
  const { emitter, node, operand } = cast
  const [bytes, start, end] = operand.parts
  return guarded(emitter, node.type, [operand], (target) => {
    const [toBytes, toStart, toEnd] = target.parts
    emitter.line(`if (${end} - ${start} !== 16) ${target.error} = ${noValue(cast)}`)
    const moves = `${toBytes} = ${bytes}; ${toStart} = ${start}; ${toEnd} = ${end}`
    emitter.line(`else { ${moves} }`)
  })
}

// Dates and times

function toMoment(cast: Cast): Value {
  const { emitter, node, operand, from, zone } = cast
  const to = node.type.kind
  const [value = ''] = operand.parts
  return guarded(emitter, node.type, [operand], (target) => {
    const [name = ''] = target.parts
    let us = value
    if (from.kind === 'date') {
      us = emitter.wide ? `BigInt(${value}) * 86400000000n` : `${value} * 86400000000`
    } else if (from.kind === 'timestamptz') {
      const local = emitter.kernel(emitter.wide ? 'localOfWide' : 'localOf')
      us = `${local}(${value}, ${zoneName(emitter, zone)})`
    }
    if (to === 'date') emitter.line(`${name} = ${emitter.kernel('dayOf')}(${us})`)
    else if (to === 'time') {
      const time = `${emitter.kernel('timeOf')}(${us})`
      emitter.line(`${name} = ${emitter.wide ? `BigInt(${time})` : time}`)
    } else {
      const utc = emitter.kernel(emitter.wide ? 'utcOfWide' : 'utcOf')
      const whole = to === 'timestamptz' ? `${utc}(${us}, ${zoneName(emitter, zone)})` : us
      emitter.line(`${name} = ${whole}`)
      checkMoment(cast, target)
    }
  })
}
