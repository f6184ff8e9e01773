// What the documents tell readers to type works: pipeline files pass lint, scripts exist, and the
// program knows every verb and option. A block of a kind that is not known here fails: it would
// be one that nobody checks.

import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import packageFile from '../package.json' with { type: 'json' }
import { errorCodes } from '../runtime/base/error-codes.ts'
import { runCommandLine } from '../runtime/cli/program.ts'
import { lintFile } from '../runtime/job/config/load.ts'
import { FakeTerminal } from './cli/fake-terminal.ts'
import { FakeWiring } from './cli/fake-wiring.ts'
import { COMPLETE, writeFile } from './config/pipeline-file.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Without those that are generated, and have a test of their own. */
const PAGES = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md') && name !== 'errors.md')
  .map((name) => `docs/${name}`)
const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...PAGES]

interface Block {
  readonly document: string
  readonly language: string
  readonly text: string
}

function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

const blocks: readonly Block[] = DOCUMENTS.flatMap((document) =>
  [...textOf(document).matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
    ([, language = '', text = '']) => ({ document, language, text }),
  ),
)

/** Commands in the text and in blocks, as one would type them: `millrace run FILE --once`. */
const typed: readonly string[] = [
  ...DOCUMENTS.flatMap((document) =>
    [...textOf(document).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code),
  ),
  ...blocks.flatMap(({ language, text }) => (language === 'bash' ? commandsOf(text) : [])),
  ...Object.values(errorCodes).flatMap(({ hint }) =>
    [...hint.matchAll(/`(millrace [^`]+)`/g)].map(([, code = '']) => code),
  ),
]

function commandsOf(text: string): string[] {
  return text
    .split(/\n|&&/)
    .map((command) => command.replace(/#.*$/, '').trim())
    .filter((command) => command !== '')
}

/** Arguments for the program, where the command calls it; redirections are the shell's. */
function argumentsOf(command: string): string[] | null {
  const [, line] = /^(?:npm run (?:-s )?millrace -- |millrace )(.+)$/.exec(command) ?? []
  return line === undefined ? null : line.replace(/ [>|].*$/, '').split(' ')
}

async function millrace(...args: string[]): Promise<{ code: number; terminal: FakeTerminal }> {
  const terminal = new FakeTerminal()
  return { code: await runCommandLine(args, terminal, new FakeWiring().wiring), terminal }
}

/** Of `run`, or of `dlq ls` where the second word is a verb of the first. */
async function helpOf(verb: string, next = ''): Promise<string> {
  const { code, terminal } = await millrace(verb, '--help')
  if (code !== 0) return ''
  const { stdout } = terminal
  return RegExp(`^ {2}${next} `, 'm').test(stdout) && /^[a-z]+$/.test(next)
    ? (await millrace(verb, next, '--help')).terminal.stdout
    : stdout
}

/** Options as the help lists them; the program's own are understood by every verb. */
function optionsOf(help: string): string[] {
  return [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, option = '']) => option)
}

test('the documents have blocks of the kinds that are checked here', () => {
  const kinds = new Set(blocks.map(({ language }) => language))
  expect([...kinds].filter((kind) => !['bash', 'yaml', 'text', ''].includes(kind))).toEqual([])
  expect(blocks.filter(({ language }) => language === 'bash').length).toBeGreaterThan(3)
  // A block without a language is a picture.
  const pictures = blocks.filter(({ language }) => language === '')
  for (const { text } of pictures) expect(text).not.toMatch(/^(?:npm|npx|millrace|version:)/m)
})

type Mapping = Record<string, unknown>

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a part says goes before; a block of another type is another block. */
function over(whole: Mapping, part: Mapping): Mapping {
  const merged = { ...whole }
  for (const [name, value] of Object.entries(part)) {
    const old = merged[name]
    const isPart = isMapping(old) && isMapping(value) && !('type' in value)
    merged[name] = isPart ? over(old, value) : value
  }
  return merged
}

/** A part of a pipeline file stands for what it adds to a whole one. */
function wholeFile(text: string): string {
  if (text.startsWith('version:')) return text
  return stringify(over(parse(COMPLETE) as Mapping, parse(text) as Mapping))
}

test('every page is linked from README', () => {
  const links = [...textOf('README.md').matchAll(/\]\((docs\/[^)#]+)/g)].map(([, link]) => link)
  expect(PAGES.length).toBeGreaterThan(5)
  expect(PAGES.filter((page) => !links.includes(page))).toEqual([])
})

test('every pipeline file passes lint without a word', () => {
  const files = blocks.filter(({ language }) => language === 'yaml')
  expect(files.length).toBeGreaterThan(0)
  for (const { text, document } of files) {
    const names = [...text.matchAll(/from_env: (\w+)/g)].map(([, name = '']) => [name, 'x'])
    const messages = lintFile(
      writeFile(wholeFile(text)),
      Object.fromEntries(names) as Record<string, string>,
    )
    expect(messages, document).toEqual([])
  }
})

test('the tests of pipeline files pass', async () => {
  const files = blocks.filter(({ language, text }) => language === 'yaml' && /^tests:/m.test(text))
  expect(files.length).toBeGreaterThan(0)
  for (const { text } of files) {
    const { code, terminal } = await millrace('test', writeFile(wholeFile(text)))
    expect(code, terminal.stdout + terminal.stderr).toBe(0)
  }
})

test('every command of a block is one that can be checked, and its script exists', () => {
  const commands = blocks.flatMap(({ language, text }) =>
    language === 'bash' ? commandsOf(text) : [],
  )
  expect(commands).toContain('npm run demo')
  for (const command of [...commands, ...typed.filter((code) => code.startsWith('npm '))]) {
    const [, script] = /^npm run (?:-s )?([\w:]+)(?: .*)?$/.exec(command) ?? []
    if (script === undefined) expect(command).toMatch(/^(?:npm (?:ci|test)|millrace .*)$/)
    else expect(Object.keys(packageFile.scripts)).toContain(script)
  }
  // Node runs a file for each script that they name; it must be there.
  const scripts: Readonly<Record<string, string>> = packageFile.scripts
  const named = ['README.md', ...PAGES].flatMap((document) => [
    ...textOf(document).matchAll(/npm run (?:-s )?([\w:]+)/g),
  ])
  for (const [, name = ''] of named) {
    const [, file = ''] = /^exec node (\S+)/.exec(scripts[name] ?? '') ?? []
    expect(existsSync(join(ROOT, file)), `${name}: ${file}`).toBe(true)
  }
})

test('every verb and option that is named exists', async () => {
  const named = typed.flatMap((command) => {
    const args = argumentsOf(command)
    return args === null ? [] : [args]
  })
  expect(named.length).toBeGreaterThan(20)
  const own = optionsOf((await millrace('--help')).terminal.stdout)
  const all = new Set(own)
  for (const [verb = '', ...rest] of named) {
    const known = [...optionsOf(await helpOf(verb, rest[0])), ...own]
    expect(known.length, `millrace ${verb}`).toBeGreaterThan(own.length)
    const options = rest.filter((arg) => arg.startsWith('--'))
    for (const option of options) expect(known, `millrace ${verb} ${option}`).toContain(option)
    for (const option of known) all.add(option)
  }
  // Options that are named alone, as in `--keep-lake`.
  const alone = ['README.md', ...PAGES].flatMap((document) =>
    [...textOf(document).matchAll(/`(--[\w-]+)[^`\n]*`/g)].map(([, name]) => name),
  )
  expect(alone.filter((name = '') => !all.has(name))).toEqual([])
})

test('the verbs that README lists are those of the program', async () => {
  const { terminal } = await millrace('--help')
  const verbs = [...terminal.stdout.matchAll(/^ {2}([a-z-]+) /gm)].map(([, verb = '']) => verb)
  const listed = new Set(typed.flatMap((command) => argumentsOf(command)?.[0] ?? []))
  expect([...listed].filter((verb) => !verbs.includes(verb))).toEqual([])
  for (const verb of ['init', 'check', 'run', 'status', 'verify', 'resync', 'drop']) {
    expect(textOf('README.md')).toMatch(RegExp(`(?:millrace|millrace --) ${verb}\\b`))
  }
})

/** Their commands are of the checkout, and some start servers. */
function isForContributors(document: string): boolean {
  return document === 'CONTRIBUTING.md' || document === 'ARCHITECTURE.md'
}

test('the commands of README and of the pages do what is said of them', async () => {
  const commands = blocks
    .filter(({ document, language }) => language === 'bash' && !isForContributors(document))
    .flatMap(({ text }) => commandsOf(text))
    .flatMap((command) => [argumentsOf(command) ?? []])
    .filter((args) => args.length > 0)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-readme-'))
  for (const args of commands) {
    const here = args.map((arg) => (arg.endsWith('.yaml') ? join(folder, arg) : arg))
    const { code, terminal } = await millrace(...here)
    expect(code, `${args.join(' ')}\n${terminal.stderr}`).toBe(0)
  }
  // `init` writes both files, which README names.
  expect(readFileSync(join(folder, 'shop.sql'), 'utf8')).toContain('GRANT SELECT')
  expect(lintFile(join(folder, 'shop.yaml'), { MILLRACE_PG_PASSWORD: 'x' })).toEqual([])
  expect(textOf('README.md')).toContain('`shop.sql`')
})
