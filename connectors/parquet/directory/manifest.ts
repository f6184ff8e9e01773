// What a directory says of itself: a manifest for each epoch, created once and never changed. The
// newest says what has been committed to each table, so it alone is enough to go on from.
//
// Form, for readers of other languages: docs/parquet-directory.md.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { Field, TableSchema } from '../../../runtime/data/schema.ts'
import { formatType } from '../../../runtime/data/type.ts'
import type { ObjectStore } from '../../../runtime/object-store.ts'
import { OWN_FOLDER } from './folders.ts'

const MANIFESTS = `${OWN_FOLDER}/manifest`
const PUBLISHING = `${OWN_FOLDER}/publishing`
const OWNER = `${OWN_FOLDER}/owner.json`
const FORMAT = 1

/** A structure, as far as a reader of files needs it. */
export interface ManifestSchema {
  readonly version: number
  readonly fields: readonly {
    readonly id: number
    readonly name: string
    readonly type: string
  }[]
}

export interface ManifestFile {
  /** Relative to the directory. */
  readonly path: string
  readonly rows: number
  readonly bytes: number
  readonly schema_version: number
}

/** What is known of a table as of an epoch. */
export interface TableHead {
  /** Name in the lake. */
  readonly name: string
  /** Identity of the table: made with its first commit. */
  readonly uuid: string
  /** Of the last commit to it, and its epoch. Ids are integers of 63 bits, as text. */
  readonly intent: string
  readonly epoch: number
  readonly folder: string
  readonly schema_version: number
  readonly last_field_id: number
}

/** A table's part of an epoch. */
export interface TableChange {
  readonly intent: string
  /** Structures that came with this epoch. */
  readonly schemas: readonly ManifestSchema[]
  /** Files of earlier epochs are no part of the table any more. */
  readonly truncated: boolean
  /** Places in the log, as the beginning of `_pos`, at which the source emptied the table. */
  readonly emptied: readonly string[]
  readonly files: readonly ManifestFile[]
}

export interface Manifest {
  readonly format: number
  readonly pipeline: string
  readonly timeline: number
  readonly epoch: number
  /** Epoch of the manifest before; `null`: it is the first. */
  readonly previous: number | null
  readonly fence: string
  /** Of the source, at the end of the epoch. */
  readonly position: string
  readonly source_time: string
  /** By table of the source: what the epoch brought. */
  readonly changes: Readonly<Record<string, TableChange>>
  /** By table of the source: all that the directory has. */
  readonly tables: Readonly<Record<string, TableHead>>
}

/** Files that are about to be seen, before the manifest names them. */
export interface Publishing {
  readonly epoch: number
  readonly files: readonly string[]
}

export class ManifestStore {
  private readonly lake: ObjectStore

  constructor(lake: ObjectStore) {
    this.lake = lake
  }

  uri(epoch: number): string {
    return this.lake.uri(manifestPath(epoch))
  }

  /** @returns the pipeline that the directory belongs to; it is ours from now on if it is nobody's */
  async claim(pipeline: string): Promise<string> {
    const bytes = encode({ format: FORMAT, pipeline })
    if (await this.lake.putIfAbsent(OWNER, bytes)) return pipeline
    return (await this.owner()) ?? pipeline
  }

  /** @returns `null`: nobody has written to the directory */
  async owner(): Promise<string | null> {
    if (!(await this.lake.exists(OWNER))) return null
    const owner = await this.read(OWNER)
    return typeof owner['pipeline'] === 'string' ? owner['pipeline'] : ''
  }

  async newest(): Promise<Manifest | null> {
    let newest = -1
    for (const path of await this.lake.list(MANIFESTS)) {
      const number = /\/(\d+)\.json$/.exec(path)?.[1]
      if (number !== undefined) newest = Math.max(newest, Number(number))
    }
    return newest < 0 ? null : this.ofEpoch(newest)
  }

  async ofEpoch(epoch: number): Promise<Manifest | null> {
    const path = manifestPath(epoch)
    if (!(await this.lake.exists(path))) return null
    const manifest = await this.read(path)
    if (manifest['format'] === FORMAT) return manifest as unknown as Manifest
    throw unreadable(path, 'It is of another format than this version writes.')
  }

  /** @returns false: the epoch has one already */
  create(manifest: Manifest): Promise<boolean> {
    return this.lake.putIfAbsent(manifestPath(manifest.epoch), encode(manifest))
  }

  async begin(publishing: Publishing): Promise<void> {
    await this.lake.put(publishingPath(publishing.epoch), encode(publishing))
  }

  async publishing(epoch: number): Promise<Publishing | null> {
    const path = publishingPath(epoch)
    if (!(await this.lake.exists(path))) return null
    return (await this.read(path)) as unknown as Publishing
  }

  async publishingEpochs(): Promise<readonly number[]> {
    const paths = await this.lake.list(PUBLISHING)
    return paths.flatMap((path) => {
      const number = /\/(\d+)\.json$/.exec(path)?.[1]
      return number === undefined ? [] : [Number(number)]
    })
  }

  async end(epoch: number): Promise<void> {
    await this.lake.delete(publishingPath(epoch))
  }

  /** What a crash left of files of this room. @returns files removed */
  async removeUnfinished(): Promise<number> {
    return this.lake.removeUnfinished(OWN_FOLDER)
  }

  private async read(path: string): Promise<Record<string, unknown>> {
    const text = Buffer.from(await this.lake.get(path)).toString()
    try {
      const value: unknown = JSON.parse(text)
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
    } catch {
      // Said below.
    }
    throw unreadable(path, 'It is no JSON object.')
  }
}

function manifestPath(epoch: number): string {
  return `${MANIFESTS}/${epoch}.json`
}

function publishingPath(epoch: number): string {
  return `${PUBLISHING}/${epoch}.json`
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

function unreadable(path: string, detail: string): PipelineError {
  const hint = 'Restore the file from a backup, or give the pipeline another `sink.path`.'
  return new PipelineError('LAKE_FORMAT', `${path} cannot be read`, { detail, hint })
}

export function manifestSchema(
  { version }: TableSchema,
  columns: readonly Field[],
): ManifestSchema {
  const fields = columns.map(({ id, name, type }) => ({ id, name, type: formatType(type) }))
  return { version, fields }
}
