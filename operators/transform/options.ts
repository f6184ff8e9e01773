// What an entry of `transform` asks for, and what it must know of the sink.

export interface TransformOptions {
  /** Default: all columns. */
  readonly projection: string | null
  readonly filter: string | null
  /** Key of what leaves; `null`: that of the source. */
  readonly primaryKeys: readonly string[] | null
  /** Column to type. */
  readonly cast: Readonly<Record<string, string>>
  /** Column to mask: a name of one, or an expression. */
  readonly mask: Readonly<Record<string, string>>
  /** A deleted row stays: `column` is true then, and `at` the time of its deletion. */
  readonly softDelete: { readonly column: string; readonly at: string | null } | null
  /** A value that cannot be computed: the table stops, it is null, or its row is a dead letter. */
  readonly onError: 'stop' | 'null' | 'dlq'
}

/** @returns the key of hmac_sha256; `null`: the pipeline has none */
export type MaskKey = () => Uint8Array | null

export const NO_MASK_KEY: MaskKey = () => null

/**
 * upsert: the lake has the newest row of each key. append: it takes inserts and the rows of the
 * first copy, nothing else. changelog: every change is a row.
 */
export type SinkKind = 'upsert' | 'append' | 'changelog'
