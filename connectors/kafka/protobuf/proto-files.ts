// Schemas from files: .proto files with what they import, or a descriptor set. The files are looked
// at once a second while records come, and read again when one of them is another: an editor, a
// deployment or a mounted ConfigMap replaces them without telling.

import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../../../runtime/base/clock.ts'
import { PipelineError } from '../../../runtime/base/errors.ts'
import { schemaOfDescriptors, schemaOfText, type ProtoSchema } from './schema.ts'

/** Where schemas come from that no registry has. */
export type FileSource =
  | {
      readonly kind: 'proto'
      /** The file that has the message. */
      readonly file: string
      /** Folders in which imports are looked for; the file's own is always one. */
      readonly importRoots: readonly string[]
    }
  /** What `protoc --descriptor_set_out --include_imports` writes. */
  | { readonly kind: 'descriptors'; readonly file: string }

const LOOK_MS = 1000

export interface LoadedFiles {
  readonly schema: ProtoSchema
  /** Of all that was read: the same text is the same schema, also after a restart. */
  readonly hash: string
}

export class ProtoFiles {
  private readonly source: FileSource
  private readonly message: string | null
  private readonly clock: Clock
  private stamps = new Map<string, string>()
  private lookedMs: number

  constructor(source: FileSource, message: string | null, clock: Clock) {
    this.source = source
    this.message = message
    this.clock = clock
    this.lookedMs = clock.elapsedMs()
  }

  /** @throws PipelineError SCHEMA_UNKNOWN */
  load(): LoadedFiles {
    const { file } = this.source
    const hash = createHash('sha256')
    const stamps = new Map<string, string>()
    try {
      const read = (path: string): Buffer => {
        stamps.set(path, stampOf(path))
        const bytes = readFileSync(path)
        hash.update(`${bytes.length}:`).update(bytes)
        return bytes
      }
      const schema = this.parse(read)
      this.stamps = stamps
      return { schema, hash: hash.digest('hex') }
    } catch (error) {
      // Not read again before one of them has changed.
      for (const path of [...this.stamps.keys(), ...stamps.keys()]) {
        this.stamps.set(path, stampOf(path))
      }
      const detail = error instanceof Error ? error.message : String(error)
      throw new PipelineError('SCHEMA_UNKNOWN', `Protobuf schema "${file}" cannot be read`, {
        detail: `The parser says: ${detail}.`,
        hint: 'Correct the file, or `import_roots` where an import is not found.',
        cause: error,
      })
    }
  }

  private parse(read: (path: string) => Buffer): ProtoSchema {
    const { source } = this
    if (source.kind === 'descriptors') return schemaOfDescriptors(read(source.file), this.message)
    const roots = [...source.importRoots, dirname(source.file)]
    return schemaOfText(source.file, read(source.file).toString('utf8'), (path) => {
      const found = roots.map((root) => join(root, path)).find((one) => stampOf(one) !== '')
      return found === undefined ? null : read(found).toString('utf8')
    })
  }

  /** True once some file is no longer what `load` read. Looks at most once a second. */
  changed(): boolean {
    const nowMs = this.clock.elapsedMs()
    if (nowMs - this.lookedMs < LOOK_MS) return false
    this.lookedMs = nowMs
    return [...this.stamps].some(([path, stamp]) => stampOf(path) !== stamp)
  }
}

/** @returns what changes with the file; '': there is none */
function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`
}
