// A password that cannot be printed by accident: JSON, text and the inspector all show stars, and
// the value is fetched at each use, so that a rotated secret file counts at the next connection.

import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { PipelineError } from '../../base/errors.ts'
import type { Environment } from './variables.ts'

const STARS = '***'

/** A variable, a file (absolute path), or the value itself, which stood in the pipeline file. */
export type SecretOrigin =
  | { readonly env: string }
  | { readonly file: string }
  | { readonly text: string }

export class Secret {
  readonly #origin: SecretOrigin
  readonly #env: Environment

  /** @param env  where a variable is looked up */
  constructor(origin: SecretOrigin, env: Environment = process.env) {
    this.#origin = origin
    this.#env = env
  }

  /**
   * @returns the value; hand it to the driver and keep no copy
   * @throws PipelineError CONFIG_VARIABLE when it is not there, or empty
   */
  reveal(): string {
    const origin = this.#origin
    if ('env' in origin) return readVariable(this.#env, origin.env)
    return 'file' in origin ? readSecretFile(origin.file) : origin.text
  }

  /** For another thread of this process, which makes a Secret of it. It may be the value itself. */
  get origin(): SecretOrigin {
    return this.#origin
  }

  toString(): string {
    return STARS
  }

  toJSON(): string {
    return STARS
  }

  [inspect.custom](): string {
    return STARS
  }
}

function readVariable(env: Environment, name: string): string {
  const value = env[name]
  if (value !== undefined && value !== '') return value
  const fault = value === '' ? 'is empty' : 'is not set'
  throw new PipelineError('CONFIG_VARIABLE', `environment variable ${name} ${fault}`)
}

function readSecretFile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError('CONFIG_VARIABLE', `secret file ${path} cannot be read`, { cause })
  }
  // Editors and `echo` end a file with a line feed that is no part of the password.
  const secret = text.replace(/\r?\n$/, '')
  if (secret !== '') return secret
  throw new PipelineError('CONFIG_VARIABLE', `secret file ${path} is empty`)
}
