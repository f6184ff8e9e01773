// An object store in memory that keeps what was made durable, and nothing else, over a `crash`.

import type { ObjectStore, ObjectWriter } from '../../runtime/object-store.ts'

export interface MemoryStore extends ObjectStore {
  readonly objects: Map<string, Uint8Array>
  /** What was synced of objects that are being written. */
  readonly unfinished: Map<string, Uint8Array>
}

export function memoryStore(): MemoryStore {
  const objects = new Map<string, Uint8Array>()
  const unfinished = new Map<string, Uint8Array>()
  let created = 0
  return {
    objects,
    unfinished,
    get(path) {
      const bytes = objects.get(path) ?? unfinished.get(path)
      if (bytes === undefined) return Promise.reject(new Error(`no object ${path}`))
      return Promise.resolve(bytes)
    },
    put(path, bytes) {
      objects.set(path, new Uint8Array(bytes))
      return Promise.resolve()
    },
    putIfAbsent(path, bytes) {
      if (objects.has(path)) return Promise.resolve(false)
      objects.set(path, new Uint8Array(bytes))
      return Promise.resolve(true)
    },
    create(path) {
      if (objects.has(path)) return Promise.reject(new Error(`${path} is there already`))
      return Promise.resolve(writerOf(path, `${path}.${++created}.tmp`, objects, unfinished))
    },
    removeUnfinished(prefix, keep) {
      let removed = 0
      for (const name of unfinished.keys()) {
        if (!name.startsWith(prefix) || keep?.has(name) === true) continue
        unfinished.delete(name)
        removed++
      }
      return Promise.resolve(removed)
    },
    list: (prefix) =>
      Promise.resolve([...objects.keys()].filter((path) => path.startsWith(`${prefix}/`))),
    exists: (path) => Promise.resolve(objects.has(path) || unfinished.has(path)),
    delete(path) {
      objects.delete(path)
      unfinished.delete(path)
      return Promise.resolve()
    },
    uri: (path) => `memory://${path}`,
  }
}

function writerOf(
  path: string,
  name: string,
  objects: Map<string, Uint8Array>,
  unfinished: Map<string, Uint8Array>,
): ObjectWriter {
  const parts: Uint8Array[] = []
  const whole = (): Uint8Array => new Uint8Array(Buffer.concat(parts))
  return {
    get length() {
      return parts.reduce((sum, part) => sum + part.length, 0)
    },
    unfinished: name,
    write(bytes: Uint8Array) {
      // Not `slice`: of a Buffer that is a view, and the caller writes into its memory again.
      parts.push(new Uint8Array(bytes))
      return Promise.resolve()
    },
    sync() {
      unfinished.set(name, whole())
      return Promise.resolve()
    },
    pause: () => Promise.resolve(),
    finish() {
      objects.set(path, whole())
      unfinished.delete(name)
      return Promise.resolve()
    },
    abort() {
      unfinished.delete(name)
      return Promise.resolve()
    },
  }
}
