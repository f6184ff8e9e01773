// `millrace throttle`: how fast a source may be read, changed while it runs. What is said here
// counts in place of the file's `source.limits`, also after a restart, until it is taken back.

import { PipelineError } from '../../base/errors.ts'
import { compilePattern, PatternFault } from '../../job/config/glob.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { formatSize, parseSize } from '../../job/config/quantity.ts'
import { TABLE_SHAPE } from '../../job/config/selector.ts'
import { leaveLimits, readLimits, type Limits, type RateLimit } from '../../job/limits.ts'
import { type AddCommand, print } from '../context.ts'
import { flag } from '../options.ts'

interface Options {
  readonly rowsPerSecond?: string
  readonly bytesPerSecond?: string
  readonly table?: string
  readonly reset?: boolean
}

const FREE = 'none'

export const addThrottle: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('throttle')
    .description('change how fast a source is read, while it runs; without options, show it')
    .argument('<file>', 'pipeline file')
    .addOption(flag('--rows-per-second <n>', 'rows a second, or none'))
    .addOption(flag('--bytes-per-second <size>', 'bytes a second, such as 20MiB, or none'))
    .addOption(flag('--table <pattern>', 'of each table that the pattern selects'))
    .addOption(flag('--reset', 'what the file says counts again'))
    .action(async (file: string, options: Options, command) => {
      const config = loadPipeline(file, terminal.env, { missingSecret: 'warning' })
      const state = await wiring.openState(config)
      const own = config.source.limits
      const changes = isChange(options)
      if (options.reset === true) await leaveLimits(state, null)
      if (changes) {
        // What cannot be read is replaced: it is what somebody wants to be rid of.
        const before = (await readLimits(state).catch(() => null)) ?? own
        await leaveLimits(state, changed(before, options))
      }
      const left = await readLimits(state)
      const limits = left ?? own
      const running = await wiring.isRunning(config)
      print(
        context,
        command,
        { limits, from: left === null ? 'file' : 'throttle', running },
        () => {
          const from =
            left === null ? 'as the file says' : 'until `--reset`, whatever the file says'
          const when = running ? 'counts within a second' : 'counts from the next run on'
          return [...describe(limits), `${from}; ${when}`].join('\n')
        },
      )
    })
}

function isChange(options: Options): boolean {
  const { rowsPerSecond, bytesPerSecond, table, reset } = options
  const rates = rowsPerSecond !== undefined || bytesPerSecond !== undefined
  if (reset === true && (rates || table !== undefined)) {
    throw wrong('--reset stands alone', 'Run it first, and set limits then.')
  }
  if (table !== undefined && !rates) {
    throw wrong('--table needs a limit', 'Add --rows-per-second or --bytes-per-second.')
  }
  return rates
}

/** What is not named stays as it is. */
function changed(before: Limits, { rowsPerSecond, bytesPerSecond, table }: Options): Limits {
  const set = {
    ...(rowsPerSecond === undefined ? {} : { rowsPerSecond: parseRows(rowsPerSecond) }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond: parseBytes(bytesPerSecond) }),
  }
  if (table === undefined) return { ...before, ...set }
  const compiled = compilePattern(table, TABLE_SHAPE)
  if (compiled instanceof PatternFault) {
    throw wrong(`--table "${table}" ${compiled.message}`, 'Write it as schema.table or schema.*.')
  }
  const known = before.tables.find(({ pattern }) => pattern === table)
  const rate = { rowsPerSecond: null, bytesPerSecond: null, ...known, ...set }
  const others = before.tables.filter(({ pattern }) => pattern !== table)
  const free = rate.rowsPerSecond === null && rate.bytesPerSecond === null
  // The first that selects a table counts: what was said last is meant.
  return { ...before, tables: free ? others : [{ ...rate, pattern: table }, ...others] }
}

function parseRows(text: string): number | null {
  if (text === FREE) return null
  const rows = Number(text)
  if (/^\d{1,10}$/.test(text) && rows >= 1) return rows
  throw wrong(`--rows-per-second ${text} is no number of rows`, 'Give 1 or more, or none.')
}

function parseBytes(text: string): number | null {
  if (text === FREE) return null
  const bytes = parseSize(text)
  if (bytes !== null && bytes >= 1024) return bytes
  throw wrong(`--bytes-per-second ${text} is no size`, 'Give one such as 20MiB, or none.')
}

function describe(limits: Limits): string[] {
  const { tables } = limits
  return [
    `source: ${described(limits)}`,
    ...tables.map((limit) => `each of ${limit.pattern}: ${described(limit)}`),
  ]
}

function described({ rowsPerSecond, bytesPerSecond }: RateLimit): string {
  const parts = [
    ...(rowsPerSecond === null ? [] : [`${rowsPerSecond} rows a second`]),
    ...(bytesPerSecond === null ? [] : [`${formatSize(bytesPerSecond)} a second`]),
  ]
  return parts.length === 0 ? 'as fast as it goes' : parts.join(', ')
}

function wrong(message: string, hint: string): PipelineError {
  return new PipelineError('CONFIG_VALUE', message, { hint })
}
