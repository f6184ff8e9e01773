// `millrace dlq`: the dead letters of a pipeline. Reads the lake; writes nothing.

import { PipelineError } from '../../base/errors.ts'
import { formatCount } from '../../console/progress.ts'
import { loadPipeline } from '../../job/config/load.ts'
import type { PipelineConfig } from '../../job/config/pipeline-config.ts'
import { type AddCommand, type CommandContext, print } from '../context.ts'
import { printable } from '../failure.ts'
import { flag } from '../options.ts'
import type { Letter, LetterTable } from '../letter-reading.ts'

const ROWS_MAX = 10_000
/** Longer values are cut for people; `--json` has them whole. */
const WIDTH_MAX = 400

interface Choice {
  readonly code?: string
  readonly table?: string
}

export const addDlq: AddCommand = (program, context) => {
  const dlq = program.command('dlq').description('count and print dead letters').helpCommand(false)
  const verb = (name: string, description: string) =>
    dlq
      .command(name)
      .description(description)
      .argument('<file>', 'pipeline file')
      .addOption(flag('--table <name>', 'only letters of this table or topic'))
      .addOption(flag('--code <code>', 'only letters of this error, such as MR-4201'))
  verb('ls', 'count dead letters by table and error').action(
    async (file: string, choice: Choice, command) => {
      const { table, letters } = await open(file, context)
      const groups = await grouped(letters, choice)
      print(context, command, { table, groups }, () => formatGroups(table, groups))
    },
  )
  verb('show', 'print dead letters, the oldest first')
    .addOption(flag('--limit <n>', 'letters').default('20'))
    .action(async (file: string, options: Choice & { limit: string }, command) => {
      const limit = parseLimit(options.limit)
      const { table, letters } = await open(file, context)
      const { shown, more } = await chosen(letters, options, limit)
      const { json } = command.optsWithGlobals() as { json?: boolean }
      // Values are JSON already, digits of long numbers included.
      if (json === true) context.terminal.out(lettersJson(table, shown, more))
      else context.terminal.out(formatLetters(table, shown, more))
    })
  verb('replay', 'refused: this version cannot replay dead letters').action((file: string) => {
    throw notReplayed(loadPipeline(file, context.terminal.env, { missingSecret: 'warning' }))
  })
}

async function open(file: string, { terminal, wiring }: CommandContext): Promise<LetterTable> {
  // No server is asked, so secrets that are not here are not missed.
  return wiring.letters(loadPipeline(file, terminal.env, { missingSecret: 'warning' }))
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (/^\d{1,6}$/.test(text) && limit >= 1 && limit <= ROWS_MAX) return limit
  throw new PipelineError('CONFIG_VALUE', `--limit ${text} is not a number of letters`, {
    hint: `Give a number from 1 to ${ROWS_MAX}.`,
  })
}

/** A replay that could write a row twice, or over a newer one, is worse than none. */
function notReplayed({ source }: PipelineConfig): PipelineError {
  const hint =
    source.type === 'kafka'
      ? 'Correct the entry of `transform`, and produce the records again: `millrace dlq show FILE ' +
        '--json` has their keys and values, or topic, partition and offset.'
      : 'Correct the row at its source, which carries it as any change; or the entry of ' +
        '`transform`, and `millrace resync FILE --table TABLE` reads the table again.'
  return new PipelineError('CONFIG_UNSUPPORTED', 'dlq replay is not supported yet', {
    detail: 'The lake does not say how old its row of a key is, so an older one could replace it.',
    hint,
  })
}

interface Group {
  readonly table: string
  readonly code: string
  letters: number
  first_epoch: number | null
  last_epoch: number | null
  /** Of the newest letter. */
  message: string
}

function matches(letter: Letter, { code, table }: Choice): boolean {
  const isCode = code === undefined || textOf(letter, 'code') === code
  return isCode && (table === undefined || tableOf(letter) === table)
}

async function grouped(letters: AsyncIterable<Letter>, choice: Choice): Promise<Group[]> {
  const groups = new Map<string, Group>()
  for await (const letter of letters) {
    if (!matches(letter, choice)) continue
    const [table, code] = [tableOf(letter), textOf(letter, 'code')]
    const { epoch } = letter
    const name = JSON.stringify([table, code])
    const known = groups.get(name)
    const message = textOf(letter, 'message')
    const group = known ?? {
      table,
      code,
      letters: 0,
      first_epoch: epoch,
      last_epoch: epoch,
      message,
    }
    group.letters++
    group.message = message
    group.last_epoch = epoch ?? group.last_epoch
    groups.set(name, group)
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}

async function chosen(
  letters: AsyncIterable<Letter>,
  choice: Choice,
  limit: number,
): Promise<{ shown: Letter[]; more: number }> {
  const shown: Letter[] = []
  let more = 0
  for await (const letter of letters) {
    if (!matches(letter, choice)) continue
    if (shown.length < limit) shown.push(letter)
    else more++
  }
  return { shown, more }
}

/** The table of a row, or the topic of a record. */
function tableOf(letter: Letter): string {
  return textOf(letter, 'source_table') || textOf(letter, 'topic')
}

/** @returns '' for null */
function textOf({ values }: Letter, column: string): string {
  const json = values.get(column)
  if (json === undefined) return ''
  return json.startsWith('"') ? String(JSON.parse(json)) : json
}

function formatGroups(table: string, groups: readonly Group[]): string {
  if (groups.length === 0) return printable(`${table}  no dead letters`)
  const lines = groups.map((group) => {
    const { first_epoch: first, last_epoch: last, letters } = group
    const epochs = first === null ? '' : `, epochs ${first} to ${last ?? first}`
    const count = `${formatCount(letters)} ${letters === 1 ? 'letter' : 'letters'}`
    return `    ${group.code}  ${group.table}  ${count}${epochs}: ${group.message}`
  })
  return [table, ...lines].map(printable).join('\n')
}

function lettersJson(table: string, letters: readonly Letter[], more: number): string {
  const texts = letters.map(({ values, epoch }) => {
    const pairs = [...values].map(([name, text]) => `${JSON.stringify(name)}:${text}`)
    return `{"epoch":${epoch},${pairs.join(',')}}`
  })
  return `{"table":${JSON.stringify(table)},"letters":[${texts.join(',')}],"more":${more}}`
}

/** Told in the line above the others. */
const IN_HEAD = new Set(['code', 'message', 'source_table', 'topic', 'dlq_id'])

function formatLetters(table: string, letters: readonly Letter[], more: number): string {
  const blocks = letters.map((letter) => {
    const { epoch, values } = letter
    const at = epoch === null ? '' : `  epoch ${epoch}`
    const head = `${textOf(letter, 'code')}  ${tableOf(letter)}${at}: ${textOf(letter, 'message')}`
    const lines = [...values.keys()].flatMap((name) => {
      return IN_HEAD.has(name) ? [] : [`    ${name}: ${cut(textOf(letter, name))}`]
    })
    return [head, ...lines].map(printable).join('\n')
  })
  const rest = more === 0 ? [] : [`${more} more: choose by --limit, --code or --table`]
  return [printable(table), ...blocks, ...rest].join('\n')
}

function cut(text: string): string {
  return text.length <= WIDTH_MAX ? text : `${text.slice(0, WIDTH_MAX - 3)}...`
}
