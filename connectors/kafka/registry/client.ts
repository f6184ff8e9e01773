// The client of a schema registry that speaks Confluent's API. What decodes the records must never
// take an outage for a verdict on them: while nobody answers, or not as a registry does, the caller
// waits; an id is unknown only when the registry has said so for five minutes, which is longer than
// a follower lags behind its leader.
// Source: Confluent Schema Registry API,
// https://docs.confluent.io/platform/current/schema-registry/develop/api.html (8.0)

import { PipelineError } from '../../../runtime/base/errors.ts'
import { KeptSchemas } from './kept-schemas.ts'
import type { RegistryOptions } from './options.ts'
import { ask, type RegistryAnswer } from './request.ts'
import type {
  KnownSchema,
  RegisteredSchema,
  RegistryProbe,
  SchemaReference,
  SchemaRegistry,
} from './schemas.ts'

export const UNKNOWN_AFTER_MS = 5 * 60_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 10_000

/** A registry hands out positive ids of 31 bits; other numbers in a record are no ids. */
const ID_MAX = 0x7fff_ffff

/** Bytes that are no frame can look like many ids. */
const UNKNOWN_MAX = 10_000
const REFERENCES_MAX = 1000

interface Pending {
  readonly result: Promise<KnownSchema>
  readonly cancel: AbortController
  callers: number
}

export class RegistryClient implements SchemaRegistry, RegistryProbe {
  private readonly options: RegistryOptions
  private readonly kept: KeptSchemas
  private readonly schemas = new Map<number, RegisteredSchema>()
  /** By id: when the verdict ends, and the registry is asked once more. */
  private readonly unknown = new Map<number, number>()
  private readonly pending = new Map<number, Pending>()
  /** By id: why it is waited for. */
  private readonly reasons = new Map<number, string>()
  /** Index of the address that answered last. */
  private current = 0

  constructor(options: RegistryOptions) {
    this.options = options
    this.kept = new KeptSchemas(options)
  }

  get waitsFor(): string | null {
    const [reason = null] = this.reasons.values()
    return reason
  }

  known(id: number): KnownSchema | null {
    const schema = this.schemas.get(id)
    if (schema !== undefined) return schema
    if (id === 0 || id > ID_MAX) return 'unknown'
    const end = this.unknown.get(id)
    return end === undefined || this.options.clock.elapsedMs() >= end ? null : 'unknown'
  }

  async schemaById(id: number, signal: AbortSignal): Promise<KnownSchema> {
    const known = this.known(id)
    if (known !== null) return known
    signal.throwIfAborted()
    const pending = this.pending.get(id) ?? this.start(id)
    pending.callers++
    try {
      return await orAborted(pending.result, signal)
    } finally {
      pending.callers--
      if (pending.callers === 0) this.forget(id, pending)
    }
  }

  async subjects(signal: AbortSignal): Promise<readonly string[]> {
    const answer = await this.ask('/subjects', signal)
    if (answer.kind === 'found' && Array.isArray(answer.body)) return answer.body.map(String)
    const reason = answer.kind === 'failed' ? answer.reason : 'it did not list its subjects'
    throw new PipelineError('CONNECT_FAILED', `${this.name}: ${reason}`)
  }

  get name(): string {
    return `the schema registry ${this.options.urls[this.current]}`
  }

  private start(id: number): Pending {
    const cancel = new AbortController()
    const pending = { result: this.load(id, cancel.signal), cancel, callers: 0 }
    this.pending.set(id, pending)
    return pending
  }

  /** Ends what is under way. A caller that comes after it begins anew. */
  private forget(id: number, pending: Pending): void {
    pending.cancel.abort(new Error('nobody waits for the schema'))
    if (this.pending.get(id) !== pending) return
    this.pending.delete(id)
    this.reasons.delete(id)
  }

  private wait(id: number, reason: string): void {
    const text = `${this.name}: schema id ${id}: ${reason}`
    const { log } = this.options
    if (this.reasons.size === 0) log.warn('records wait for a schema', { reason: text })
    this.reasons.set(id, text)
  }

  private async load(id: number, signal: AbortSignal): Promise<KnownSchema> {
    const kept = await this.kept.find(id)
    if (kept !== null) {
      this.schemas.set(id, kept)
      return kept
    }
    const { clock } = this.options
    // Once told, it is not waited for again: a topic full of such records would never end.
    let missingSinceMs = this.unknown.has(id) ? -Infinity : null
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      const found = await this.fetch(id, signal)
      if (typeof found === 'object') {
        await this.kept.keep(found)
        this.schemas.set(id, found)
        this.unknown.delete(id)
        return found
      }
      if (found === 'missing') {
        missingSinceMs ??= clock.elapsedMs()
        if (clock.elapsedMs() - missingSinceMs >= UNKNOWN_AFTER_MS) return this.giveUp(id)
        this.wait(id, 'it is not known there')
        this.next()
      } else this.wait(id, found)
      await clock.sleep(waitMs, signal)
    }
  }

  private giveUp(id: number): 'unknown' {
    // The oldest leaves: it is asked for once more.
    const [oldest] = this.unknown.keys()
    if (this.unknown.size >= UNKNOWN_MAX && oldest !== undefined) this.unknown.delete(oldest)
    this.unknown.set(id, this.options.clock.elapsedMs() + UNKNOWN_AFTER_MS)
    return 'unknown'
  }

  /** @returns the schema, or `missing`, or why it cannot be told */
  private async fetch(id: number, signal: AbortSignal): Promise<RegisteredSchema | string> {
    const answer = await this.ask(`/schemas/ids/${id}`, signal)
    if (answer.kind !== 'found') return answer.kind === 'failed' ? answer.reason : 'missing'
    const own = schemaIn(answer.body)
    if (own === null) return 'it answered without a schema'
    const references = new References((path) => this.ask(path, signal))
    const failure = await references.add(own.references)
    if (failure !== null) return failure
    return { id, kind: own.kind, text: own.text, references: references.found }
  }

  /** One round over the addresses, from the one that answered last. */
  private async ask(path: string, signal: AbortSignal): Promise<RegistryAnswer> {
    const { urls } = this.options
    let answer: RegistryAnswer = { kind: 'failed', reason: 'it has no address' }
    for (let tries = 0; tries < urls.length; tries++) {
      answer = await ask(urls[this.current] ?? '', path, this.options, signal)
      if (answer.kind !== 'failed') break
      this.next()
    }
    return answer
  }

  private next(): void {
    this.current = (this.current + 1) % this.options.urls.length
  }
}

interface ReferenceName {
  readonly name: string
  readonly subject: string
  readonly version: number
}

interface SchemaBody {
  readonly kind: string
  readonly text: string
  readonly references: readonly ReferenceName[]
}

/** @returns what an answer with a schema says; `null`: it is none */
function schemaIn(body: unknown): SchemaBody | null {
  const { schema, schemaType = 'AVRO', references = [] } = (body ?? {}) as Record<string, unknown>
  if (typeof schema !== 'string' || typeof schemaType !== 'string') return null
  if (!Array.isArray(references)) return null
  const names: ReferenceName[] = []
  for (const reference of references as Record<string, unknown>[]) {
    const { name, subject, version } = reference
    if (typeof name !== 'string' || typeof subject !== 'string') return null
    if (typeof version !== 'number') return null
    names.push({ name, subject, version })
  }
  return { kind: schemaType, text: schema, references: names }
}

/** Collects what a schema refers to, however deep. */
class References {
  readonly found: SchemaReference[] = []
  private readonly seen = new Set<string>()
  private readonly ask: (path: string) => Promise<RegistryAnswer>

  constructor(ask: (path: string) => Promise<RegistryAnswer>) {
    this.ask = ask
  }

  /** @returns why one cannot be had; `null`: all are found */
  async add(references: readonly ReferenceName[]): Promise<string | null> {
    for (const { name, subject, version } of references) {
      const key = JSON.stringify([name, subject, version])
      if (this.seen.has(key)) continue
      if (this.seen.size >= REFERENCES_MAX) return `it refers to over ${REFERENCES_MAX} schemas`
      this.seen.add(key)
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}?deleted=true`
      const answer = await this.ask(path)
      if (answer.kind === 'missing') return 'missing'
      if (answer.kind === 'failed') return answer.reason
      const body = schemaIn(answer.body)
      if (body === null) return `it answered without the schema of "${subject}"`
      const failure = await this.add(body.references)
      if (failure !== null) return failure
      this.found.push({ name, subject, version, text: body.text })
    }
    return null
  }
}

/** The result, unless the signal aborts first; the work itself goes on for other callers. */
async function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
