// Tags in generated code: what they are of each field, and how the next one is read.

import type { FieldShape, MessageShape } from '../shape.ts'
import { isPackable, wireOf } from './json-fields.ts'
import type { Mode } from './value-code.ts'
import { Wire } from './wire.ts'

export function wireOfField(field: FieldShape): number {
  return field.mapKey === null ? wireOf(field.kind, field.group) : Wire.bytes
}

/** As `skipField` takes it: 8 more where packed values are as good. */
export function wireCode(field: FieldShape): number {
  return wireOfField(field) + (field.repeated && isPackable(field.kind) ? 8 : 0)
}

/** As `t` holds them: the highest are negative. */
export function tagsOf(field: FieldShape): number[] {
  const own = (field.number << 3) | wireOfField(field)
  if (!field.repeated || !isPackable(field.kind)) return [own]
  return [own, (field.number << 3) | Wire.bytes]
}

/** The bytes of a tag, as it is written by those who know how. */
export function tagBytes(tag: number): number[] {
  const bytes: number[] = []
  let rest = tag >>> 0
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return [...bytes, rest]
}

export function sizeOf(tag: number): number {
  return tagBytes(tag).length
}

/** Reads the next tag; those of two bytes in line where the message has such numbers. */
export function readTag({ fields }: MessageShape, d: number): string {
  const far = `{ p = tag(bytes, p - 1, e${d}); t${d} = pair[0] }`
  const two = `if (bytes[p] < 128) t${d} = (t${d} & 127) | (bytes[p++] << 7); else ${far}`
  const long = (fields.at(-1)?.number ?? 0) > 15 ? `{ ${two} }` : far
  return `if (p < e${d}) { if ((t${d} = bytes[p++]) > 127) ${long} } else t${d} = -1`
}

/** Whether the tag is the next: in `w` (fast) or `t` (careful). */
export function isNextTag(mode: Mode, tag: number, d: number): string {
  if (mode === 'careful') return `t${d} === ${tag}`
  const [first = 0, second = 0, third = 0, fourth = 0, fifth] = tagBytes(tag)
  const word = first | (second << 8) | (third << 16) | (fourth << 24)
  const size = sizeOf(tag)
  if (size < 4) return `(w & ${2 ** (8 * size) - 1}) === ${word}`
  return `w === ${word}${fifth === undefined ? '' : ` && bytes[p + 4] === ${fifth}`}`
}
