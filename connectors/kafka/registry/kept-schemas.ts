// Schemas on disk beside the checkpoint: after a restart the records of known ids decode although
// the registry is down. An entry that does not pass its checksum is fetched again; one that cannot
// be written costs only that.

import { createHash } from 'node:crypto'
import { PipelineError } from '../../../runtime/base/errors.ts'
import type { RegistryOptions } from './options.ts'
import type { RegisteredSchema } from './schemas.ts'

const FORMAT = 1

export class KeptSchemas {
  private readonly options: RegistryOptions
  /** An id means another schema in another registry. */
  private readonly folder: string
  private complained = false

  constructor(options: RegistryOptions) {
    this.options = options
    this.folder = digestOf(options.urls.toSorted().join('\n')).slice(0, 16)
  }

  async find(id: number): Promise<RegisteredSchema | null> {
    const { store } = this.options
    if (store === null) return null
    try {
      const path = this.pathOf(id)
      if (!(await store.exists(path))) return null
      const schema = read(Buffer.from(await store.get(path)).toString(), id)
      if (schema === null) this.complain('a kept schema is damaged and is fetched again', { id })
      return schema
    } catch (error) {
      this.refuse(error)
      return null
    }
  }

  async keep(schema: RegisteredSchema): Promise<void> {
    const { store } = this.options
    if (store === null) return
    try {
      await store.put(this.pathOf(schema.id), Buffer.from(written(schema)))
    } catch (error) {
      this.refuse(error)
    }
  }

  private pathOf(id: number): string {
    return `${this.folder}/${id}.json`
  }

  private refuse(error: unknown): void {
    if (!(error instanceof PipelineError)) throw error
    this.complain('schemas cannot be kept: a restart will need the registry', { error })
  }

  /** Once: a disk that is full now is so for the next schema too. */
  private complain(message: string, facts: Readonly<Record<string, unknown>>): void {
    if (!this.complained) this.options.log.warn(message, facts)
    this.complained = true
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function written(schema: RegisteredSchema): string {
  const text = JSON.stringify(schema)
  return JSON.stringify({ format: FORMAT, sha256: digestOf(text), schema: text })
}

function read(text: string, id: number): RegisteredSchema | null {
  try {
    const entry = JSON.parse(text) as { format: unknown; sha256: unknown; schema: unknown }
    const { format, sha256, schema } = entry
    if (format !== FORMAT || typeof schema !== 'string' || digestOf(schema) !== sha256) return null
    const found = JSON.parse(schema) as RegisteredSchema
    return found.id === id ? found : null
  } catch {
    return null
  }
}
