// The port of byte storage: whole objects by path, created once and never changed.

export interface ObjectStore {
  /** @throws PipelineError STORAGE_FAILED when there is none */
  get(path: string): Promise<Uint8Array>
  /** Writes and makes durable; replaces an object of that name. */
  put(path: string, bytes: Uint8Array): Promise<void>
  /** Creates durably. @returns false when there already was one; nothing is changed then */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean>
  /** Opens an object that is written piece by piece; nobody sees it before `finish`. */
  create(path: string): Promise<ObjectWriter>
  /** Paths below `prefix`, in no order. */
  list(prefix: string): Promise<readonly string[]>
  exists(path: string): Promise<boolean>
  /** Deletes; an object that is not there is no error. */
  delete(path: string): Promise<void>
  /**
   * Removes what a crash left of objects that were being written below `prefix` ('' for all). Only
   * while nobody writes there.
   *
   * @param keep  names (`ObjectWriter.unfinished`) of those that somebody still needs
   * @returns objects removed
   */
  removeUnfinished(prefix: string, keep?: ReadonlySet<string>): Promise<number>
  /** The path as the lake's metadata spells it: `file:///...`. */
  uri(path: string): string
}

/** A new name for an object. */
export interface Move {
  readonly from: string
  readonly to: string
}

/** A store whose objects can be given other names without being copied. */
export interface MovingStore extends ObjectStore {
  /**
   * Gives objects other names. Each appears whole; they appear one after the other, and for a
   * moment one may have both names. Durable when it resolves. A call that a crash has cut short is
   * finished by the same call again: what has its new name already is left there.
   *
   * @throws PipelineError STORAGE_FAILED when an object has neither name, or another object has
   *         the new one: nothing is replaced
   */
  publish(moves: readonly Move[]): Promise<void>
}

export interface ObjectWriter {
  /** Bytes written so far. */
  readonly length: number
  /**
   * Where the bytes are until `finish`: a path that `list` does not show, and under which what was
   * synced can be read and deleted.
   */
  readonly unfinished: string
  /** The caller must not touch `bytes` before the promise settles. */
  write(bytes: Uint8Array): Promise<void>
  /** What was written so far is durable when it resolves, though the object is not there yet. */
  sync(): Promise<void>
  /** Gives back what the machine has few of (a handle); the next call takes it again. */
  pause(): Promise<void>
  /** Durable when it resolves: the bytes and the folder entry. */
  finish(): Promise<void>
  /** Throws the object away. */
  abort(): Promise<void>
}
