// What a schema that was registered for a table says about the numbers and names of its columns, of
// those that are there and of those that are gone.

import protobuf from 'protobufjs'

/** From and to, both in it. */
export type NumberRange = readonly [number, number]

export interface RegisteredMessage {
  readonly text: string
  /** The same for schemas with the same columns, whatever else they keep. */
  readonly columns: string
  /** Names by number. */
  readonly fields: ReadonlyMap<number, string>
  /** The type of the elements, by the number of a column that is or was a list. */
  readonly lists: ReadonlyMap<number, string>
  readonly reservedNumbers: readonly NumberRange[]
  readonly reservedNames: ReadonlySet<string>
}

/**
 * @param within  the package
 * @param name  of the first message
 * @returns `null`: the text is none of this sink
 */
export function registeredMessage(
  text: string,
  within: string,
  name: string,
): RegisteredMessage | null {
  const message = firstMessage(text)
  if (message?.fullName !== `.${within}.${name}`) return null
  const lists = listsOf(message)
  const fields = message.fieldsArray.toSorted((a, b) => a.id - b.id)
  const columns = fields.map(({ id, name: column, type, options }) => {
    const isOptional = options?.['proto3_optional'] === true
    const element = type === `List${id}` ? (lists.get(id) ?? '') : ''
    return `${isOptional} ${type} ${element} ${column} ${id}`
  })
  const reserved: readonly (number[] | string)[] = message.reserved ?? []
  return {
    text,
    columns: columns.join('\n'),
    fields: new Map(fields.map(({ id, name: column }) => [id, column])),
    lists,
    reservedNumbers: reserved.flatMap((one): NumberRange[] => {
      if (typeof one === 'string') return []
      const [from, to] = one
      return from === undefined ? [] : [[from, to ?? from]]
    }),
    reservedNames: new Set(reserved.filter((one) => typeof one === 'string')),
  }
}

export function holds(ranges: readonly NumberRange[], number: number): boolean {
  return ranges.some(([from, to]) => from <= number && number <= to)
}

/** @returns the ranges without one number */
export function without(ranges: readonly NumberRange[], number: number): readonly NumberRange[] {
  return ranges.flatMap((range): NumberRange[] => {
    const [from, to] = range
    if (number < from || number > to) return [range]
    const sides: NumberRange[] = [
      [from, number - 1],
      [number + 1, to],
    ]
    return sides.filter(([first, last]) => first <= last)
  })
}

function firstMessage(text: string): protobuf.Type | null {
  try {
    const { root, package: within } = protobuf.parse(text, { keepCase: true })
    const top = within === undefined || within === null ? root : root.lookup(within)
    if (!(top instanceof protobuf.Namespace)) return null
    return top.nestedArray.find((one) => one instanceof protobuf.Type) ?? null
  } catch {
    return null
  }
}

function listsOf(message: protobuf.Type): Map<number, string> {
  const lists = new Map<number, string>()
  for (const nested of message.nestedArray) {
    const number = Number(/^List(\d+)$/.exec(nested.name)?.[1] ?? 0)
    if (number === 0 || !(nested instanceof protobuf.Type)) continue
    const element = nested.get('Element')
    if (!(element instanceof protobuf.Type)) continue
    const type = element.fields['value']?.type
    if (type !== undefined) lists.set(number, type)
  }
  return lists
}
