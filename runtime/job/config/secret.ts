// A password that cannot be printed by accident: JSON, text and the inspector all show stars, and
// the value is fetched at each use, so that a rotated secret file counts at the next connection.

import { inspect } from 'node:util'

const STARS = '***'

export class Secret {
  readonly #fetch: () => string

  /** @param fetch  called at every `reveal`; may throw PipelineError CONFIG_VARIABLE */
  constructor(fetch: () => string) {
    this.#fetch = fetch
  }

  /** @returns the value; hand it to the driver and keep no copy */
  reveal(): string {
    return this.#fetch()
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
