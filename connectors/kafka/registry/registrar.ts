// Registers the schemas of what is written. A registry that does not answer is waited for: nothing
// is written meanwhile, and nothing is lost. One that refuses a schema ends the pipeline, whose
// operator may allow it.
// Source: Confluent Schema Registry API,
// https://docs.confluent.io/platform/current/schema-registry/develop/api.html (8.0)

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { RegistryOptions } from './options.ts'
import { ask, tell } from './request.ts'

const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 10_000

export type SchemaLanguage = 'AVRO' | 'PROTOBUF'

export interface Registrar {
  /**
   * @returns the text that was registered last under the subject; `null`: none
   * @throws PipelineError AUTH_FAILED, PRIVILEGE_MISSING, TLS_FAILED · CONNECT_FAILED: aborted
   */
  latest(subject: string): Promise<string | null>
  /**
   * @returns all texts that were registered under the subject, the newest first
   * @throws PipelineError as above
   */
  all(subject: string): Promise<readonly string[]>
  /**
   * @returns the id of the schema, which it may have had before
   * @throws PipelineError as above, SCHEMA_REFUSED
   */
  register(subject: string, language: SchemaLanguage, text: string): Promise<number>
}

export class RegistryRegistrar implements Registrar {
  readonly #options: RegistryOptions
  readonly #signal: AbortSignal
  /** Index of the address that answered last. */
  #current = 0

  /** @param signal  ends the waiting */
  constructor(options: RegistryOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  async latest(subject: string): Promise<string | null> {
    return this.#version(subject, 'latest')
  }

  async all(subject: string): Promise<readonly string[]> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    const versions = await this.#until(subject, async (base) => {
      const answer = await ask(base, path, this.#options, this.#signal)
      if (answer.kind === 'missing') return { done: [] }
      if (answer.kind === 'failed') return answer.reason
      const isList = Array.isArray(answer.body) && answer.body.every(Number.isSafeInteger)
      return isList ? { done: answer.body as number[] } : 'it answered without versions'
    })
    const texts: string[] = []
    for (const version of versions.toSorted((a, b) => b - a)) {
      const text = await this.#version(subject, version)
      if (text !== null) texts.push(text)
    }
    return texts
  }

  async #version(subject: string, version: number | 'latest'): Promise<string | null> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
    return this.#until(subject, async (base) => {
      const answer = await ask(base, path, this.#options, this.#signal)
      if (answer.kind === 'missing') return { done: null }
      if (answer.kind === 'failed') return answer.reason
      const { schema } = answer.body as { schema?: unknown }
      return typeof schema === 'string' ? { done: schema } : 'it answered without a schema'
    })
  }

  async register(subject: string, language: SchemaLanguage, text: string): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    // Registries of before Protobuf know no such key.
    const kind = language === 'AVRO' ? {} : { schemaType: language }
    const body = JSON.stringify({ ...kind, schema: text })
    return this.#until(subject, async (base) => {
      const answer = await tell(base, path, body, this.#options, this.#signal)
      if (answer.kind === 'refused') throw refusal(subject, answer.reason)
      if (answer.kind === 'missing') return 'it knows no such address'
      if (answer.kind === 'failed') return answer.reason
      const { id } = answer.body as { id?: unknown }
      return typeof id === 'number' ? { done: id } : 'it answered without an id'
    })
  }

  /** @param attempt  at an address; @returns what is wanted, or why it is tried again */
  async #until<T>(
    subject: string,
    attempt: (base: string) => Promise<{ readonly done: T } | string>,
  ): Promise<T> {
    const { urls, clock, log } = this.#options
    for (let tries = 0, waitMs = RETRY_MS_MIN; ; tries++) {
      const url = urls[this.#current] ?? ''
      try {
        const found = await attempt(url)
        if (typeof found === 'object') return found.done
        const reason = `the schema registry ${url}: ${found}`
        if (tries === 0) log.warn('rows wait for the schema registry', { subject, reason })
        this.#current = (this.#current + 1) % urls.length
        if ((tries + 1) % urls.length === 0) {
          await clock.sleep(waitMs, this.#signal)
          waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)
        }
      } catch (error) {
        if (!this.#signal.aborted) throw error
        throw new PipelineError('CONNECT_FAILED', 'the schema registry is not waited for', {
          cause: error,
        })
      }
    }
  }
}

function refusal(subject: string, reason: string): PipelineError {
  const message = `the schema registry refuses the schema of "${subject}"`
  return new PipelineError('SCHEMA_REFUSED', message, { detail: reason })
}
