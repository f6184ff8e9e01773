// Files of the lake by the URI that metadata gives them. A URI is compared as it is spelled, and
// only read through its place below the warehouse: `file:/a` and `file:///a` are one place.

import { PipelineError } from '../../runtime/base/errors.ts'
import type { ObjectStore } from '../../runtime/object-store.ts'

export class LakeFiles {
  readonly store: ObjectStore
  /** URI of the warehouse, with the slash at its end. */
  readonly #prefix: string

  constructor(store: ObjectStore) {
    this.store = store
    this.#prefix = canonical(store.uri('x').slice(0, -1))
  }

  uri(path: string): string {
    return this.store.uri(path)
  }

  /** @returns the path below the warehouse @throws PipelineError LAKE_FORMAT when elsewhere */
  path(uri: string): string {
    const path = this.pathBelow(uri)
    if (path !== null) return path
    const detail = `The warehouse is ${this.#prefix}.`
    throw new PipelineError('LAKE_FORMAT', `file ${uri} lies outside the warehouse`, { detail })
  }

  /** @returns the path below the warehouse; `null`: the file is elsewhere, and none of ours */
  pathBelow(uri: string): string | null {
    const place = canonical(uri)
    return place.startsWith(this.#prefix) ? place.slice(this.#prefix.length) : null
  }

  /** @throws PipelineError LAKE_FORMAT when the file is missing: metadata that is lost */
  async read(uri: string): Promise<Uint8Array> {
    const path = this.path(uri)
    try {
      return await this.store.get(path)
    } catch (error) {
      if (!(error instanceof PipelineError) || error.error !== 'STORAGE_FAILED') throw error
      if (await this.store.exists(path)) throw error
      const options = { detail: 'The lake table refers to it.', cause: error }
      throw new PipelineError('LAKE_FORMAT', `file ${uri} does not exist`, options)
    }
  }
}

function canonical(uri: string): string {
  return uri.replace(/^file:\/*(?=\/)/, 'file://')
}
