// An object store in memory that keeps what was made durable, and nothing else, over a `crash`.

import type { ObjectStore } from '../../runtime/object-store.ts'

export interface MemoryStore extends ObjectStore {
  readonly objects: Map<string, Uint8Array>
}

export function memoryStore(): MemoryStore {
  const objects = new Map<string, Uint8Array>()
  return {
    objects,
    get(path) {
      const bytes = objects.get(path)
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
      const parts: Uint8Array[] = []
      return Promise.resolve({
        get length() {
          return parts.reduce((sum, part) => sum + part.length, 0)
        },
        write(bytes: Uint8Array) {
          // Not `slice`: of a Buffer that is a view, and the caller writes into its memory again.
          parts.push(new Uint8Array(bytes))
          return Promise.resolve()
        },
        finish() {
          objects.set(path, new Uint8Array(Buffer.concat(parts)))
          return Promise.resolve()
        },
        abort: () => Promise.resolve(),
      })
    },
    // Objects appear whole here.
    removeUnfinished: () => Promise.resolve(0),
    list: (prefix) =>
      Promise.resolve([...objects.keys()].filter((path) => path.startsWith(`${prefix}/`))),
    exists: (path) => Promise.resolve(objects.has(path)),
    delete(path) {
      objects.delete(path)
      return Promise.resolve()
    },
    uri: (path) => `memory://${path}`,
  }
}
