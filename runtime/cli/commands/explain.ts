// `millrace explain`: the manual of errors, printed from the table that the program itself uses.

import { errorCodes, type ErrorSpec } from '../../base/error-codes.ts'
import { type ErrorName, PipelineError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest.ts'
import { type AddCommand, print } from '../context.ts'
import { errorManual } from '../error-manual.ts'
import { flag } from '../options.ts'

const ACTIONS = {
  retry: 'Millrace tries again by itself',
  operator: 'somebody must act',
  bug: 'report it',
} as const satisfies Record<ErrorSpec['action'], string>

interface Entry extends ErrorSpec {
  readonly name: ErrorName
}

export const addExplain: AddCommand = (program, context) => {
  program
    .command('explain')
    .description('explain an error code, or list them all')
    .argument('[code]', 'as MR-3012, 3012 or LOG_GAP')
    .addOption(flag('--markdown', 'print all of them as a document'))
    .action((code: string | undefined, options: { markdown?: boolean }, command) => {
      if (options.markdown === true) {
        context.terminal.draw(errorManual())
        return
      }
      const entries = code === undefined ? allEntries() : [findEntry(code)]
      const value = code === undefined ? entries : entries[0]
      print(context, command, value, () =>
        code === undefined ? entries.map(formatLine).join('\n') : entries.map(formatEntry).join(''),
      )
    })
}

function allEntries(): Entry[] {
  return (Object.keys(errorCodes) as ErrorName[])
    .map((name) => ({ name, ...errorCodes[name] }))
    .sort((left, right) => (left.code < right.code ? -1 : 1))
}

function findEntry(wanted: string): Entry {
  const text = wanted.toUpperCase()
  const entries = allEntries()
  const found = entries.find(({ name, code }) => [name, code, code.slice(3)].includes(text))
  if (found !== undefined) return found
  const near = nearestName(
    text,
    entries.flatMap(({ name, code }) => [name, code]),
  )
  const attempt = near === null ? '' : `Try \`millrace explain ${near}\`; `
  throw new PipelineError('CONFIG_VALUE', `there is no error "${wanted}"`, {
    hint: `${attempt}\`millrace explain\` lists all.`,
  })
}

function formatLine({ code, name, meaning }: Entry): string {
  return `${code}  ${name.padEnd(24)} ${meaning}`
}

function formatEntry({ code, name, meaning, action, exit, hint }: Entry): string {
  return [
    `${code} ${name}`,
    `  means  : ${meaning}`,
    `  action : ${action} (${ACTIONS[action]})`,
    `  exit   : ${exit}`,
    `  fix    : ${hint}`,
  ].join('\n')
}
