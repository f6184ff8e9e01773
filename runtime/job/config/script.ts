// `script` of a pipeline file: functions of the user between `transform` and the lake. The first
// entry that matches a table is its entry.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { ConnectionContext } from './connection.ts'
import { checkPattern } from './pattern-check.ts'
import { duration, rowPolicy, size, text } from './schema-values.ts'
import { resolveFile } from './resolve-registry.ts'
import { TABLE_SHAPE } from './selector.ts'

const MEBIBYTE = 1024 * 1024
const HOUR_MS = 3_600_000

export const scriptSchema = z
  .array(
    z.strictObject(
      {
        from: text('a pattern such as "shop.orders"').describe(
          'Tables that the script is for: a glob or /expression/.',
        ),
        file: text('the path of a .ts or .js file').describe(
          'TypeScript that Node runs as it is, or JavaScript; beside this file.',
        ),
        export: text('the name of what the file exports')
          .prefault('default')
          .describe('A function of a row, or what rowOperator and batchOperator give.'),
        timeout: duration(1, HOUR_MS)
          .prefault('10s')
          .describe('A batch that takes longer has failed.'),
        memory: size(16 * MEBIBYTE)
          .prefault('256MiB')
          .describe('Heap of the script.'),
        on_error: rowPolicy(['stop', 'null'])
          .prefault('stop')
          .describe('A row that fails: stop parks the table, null keeps it as it came.'),
      },
      'a block with `from` and `file`',
    ),
    'a list of blocks',
  )
  .prefault([])
  .describe('Functions of your own on rows, in a thread of their own; behind `transform`.')

export interface ScriptConfig {
  /** Pattern of `schema.table`. */
  readonly from: string
  /** Absolute path. */
  readonly file: string
  readonly export: string
  readonly timeoutMs: number
  readonly memoryBytes: number
  readonly onError: 'stop' | 'null'
  /** SHA-256 of the file: other text may make other rows. */
  readonly hash: string
}

export function resolveScripts(
  input: z.output<typeof scriptSchema>,
  context: ConnectionContext,
): readonly ScriptConfig[] {
  return input.flatMap((entry, index): ScriptConfig[] => {
    const { from, timeout: timeoutMs, memory: memoryBytes, on_error: onError } = entry
    checkPattern(from, TABLE_SHAPE, ['script', index, 'from'], context.document)
    const file = resolveFile(entry.file, ['script', index, 'file'], context)
    if (file === null) return []
    const hash = hashOf(file)
    if (hash === null) return []
    return [{ from, file, export: entry.export, timeoutMs, memoryBytes, onError, hash }]
  })
}

/** @returns `null`: it cannot be read, which has been reported */
function hashOf(file: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex')
  } catch {
    return null
  }
}
