// Writes the code that decodes row images of one table shape straight into the columns of one
// schema. Two variants: `full` for images with all columns, nearly every event there is, and
// `partial`, which asks for each column whether it is there (binlog_row_image MINIMAL and NOBLOB).

import type { ColumnType } from '../../../runtime/data/type.ts'
import { decodeCode, nullCode, skipCode, Status, storageOf } from './column-code.ts'
import type { ColumnTarget } from './column-code.ts'

export interface RowShape {
  /** One a column of the table map, in its order. */
  readonly targets: readonly ColumnTarget[]
  /** Indexes of the key's columns in the table map; []: nothing tells that two rows are one. */
  readonly key: readonly number[]
}

/** Parameters of every generated function; see `DecodeRows` in table-decoder.ts. */
const PARAMETERS =
  'bytes, view, p, end, stop, columns, views, row, limit, out, present, after, anyKey'

/**
 * @returns source of a function body that gives `{ images, updates }` for images with all columns
 */
export function fullSource(shape: RowShape): string {
  return `${functionSource('images', shape, fullImages(shape))}
${functionSource('updates', shape, fullUpdates(shape))}
return { images, updates }`
}

/** The twin of `fullSource` for images that leave columns out. */
export function partialSource(shape: RowShape): string {
  return `${functionSource('images', shape, partialImages(shape))}
${functionSource('updates', shape, partialUpdates(shape))}
return { images, updates }`
}

function functionSource(name: string, { targets }: RowShape, body: string): string {
  const fields = targets.filter(({ type }) => type !== null)
  const open = fields.map(({ field, type }) => openField(field, type as ColumnType))
  const close = fields
    .filter(({ type }) => storageOf(type as ColumnType) === 'bytes')
    .map(({ field }) => `b${field}.bytesLength = n${field}; views[${field}] = w${field}`)
  return `function ${name}(${PARAMETERS}) {
${open.join('\n')}
const tail = view.byteLength - 4
let status = 0, column = -1, at = p
${body}
${close.join('\n')}
out.row = row
out.status = status
out.column = column
return status === 0 ? p : at
}`
}

function openField(field: number, type: ColumnType): string {
  const builder = `const b${field} = columns[${field}]`
  switch (storageOf(type)) {
    case 'bytes':
      return `${builder}, o${field} = b${field}.offsets
let y${field} = b${field}.bytes, w${field} = views[${field}], n${field} = b${field}.bytesLength
if (w${field}.buffer !== y${field}.buffer) w${field} = runtime.viewOf(y${field})`
    case 'words2':
    case 'words4':
      return `${builder}, v${field} = b${field}.pairs`
    case 'values':
    case 'uuid':
      return `${builder}, v${field} = b${field}.values`
  }
}

const CORRUPT = `{ status = ${Status.corrupt}; break rows }`

function loop(body: string): string {
  return `rows: while (p < stop && row < limit) {
at = p
${body}
if (p > end) ${CORRUPT}
row++
}`
}

/** The null bitmap of an image with all columns, as constants z0, z1, ... */
function nullBytes(count: number, name: string): string {
  const bytes = (count + 7) >> 3
  if (bytes === 0) return ''
  const parts = Array.from({ length: bytes }, (_, byte) => `${name}${byte} = bytes[p + ${byte}]`)
  return `const ${parts.join(', ')}; p += ${bytes}`
}

function nullBit(name: string, index: number): string {
  return `(${name}${index >> 3} & ${1 << (index & 7)})`
}

/** A NOT NULL column that is marked null means that the bytes are not what the table map says. */
function requiredCheck(targets: readonly ColumnTarget[], name: string): string {
  const masks = new Map<number, number>()
  for (const { index, column } of targets) {
    if (column.nullable) continue
    masks.set(index >> 3, (masks.get(index >> 3) ?? 0) | (1 << (index & 7)))
  }
  const tests = [...masks].map(([byte, mask]) => `(${name}${byte} & ${mask})`)
  return tests.length === 0 ? '' : `if ((${tests.join(' | ')}) !== 0) ${CORRUPT}`
}

function decodeAll(targets: readonly ColumnTarget[], name: string): string {
  return targets
    .map((target) => {
      const { index, column, type } = target
      const code = decodeCode(target)
      if (!column.nullable) return code
      if (type === null) return `if (${nullBit(name, index)} === 0) { ${code} }`
      return `if (${nullBit(name, index)} !== 0) { ${nullCode(target)} } else {\n${code} }`
    })
    .join('\n')
}

function fullImages({ targets }: RowShape): string {
  return loop(`${nullBytes(targets.length, 'z')}
${requiredCheck(targets, 'z')}
${decodeAll(targets, 'z')}`)
}

/** Passes over columns, noting where those of the key begin and end: ks0, ke0, ... */
function skipAll(shape: RowShape, count: number, name: string, mark: string): string {
  return shape.targets
    .slice(0, count)
    .map(({ index, column }) => {
      const skip = skipCode(column)
      const code = column.nullable ? `if (${nullBit(name, index)} === 0) ${skip}` : skip
      const part = shape.key.indexOf(index)
      return part === -1 ? code : `const ${mark}s${part} = p\n${code}\nconst ${mark}e${part} = p`
    })
    .join('\n')
}

function keyTest({ key }: RowShape, parts: (part: number) => string): string {
  const tests = key.map((_, part) => parts(part))
  return `if (!anyKey && (${tests.join(' || ')})) { status = ${Status.keyChanged}; break rows }`
}

/** Without a key every update is taken apart: only its old row tells which one it was. */
const NO_KEY_TEST = `if (!anyKey) { status = ${Status.keyChanged}; break rows }`

function keyPartDiffers(part: number): string {
  return `runtime.differ(bytes, ks${part}, ke${part}, ls${part}, le${part})`
}

function fullUpdates(shape: RowShape): string {
  const { targets, key } = shape
  const behindKey = Math.max(-1, ...key) + 1
  const keyScan =
    key.length === 0
      ? NO_KEY_TEST
      : `${nullBytes(targets.length, 'x')}
${skipAll(shape, behindKey, 'x', 'l')}
if (p > end) ${CORRUPT}
${keyTest(shape, keyPartDiffers)}
p = q`
  return loop(`${nullBytes(targets.length, 'z')}
${requiredCheck(targets, 'z')}
${skipAll(shape, targets.length, 'z', 'k')}
const q = p
${keyScan}
${nullBytes(targets.length, 'q')}
${requiredCheck(targets, 'q')}
${decodeAll(targets, 'q')}`)
}

/** Each column that the image has takes the next bit of its null bitmap. */
function eachPresent(
  shape: RowShape,
  presence: string,
  bits: string,
  code: (target: ColumnTarget, isNull: string) => string,
  count = shape.targets.length,
): string {
  const lines = shape.targets.slice(0, count).map((target) => {
    const isNull = `((bytes[${bits} + (${bits}i >> 3)] >> (${bits}i & 7)) & 1) !== 0`
    return `if (${presence}[${target.index}] !== 0) {\n${code(target, isNull)}\n${bits}i++ }`
  })
  return `const ${bits} = p; p += ${presence}Bytes; let ${bits}i = 0\n${lines.join('\n')}`
}

function decodeOne(target: ColumnTarget, isNull: string): string {
  const code = decodeCode(target)
  if (target.type === null) return `if (!(${isNull})) { ${code} }`
  if (!target.column.nullable) return `if (${isNull}) ${CORRUPT}\n${code}`
  return `if (${isNull}) { ${nullCode(target)} } else {\n${code} }`
}

function skipOne({ column }: ColumnTarget, isNull: string): string {
  return `if (!(${isNull})) ${skipCode(column)}`
}

const BITMAP_BYTES = (name: string): string =>
  `let ${name}Bytes = 0
for (let i = 0; i < ${name}.length; i++) ${name}Bytes += ${name}[i]
${name}Bytes = (${name}Bytes + 7) >> 3`

function partialImages(shape: RowShape): string {
  return `${BITMAP_BYTES('present')}
${loop(eachPresent(shape, 'present', 'z', decodeOne))}`
}

/** A value that only the before image has is the row's value still. */
function partialUpdates(shape: RowShape): string {
  const { key, targets } = shape
  const marked =
    (mark: string) =>
    (target: ColumnTarget, isNull: string): string => {
      const part = key.indexOf(target.index)
      const skip = skipOne(target, isNull)
      return part === -1 ? skip : `${mark}s${part} = p; ${skip}; ${mark}e${part} = p`
    }
  const declared = key.map(
    (_, part) => `ks${part} = -1, ke${part} = -1, ls${part} = -1, le${part} = -1`,
  )
  const beforeImage = (target: ColumnTarget, isNull: string): string => {
    const skip = skipOne(target, isNull)
    if (target.type === null) return skip
    return `if (after[${target.index}] !== 0) { ${skip} } else {\n${decodeOne(target, isNull)} }`
  }
  const scan =
    key.length === 0
      ? NO_KEY_TEST
      : `let ${declared.join(', ')}
{ ${eachPresent(shape, 'present', 'z', marked('k'))} }
{ ${eachPresent(shape, 'after', 'z', marked('l'), Math.max(...key) + 1)} }
if (p > end) ${CORRUPT}
${keyTest(shape, (part) => `(ls${part} !== -1 && ${keyPartDiffers(part)})`)}
p = at`
  return targets.length === 0
    ? ''
    : `${BITMAP_BYTES('present')}
${BITMAP_BYTES('after')}
${loop(`${scan}
{ ${eachPresent(shape, 'present', 'z', beforeImage)} }
{ ${eachPresent(shape, 'after', 'z', decodeOne)} }`)}`
}
