// One schema in memory: .proto text with what it imports, or a descriptor set, made into shapes of
// its messages. protobufjs parses; which text an import means is decided here.

import { createRequire } from 'node:module'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor.js'
import { Shapes, type MessageShape } from './shape.ts'

export interface ProtoSchema {
  /** @param name  full @returns `null`: the schema has no such message */
  message(name: string): MessageShape | null
  /**
   * The message that a record's indexes name: those of the main file in the order of its text, then
   * those that are nested in it.
   *
   * @returns its full name; `null`: there is none
   */
  messageAt(indexes: readonly number[]): string | null
}

/** What `import` names; `null`: nobody has it. */
export type ImportTexts = (path: string) => string | null

/** Types that serializers know without being told. */
const BUNDLED: Readonly<Record<string, string>> = {
  'confluent/type/decimal.proto': `syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`,
}

const OPTIONS: protobuf.IParseOptions = { keepCase: true, alternateCommentMode: true }

/**
 * @param path  of the main file, for messages
 * @throws Error with the parser's words; also when a type that is used was not found
 */
export function schemaOfText(path: string, text: string, imports: ImportTexts): ProtoSchema {
  const root = new protobuf.Root()
  const missing: string[] = []
  const seen = new Set([path])
  const queue = parsed(path, text, root)
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (seen.has(name)) continue
    seen.add(name)
    const source = imports(name) ?? BUNDLED[name] ?? null
    if (source !== null) queue.push(...parsed(name, source, root))
    else if (!addKnown(name, root)) missing.push(name)
  }
  resolveAll(root, missing)
  const alone = new protobuf.Root()
  const { package: name = '' } = parse(path, text, alone)
  return new TextSchema(new Shapes(root), name === '' ? alone : alone.lookup(name))
}

/** @throws Error when the bytes are no descriptor set, or one that lacks files */
export function schemaOfDescriptors(bytes: Uint8Array, message: string | null): ProtoSchema {
  const { FileDescriptorSet } = descriptor
  const { file } = FileDescriptorSet.toObject(FileDescriptorSet.decode(bytes)) as DescriptorSet
  const root = protobuf.Root.fromDescriptor(bytes, { keepCase: true })
  resolveAll(root, [])
  const main = file?.find((one) => message !== null && holds(one, message)) ?? file?.at(-1)
  return new DescriptorSchema(new Shapes(root), main ?? { messageType: [] })
}

class TextSchema implements ProtoSchema {
  private readonly shapes: Shapes
  private readonly top: protobuf.ReflectionObject | null

  constructor(shapes: Shapes, top: protobuf.ReflectionObject | null) {
    this.shapes = shapes
    this.top = top
  }

  message(name: string): MessageShape | null {
    return this.shapes.message(name)
  }

  messageAt(indexes: readonly number[]): string | null {
    let at = this.top
    for (const index of indexes) {
      if (!(at instanceof protobuf.Namespace)) return null
      at = at.nestedArray.filter((one) => one instanceof protobuf.Type)[index] ?? null
    }
    return at instanceof protobuf.Type ? at.fullName.slice(1) : null
  }
}

interface DescriptorSet {
  readonly file?: readonly DescriptorFile[]
}

interface DescriptorFile {
  readonly package?: string
  readonly messageType?: readonly DescriptorMessage[]
}

interface DescriptorMessage {
  readonly name?: string
  readonly nestedType?: readonly DescriptorMessage[]
  readonly options?: { readonly mapEntry?: boolean }
}

class DescriptorSchema implements ProtoSchema {
  private readonly shapes: Shapes
  private readonly file: DescriptorFile

  constructor(shapes: Shapes, file: DescriptorFile) {
    this.shapes = shapes
    this.file = file
  }

  message(name: string): MessageShape | null {
    return this.shapes.message(name)
  }

  messageAt(indexes: readonly number[]): string | null {
    const names = this.file.package === undefined ? [] : [this.file.package]
    let nested = this.file.messageType ?? []
    for (const index of indexes) {
      // The entries of maps are types here; serializers count those of the text.
      const type = nested.filter(({ options }) => options?.mapEntry !== true)[index]
      if (type === undefined) return null
      names.push(type.name ?? '')
      nested = type.nestedType ?? []
    }
    return indexes.length === 0 ? null : names.join('.')
  }
}

function holds({ package: of = '', messageType = [] }: DescriptorFile, message: string): boolean {
  const within = (types: readonly DescriptorMessage[], prefix: string): boolean =>
    types.some(({ name = '', nestedType = [] }) => {
      return prefix + name === message || within(nestedType, `${prefix}${name}.`)
    })
  return within(messageType, of === '' ? '' : `${of}.`)
}

function parse(path: string, text: string, root: protobuf.Root): protobuf.IParserResult {
  // Its type declarations leave the name out that its messages have.
  ;(protobuf.parse as { filename?: string | null }).filename = path
  return protobuf.parse(text, root, OPTIONS)
}

function parsed(path: string, text: string, root: protobuf.Root): string[] {
  const { imports = [], weakImports = [] } = parse(path, text, root)
  return [...imports, ...weakImports]
}

/** What protobufjs brings: well-known types, and `descriptor.proto` for options of one's own. */
function addKnown(name: string, root: protobuf.Root): boolean {
  const known = protobuf.common.get(name) ?? file(name)
  if (known === null || known.nested === undefined) return false
  root.addJSON(known.nested)
  return true
}

function file(name: string): protobuf.INamespace | null {
  if (!/^google\/protobuf\/(?:api|descriptor|source_context|type)\.proto$/.test(name)) return null
  const load = createRequire(import.meta.url)
  return load(`protobufjs/${name.replace(/proto$/, 'json')}`) as protobuf.INamespace
}

function resolveAll(root: protobuf.Root, missing: readonly string[]): void {
  try {
    root.resolveAll()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    if (missing.length === 0) throw new Error(text, { cause: error })
    throw new Error(`${text}; not found: ${missing.join(', ')}`, { cause: error })
  }
}
