// Writes the loop that decodes messages of one type and schema into the columns of a structure.
//
// Serializers write fields by ascending number. So the fields are tried in that order, each where
// the one before it ended: `switch (k)` enters the chain at field k and falls through. What the
// chain does not take, because it came out of order or twice or is not known, is looked up in a
// second `switch`, which enters the chain anew. What a row has is noted in bits (`s0`, `s1`, ...),
// and defaults and nulls are written for the rest when the message has ended, so that nothing is
// written for a row that turns out not to be one.
//
// Names by depth d of a message: `t` the tag before `p`, -1 at the end; `k` place in the chain;
// `e` its end. Those of columns are in value-code.ts.

import type { FieldKind, FieldShape, MessageShape } from '../shape.ts'
import type { FieldNode, Leaf, Mapping, MessageNode } from '../mapping.ts'
import { isPackable } from './json-fields.ts'
import { isNextTag, readTag, sizeOf, tagsOf, wireCode, wireOfField } from './tag-code.ts'
import { Wire } from './wire.ts'
import * as value from './value-code.ts'
import type { Begin, Mode, Slot } from './value-code.ts'

/** What the code is written for. */
export interface MessagePlan {
  readonly mode: Mode
  readonly mapping: Mapping
  /** Of a leaf; `null`: this function does not write it. */
  readonly slotOf: (leaf: Leaf) => Slot | null
  /** Columns of the structure that this schema does not have. */
  readonly absent: readonly Slot[]
  /** A field without presence that has its default is null. */
  readonly nullDefaults: boolean
}

/** Parameters of every generated function; see `DecodeMessages` in message-decoder.ts. */
const PARAMETERS = 'bytes, view, starts, ends, at, to, row, limit, columns, views, record, out'

/** As many bits of a word as never make it a heap number. */
const BITS = 30

/** Fields of a message that are passed over by links of their own. */
const LINKED_MAX = 64

/** @returns source of a function body that gives the loop */
export function messageSource(plan: MessagePlan): string {
  return new MessageCode(plan).source()
}

/** Where a presence is noted. */
interface Bit {
  readonly word: number
  readonly mask: number
}

class MessageCode {
  private readonly plan: MessagePlan
  private readonly slots: Slot[] = []
  private readonly bits = new Map<FieldNode, Bit>()
  private words = 0
  private depths = 0
  /** Statements that empty what lists and pieces of messages a row has so far. */
  private readonly columns = new Map<FieldNode, { slot: Slot; empty: string; head: string }>()
  private readonly unknown: Slot | null
  /** Declarations outside of the function. */
  private readonly heads: string[] = []

  constructor(plan: MessagePlan) {
    this.plan = plan
    const { root, unknown } = plan.mapping
    this.prepare(root)
    this.unknown = unknown === null ? null : plan.slotOf(unknown)
    const cases = this.casesOf(root)
    const others = [...cases, this.unknown].filter((slot) => slot !== null)
    this.slots.push(...others, ...plan.absent)
  }

  /** Gives each node its bit and its column. */
  private prepare(message: MessageNode): void {
    this.depths = Math.max(this.depths, message.depth + 1)
    for (const node of message.fields) {
      const index = this.bits.size
      const word = Math.floor(index / BITS)
      this.bits.set(node, { word, mask: 1 << (index % BITS) })
      this.words = word + 1
      if (node.kind === 'nested') this.prepare(node.message)
      const slot = this.slotOf(node)
      if (slot === null) continue
      const { column } = slot
      this.slots.push(slot)
      let [empty, head] = [value.emptyCode(slot), '']
      if (node.kind === 'json') {
        empty = `r${column}.count = 0`
        head = `const r${column} = new Ranges()`
      } else if (node.kind === 'time') head = `const r${column} = new TimeParts()`
      this.columns.set(node, { slot, empty, head })
    }
  }

  private slotOf(node: FieldNode): Slot | null {
    return 'leaf' in node ? this.plan.slotOf(node.leaf) : null
  }

  private casesOf(message: MessageNode): (Slot | null)[] {
    const own = message.cases.map(({ leaf }) => this.plan.slotOf(leaf))
    const nested = message.fields.flatMap((node) =>
      node.kind === 'nested' ? this.casesOf(node.message) : [],
    )
    return [...own, ...nested]
  }

  // tidy: template: the frame of the loop.
  source(): string {
    const { root } = this.plan.mapping
    const declared = (prefix: string, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `${prefix}${index} = 0`)
    const words = declared('s', this.words)
    const places = ['t', 'k', 'e'].flatMap((prefix) => declared(prefix, this.depths + 1))
    const columns = [...this.columns.values()]
    const unknown = this.unknown === null ? '' : '; u = -1; a = 0'
    const body = this.messageCode(root, [])
    const lines = [
      ...columns.map(({ head }) => head),
      ...this.heads,
      `return function messages(${PARAMETERS}) {`,
      ...this.slots.map((slot) => value.openCode(slot)),
      `const tail = view.byteLength - ${value.SLACK}`,
      `let w = 0, p = 0, x = 0, z = 0, n = 0, u = -1, a = 0, ${[...words, ...places].join(', ')}`,
      'try {',
      'for (; at < to && row < limit; at++) {',
      `p = starts[at]; e0 = ends[at]${words.map((word) => `; ${word}`).join('')}${unknown}`,
      ...columns.map(({ empty }) => empty),
      // What follows the last message is read, if not used.
      this.plan.mode === 'fast' ? 'if (e0 > tail) fail(Fault.truncated, e0)' : '',
      body,
      this.finishCode(root),
      this.unknown === null
        ? ''
        : `if (u === -1) { ${value.nullCode(this.unknown)} } else o${this.unknown.column}[row + 1] = u`,
      ...this.plan.absent.map((slot) => value.nullCode(slot)),
      'record[row] = at; row++',
      '}',
      '} catch (error) { if (error !== wireError) throw error; out.failed = true }',
      ...this.slots.map((slot) => value.closeCode(slot)),
      'out.row = row',
      'return at',
      '}',
    ]
    return lines.filter((line) => line !== '').join('\n')
  }

  /**
   * Reads a message whose first byte is at `p` and whose end is `e`.
   *
   * @param around  tags of the messages around it
   */
  private messageCode(message: MessageNode, around: readonly number[]): string {
    const { depth: d } = message
    const fast = this.plan.mode === 'fast'
    const passed = this.passedFields(message)
    const fields = message.fields.filter((node) => !passed.includes(node))
    const chain = fields.map((node, index) => {
      return `case ${index}: ${this.fieldCode(node, message, around)}`
    })
    const entries = fields.flatMap(({ field }, index) =>
      tagsOf(field).map((tag) => {
        // The chain looks at bytes: a tag that is longer than it has to be would not be found.
        const back = fast ? `if (p - a !== ${sizeOf(tag)}) fail(Fault.tag, p); p = a; ` : ''
        return `case ${tag}: ${back}k${d} = ${index}; break`
      }),
    )
    const known = fields.map(({ field }) => `case ${field.number}:`).join(' ')
    const mismatch = known === '' ? '' : `switch (t${d} >>> 3) { ${known} fail(Fault.mismatch, p) }`
    const end = fast
      ? `if (p >= e${d}) break
a = p; p = tag(bytes, p, e${d}); t${d} = pair[0]`
      : `if (t${d} === -1) break`
    return `${this.nextTag(message)}
k${d} = 0
for (;;) {
switch (k${d}) {
${chain.join('\n')}
}
${end}
switch (t${d}) {
${entries.join('\n')}
default: ${mismatch}
${this.otherCode(message, passed, around)}
k${d} = ${fields.length}
}
}
if (p !== e${d}) fail(Fault.truncated, e${d})`
  }

  /** Fields of a wide message that nobody wants have no link: a link for each would be long. */
  private passedFields({ fields }: MessageNode): readonly FieldNode[] {
    const passed = fields.filter((node) => node.field.oneof === -1 && !this.isWanted(node))
    return passed.length > LINKED_MAX ? passed : []
  }

  private isWanted(node: FieldNode): boolean {
    if (node.kind !== 'nested') return this.columns.has(node)
    const { fields } = node.message
    const cases = this.casesOf(node.message)
    return cases.some((slot) => slot !== null) || fields.some((inner) => this.isWanted(inner))
  }

  /** Passes over what no link has taken. */
  private otherCode(
    message: MessageNode,
    passed: readonly FieldNode[],
    around: readonly number[],
  ): string {
    const { depth: d } = message
    const next = this.nextTag(message)
    const where = `bytes, p, e${d}, t${d}, ${d}`
    const names = `f${this.heads.length}`
    if (passed.length > 0) {
      const wires = passed.map(({ field }) => `[${field.number}, ${wireCode(field)}]`)
      this.heads.push(`const ${names} = new Map([${wires.join(', ')}])`)
    }
    const skip = passed.length > 0 ? `p = skipField(${where}, ${names})` : `p = skip(${where})`
    if (this.unknown === null) return `${skip}; ${next}`
    // Wrapped into the tags of the messages around it, it is a piece of the whole message.
    const { column: i } = this.unknown
    const path = `[${around.join(', ')}]`
    const isKnown = passed.length > 0 ? `if (!${names}.has(t${d} >>> 3)) ` : ''
    return `a = p; ${skip}
${isKnown}u = putUnknown(b${i}, u === -1 ? o${i}[row] : u, t${d}, bytes, a, p, ${path}); ${next}`
  }

  /** Fast: the next four bytes in `w`, and `p` before them; careful: the tag, and `p` behind it. */
  private nextTag({ shape, depth: d }: MessageNode): string {
    if (this.plan.mode === 'careful') return readTag(shape, d)
    return `w = p < e${d} ? view.getInt32(p, true) : 0`
  }

  /** Where the value behind a tag begins. */
  private behind(tag: number): Begin {
    const { mode } = this.plan
    return { mode, tagBytes: mode === 'fast' ? sizeOf(tag) : 0 }
  }

  /** One link of the chain. */
  private fieldCode(node: FieldNode, message: MessageNode, around: readonly number[]): string {
    const { depth: d } = message
    const { field } = node
    const note = `${this.clearOthers(node, message)}${this.noteCode(node)}`
    const link = (tag: number, read: string): string => {
      const loop = field.repeated || field.mapKey !== null ? 'while' : 'if'
      return `${loop} (${isNextTag(this.plan.mode, tag, d)}) {
${note}
${read}
${this.nextTag(message)} }`
    }
    const tag = (field.number << 3) | wireOfField(field)
    const one = link(tag, this.readCode(node, d, tag, around))
    if (!field.repeated || !isPackable(field.kind)) return one
    const packed = (field.number << 3) | Wire.bytes
    // Both forms may come in one message, in any order.
    return `for (;;) {
${link(packed, this.packedCode(node, d, packed))}
if (!(${isNextTag(this.plan.mode, tag, d)})) break
${one}
}`
  }

  private noteCode(node: FieldNode): string {
    const { word, mask } = this.bitOf(node)
    const column = this.columns.get(node)
    const isSet = `(s${word} & ${mask}) === 0`
    let first = ''
    const kind = node.kind === 'wrapper' ? node.value.kind : node.field.kind
    // Text that is overwritten must be text, too, and nobody would look at it.
    const again = this.plan.mode === 'fast' && kind === 'string' && column !== undefined
    if (node.kind === 'scalar' && again) {
      return `if (!(${isSet})) fail(Fault.utf8, p)\ns${word} |= ${mask}`
    }
    if (node.kind === 'time' && column !== undefined) first = `r${column.slot.column}.clear()`
    else if (node.kind === 'wrapper' && column !== undefined) first = value.defaultCode(column.slot)
    const otherwise = again ? ' else fail(Fault.utf8, p)' : ''
    return `${first === '' ? '' : `if (${isSet}) { ${first} }${otherwise}\n`}s${word} |= ${mask}`
  }

  private bitOf(node: FieldNode): Bit {
    return this.bits.get(node) ?? { word: 0, mask: 0 }
  }

  private readCode(node: FieldNode, d: number, tag: number, around: readonly number[]): string {
    const end = `e${d}`
    const { field } = node
    const column = this.columns.get(node)
    const begin = this.behind(tag)
    const pass = begin.tagBytes === 0 ? '' : `p += ${begin.tagBytes}; `
    if (node.kind === 'nested' && this.isWanted(node)) {
      return `${value.lengthCode(begin, end)}
e${d + 1} = p + x
${this.messageCode(node.message, [...around, tag])}`
    }
    if (column === undefined) {
      if (!field.group) return value.skipCode(begin, wireOfField(field), end)
      return `${pass}p = skip(bytes, p, ${end}, ${tag}, ${d})`
    }
    const { slot } = column
    const { column: i } = slot
    const { kind } = field
    switch (node.kind) {
      case 'scalar':
        return this.valueInto(begin, kind, slot, end) + this.defaultAsAbsent(node, slot)
      case 'list':
        return this.elementInto(begin, kind, slot, end)
      case 'time':
        return `${value.lengthCode(begin, end)}
p = r${i}.read(bytes, p, p + x, ${d + 1})`
      case 'wrapper':
        return this.wrapperCode(begin, node.value, slot, d)
      case 'json':
        if (field.group) {
          return `${pass}a = p; p = skipGroup(bytes, p, ${end}, ${tag}, ${d + 1})
r${i}.add(a, groupEnd[0])`
        }
        return `${value.lengthCode(begin, end)}
r${i}.add(p, p + x); p += x`
      case 'nested':
      case 'skipped':
        return ''
    }
  }

  /**
   * Without presence a default that was written says what one that was not written says, and most
   * serializers leave it out: null must not depend on who wrote the message.
   */
  private defaultAsAbsent(node: FieldNode, slot: Slot): string {
    const { kind, presence } = node.field
    if (presence || !this.plan.nullDefaults || kind === 'message') return ''
    const { word, mask } = this.bitOf(node)
    return `\nif (${value.isDefaultCode(kind, slot)}) s${word} &= ${~mask}`
  }

  private packedCode(node: FieldNode, d: number, tag: number): string {
    const column = this.columns.get(node)
    const begin = this.behind(tag)
    if (column === undefined) return value.skipCode(begin, Wire.bytes, `e${d}`)
    return `${value.lengthCode(begin, `e${d}`)}
a = p + x
while (p < a) {
${this.elementInto(value.plain(begin.mode), node.field.kind, column.slot, 'a')}
}
if (p !== a) fail(Fault.truncated, a)`
  }

  private valueInto(begin: Begin, kind: FieldKind, { column, type }: Slot, end: string): string {
    if (kind === 'message' || type.kind === 'list') return ''
    return value.valueCode(begin, kind, { column, type, index: 'row' }, end)
  }

  private elementInto(begin: Begin, kind: FieldKind, slot: Slot, end: string): string {
    return kind === 'message' ? '' : value.elementCode(begin, kind, slot, end)
  }

  /** The message around a value: one field, and what a later version may have added. */
  private wrapperCode(begin: Begin, field: FieldShape, slot: Slot, d: number): string {
    const inner: MessageShape = { name: '', fields: [field], oneofs: [] }
    const [t, e] = [`t${d + 1}`, `e${d + 1}`]
    const next = readTag(inner, d + 1)
    const text = begin.mode === 'fast' && field.kind === 'string'
    return `${value.lengthCode(begin, `e${d}`)}
${e} = p + x
${next}
while (${t} !== -1) {
if (${t} === ${(field.number << 3) | wireOfField(field)}) {
${text ? `if (!(${value.isDefaultCode('string', slot)})) fail(Fault.utf8, p)` : ''}
${this.valueInto(value.plain(begin.mode), field.kind, slot, e)}
} else {
if (${t} >>> 3 === ${field.number}) fail(Fault.mismatch, p)
p = skip(bytes, p, ${e}, ${t}, ${d + 1}) }
${next}
}
if (p !== ${e}) fail(Fault.truncated, ${e})`
  }

  /** Setting one field of a oneof takes back the others, and all that is in them. */
  private clearOthers(node: FieldNode, { fields }: MessageNode): string {
    const { oneof } = node.field
    if (oneof === -1) return ''
    const masks = new Map<number, number>()
    const empty: string[] = []
    const clear = (other: FieldNode): void => {
      const { word, mask } = this.bitOf(other)
      masks.set(word, (masks.get(word) ?? 0) | mask)
      const column = this.columns.get(other)
      const i = column?.slot.column
      // What was there is gone, but has to be a message: others refuse the record, too.
      if (other.kind === 'json' && i !== undefined)
        empty.push(`json.check(plans[${i}], bytes, view, r${i})`)
      empty.push(column?.empty ?? '')
      if (other.kind === 'nested') other.message.fields.forEach(clear)
    }
    fields.filter((other) => other !== node && other.field.oneof === oneof).forEach(clear)
    // As with text that is overwritten.
    const fast = this.plan.mode === 'fast'
    const bits = [...masks].map(([word, mask]) =>
      fast ? `if ((s${word} & ${mask}) !== 0) fail(Fault.utf8, p)` : `s${word} &= ${~mask}`,
    )
    if (fast) empty.length = 0
    return [...bits, ...empty]
      .filter((code) => code !== '')
      .map((code) => `${code}\n`)
      .join('')
  }

  /** Writes what the row does not have, and what can only be written once all of it is known. */
  private finishCode(message: MessageNode): string {
    const fields = this.finishFields(message)
    const cases = message.cases.map(({ oneof, leaf }) => {
      const slot = this.plan.slotOf(leaf)
      return slot === null ? '' : this.caseCode(message, oneof, slot)
    })
    return [...fields, ...cases].filter((code) => code !== '').join('\n')
  }

  /** Most messages have most fields: of those of a word it is asked once whether all are there. */
  private finishFields({ fields }: MessageNode): string[] {
    const scalars = new Map<number, FieldNode[]>()
    const others: string[] = []
    for (const node of fields) {
      const { word } = this.bitOf(node)
      if (node.kind === 'scalar' && this.columns.has(node)) {
        scalars.set(word, [...(scalars.get(word) ?? []), node])
      } else others.push(this.finishField(node))
    }
    const words = [...scalars].map(([word, nodes]) => {
      const mask = nodes.reduce((sum, node) => sum | this.bitOf(node).mask, 0)
      const each = nodes.map((node) => this.finishField(node))
      return `if ((s${word} & ${mask}) !== ${mask}) {\n${each.join('\n')}\n}`
    })
    return [...words, ...others]
  }

  private finishField(node: FieldNode): string {
    const { word, mask } = this.bitOf(node)
    const isAbsent = `(s${word} & ${mask}) === 0`
    if (node.kind === 'nested') {
      const none = this.nullsOf(node.message)
      const own = this.finishCode(node.message)
      return none === '' && own === '' ? '' : `if (${isAbsent}) {\n${none}\n} else {\n${own}\n}`
    }
    const column = this.columns.get(node)
    if (column === undefined) return ''
    const { slot } = column
    const { column: i } = slot
    const isNull = node.field.presence || this.plan.nullDefaults
    const otherwise = isNull ? value.nullCode(slot) : value.fieldDefaultCode(node.field, slot)
    switch (node.kind) {
      case 'scalar':
      case 'wrapper':
        return `if (${isAbsent}) { ${otherwise} }`
      case 'list':
        // A packed field without an element may have been written.
        return isNull
          ? `if (c${i} === q${i}[row]) { ${otherwise} } else ${value.defaultCode(slot)}`
          : otherwise
      case 'json': {
        const write = `o${i}[row + 1] = json.write(b${i}, o${i}[row], plans[${i}], bytes, view, r${i})`
        return isNull ? `if (${isAbsent}) { ${otherwise} } else ${write}` : write
      }
      case 'time': {
        const put = node.leaf.type.kind === 'timestamptz' ? 'putTimestamp' : 'putDuration'
        return `if (${isAbsent}) { ${otherwise} }
else ${put}(v${i}, row, r${i}.low, r${i}.high, r${i}.nanos, r${i}.at)`
      }
      case 'skipped':
        return ''
    }
  }

  /** All columns of a message that is not there. */
  private nullsOf(message: MessageNode): string {
    const fields = message.fields.map((node) => {
      if (node.kind === 'nested') return this.nullsOf(node.message)
      const column = this.columns.get(node)
      return column === undefined ? '' : value.nullCode(column.slot)
    })
    const cases = message.cases.map(({ leaf }) => {
      const slot = this.plan.slotOf(leaf)
      return slot === null ? '' : value.nullCode(slot)
    })
    return [...fields, ...cases].filter((code) => code !== '').join('\n')
  }

  private caseCode(message: MessageNode, oneof: number, slot: Slot): string {
    const { column: i } = slot
    const members = message.fields.filter(({ field }) => field.oneof === oneof)
    const choices = members.map((node) => {
      const { word, mask } = this.bitOf(node)
      const put = `putLabel(w${i}, n, names[${i}], ${node.field.number})`
      return `if ((s${word} & ${mask}) !== 0) o${i}[row + 1] = ${put}`
    })
    const room = value.labelRoomCode(slot, 'names')
    return `${room}\n${[...choices, `{ ${value.nullCode(slot)} }`].join('\nelse ')}`
  }
}
