// `${NAME}` and `${NAME:default}` in the values of a pipeline file; `$${` stands for `${`. Values
// are filled in after the YAML was read, so nothing in the environment can change its structure.

export type Environment = Readonly<Record<string, string | undefined>>

export interface Expansion {
  readonly text: string
  /** True when the environment supplied a part of the text. */
  readonly fromEnvironment: boolean
  /** What is wrong, as a message; `null` when nothing is. */
  readonly fault: string | null
}

const VARIABLE = /\$\$\{|\$\{([^}]*)\}?/g
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::(.*))?$/s

/** An empty variable counts as missing where a default is given, and as empty text where not. */
export function expandVariables(text: string, env: Environment): Expansion {
  let fromEnvironment = false
  let fault: string | null = null
  const expanded = text.replace(VARIABLE, (found, body: string | undefined) => {
    if (body === undefined) return '${'
    const [, name, fallback] = NAME.exec(body) ?? []
    if (name === undefined || !found.endsWith('}')) {
      fault ??= `"${found}" is not of the form \${NAME} or \${NAME:default}`
      return ''
    }
    const value = env[name]
    if (value !== undefined && (value !== '' || fallback === undefined)) {
      fromEnvironment = true
      return value
    }
    if (fallback === undefined) fault ??= `environment variable ${name} is not set`
    return fallback ?? ''
  })
  return { text: expanded, fromEnvironment, fault }
}
