// The port of schemas that records name by number. A schema is never changed under its id, so what
// was fetched once holds for ever.

/** What language a schema is written in; a registry may know more than we do. */
export type SchemaKind = 'AVRO' | 'PROTOBUF' | 'JSON' | (string & {})

/** A schema that another one refers to. */
export interface SchemaReference {
  /** As the text that refers to it says: the full name of an Avro type, the path of a .proto. */
  readonly name: string
  readonly subject: string
  readonly version: number
  readonly text: string
}

export interface RegisteredSchema {
  readonly id: number
  readonly kind: SchemaKind
  readonly text: string
  /** Those of references too, each once, and behind those that it refers to itself. */
  readonly references: readonly SchemaReference[]
}

/** unknown: the registry has said for minutes that there is no such id. */
export type KnownSchema = RegisteredSchema | 'unknown'

export interface SchemaRegistry {
  /** What is known without asking; `null`: `schemaById` must find out. */
  known(id: number): KnownSchema | null
  /**
   * Waits while the registry is down or fails; a second call for an id waits with the first.
   *
   * @throws PipelineError AUTH_FAILED, PRIVILEGE_MISSING, TLS_FAILED; the signal's reason
   */
  schemaById(id: number, signal: AbortSignal): Promise<KnownSchema>
  /** What is being waited for, for `status`; `null`: nothing. Holds no secret. */
  readonly waitsFor: string | null
}

/** What `millrace check` asks of a registry. */
export interface RegistryProbe {
  /** With its address. */
  readonly name: string
  /**
   * Asks each address once.
   *
   * @throws PipelineError CONNECT_FAILED, AUTH_FAILED, PRIVILEGE_MISSING, TLS_FAILED
   */
  subjects(signal: AbortSignal): Promise<readonly string[]>
}
