// The rules of the house that a formatter cannot hold: who may import whom, nothing dead, nothing
// too long, every error thrown and documented, every link and name in the documents real.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { builtinModules } from 'node:module'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { errorCodes } from '../runtime/base/error-codes.ts'
import type { ErrorName } from '../runtime/base/errors.ts'
import { errorManual } from '../runtime/cli/error-manual.ts'
import { formatLintMessage } from '../runtime/job/config/problems.ts'
import { lintFile } from '../runtime/job/config/load.ts'
import { writeFile } from './config/pipeline-file.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Every file of the tree that git does not ignore, committed or not. */
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)))
const texts = new Map(
  files
    .filter((file) => /\.(?:ts|md|json|yml|sh)$|^\.ci\//.test(file))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
)
const sources = [...texts.keys()].filter((file) => file.endsWith('.ts'))
const product = sources.filter((file) => /^(?:runtime|operators|connectors)\//.test(file))

function textOf(file: string): string {
  return texts.get(file) ?? ''
}

// Imports

/** Rooms from the foundation up; a file imports from its own room and from lower ones. */
const ROOMS: readonly (readonly [RegExp, number])[] = [
  [/^runtime\/base\//, 0],
  [/^runtime\/data\//, 1],
  [/^runtime\/index\.ts$/, 6],
  [/^runtime\/[^/]+\.ts$/, 2],
  [/^runtime\/flow\//, 3],
  [/^runtime\/checkpoint\//, 4],
  [/^runtime\/job\//, 5],
  [/^runtime\/console\//, 6],
  [/^operators\//, 7],
  [/^connectors\//, 7],
  [/^runtime\/cli\//, 8],
  [/^(?:bench|test|examples)\/|^[^/]+\.ts$/, 9],
]
const PORTS = 2

function rankOf(file: string): number {
  const rank = ROOMS.find(([pattern]) => pattern.test(file))?.[1]
  if (rank === undefined) throw new Error(`${file} is in no room`)
  return rank
}

/** `connectors/mysql`, `runtime/flow`, ...; the ports, `runtime/*.ts`, are one room. */
function roomOf(file: string): string {
  const [top = '', second = ''] = file.split('/')
  return second.endsWith('.ts') ? top : `${top}/${second}`
}

/** Iceberg and Parquet share encoder, data files and the stores of files, and nothing else. */
function isShared(from: string, to: string): boolean {
  const lake = /^connectors\/(?:iceberg|parquet)\//.test(from)
  return lake && /^connectors\/(?:parquet\/(?:encode|table)|storage)\//.test(to)
}

function mayImport(from: string, to: string): boolean {
  const [rank, target] = [rankOf(from), rankOf(to)]
  if (rank >= 8 || roomOf(from) === roomOf(to)) return target <= rank
  return rank === 7 ? target <= PORTS || isShared(from, to) : target < rank
}

const IMPORT = /^(?:import|export)\b[^'"`;]*?from '([^']+)'|^import '([^']+)'|import\('([^']+)'\)/gm

function specifiersOf(file: string): string[] {
  const text = textOf(file)
  return [...text.matchAll(IMPORT)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '')
}

function resolve(from: string, specifier: string): string {
  return normalize(join(dirname(from), specifier))
}

function importsOf(file: string): string[] {
  return specifiersOf(file)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => resolve(file, specifier))
}

/** Imports, and modules named by text: workers. */
function mentionsOf(file: string): string[] {
  return [...textOf(file).matchAll(/'(\.{1,2}\/[^'\n]+\.ts)'/g)]
    .map(([, specifier]) => resolve(file, specifier ?? ''))
    .filter((target) => texts.has(target))
}

test('imports point down', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter((target) => target.endsWith('.ts') && !mayImport(file, target))
      .map((target) => `${file} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('the rule of imports tells allowed from forbidden', () => {
  const allowed = [
    ['runtime/flow/gate.ts', 'runtime/sink.ts'],
    ['connectors/mysql/decode/rows.ts', 'connectors/mysql/types.ts'],
    ['connectors/iceberg/writer.ts', 'connectors/parquet/encode/encoder.ts'],
    ['runtime/cli/main.ts', 'connectors/mysql/types.ts'],
    ['test/a.test.ts', 'runtime/cli/main.ts'],
  ]
  const forbidden = [
    ['runtime/base/hash.ts', 'runtime/data/type.ts'],
    ['runtime/job/run.ts', 'runtime/console/status.ts'],
    ['runtime/sink.ts', 'runtime/flow/gate.ts'],
    ['connectors/mysql/source.ts', 'runtime/flow/gate.ts'],
    ['connectors/mysql/source.ts', 'connectors/postgres/lsn.ts'],
    ['connectors/postgres/source.ts', 'connectors/storage/local.ts'],
    ['connectors/iceberg/writer.ts', 'connectors/parquet/write.ts'],
    ['runtime/job/run.ts', 'runtime/cli/main.ts'],
    ['connectors/mysql/source.ts', 'runtime/index.ts'],
  ]
  expect(allowed.filter(([from, to]) => !mayImport(from!, to!))).toEqual([])
  expect(forbidden.filter(([from, to]) => mayImport(from!, to!))).toEqual([])
})

/** Modules that must have run before this one; types are gone by then. */
function neededBy(file: string): string[] {
  const text = textOf(file).replace(/^(?:import|export) type [^'"`;]*?from '[^']+'/gm, '')
  return [...text.matchAll(/^(?:import|export)\b[^'"`;]*?from '(\.[^']+)'/gm)]
    .map(([, specifier = '']) => resolve(file, specifier))
    .filter((target) => texts.has(target))
}

test('no file imports itself through others', () => {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || done.has(file)) return
    for (const target of neededBy(file)) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of sources) visit(file, [])
  expect(cycles).toEqual([])
})

function reachableFrom(entries: readonly string[]): Set<string> {
  const reached = new Set<string>()
  const queue = [...entries]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    queue.push(...mentionsOf(file))
  }
  return reached
}

test('every file of the product is used by the product', () => {
  const reached = reachableFrom(['runtime/cli/main.ts', 'runtime/index.ts'])
  expect(product.filter((file) => !reached.has(file))).toEqual([])
})

test('every other file is a test, a program that something starts, or used by one', () => {
  const started = [...texts]
    .filter(([file]) =>
      /^(?:package\.json|vitest\.config\.ts)$|^\.ci\/|\.md$|^(?:test|bench|examples)\//.test(file),
    )
    .flatMap(([, text]) => text.match(/[\w./-]+\.ts\b/g) ?? [])
  const entries = sources.filter((file) => {
    return /\.test\.ts$|^[^/]+\.ts$/.test(file) || started.includes(file)
  })
  const reached = reachableFrom(entries)
  expect(sources.filter((file) => !product.includes(file) && !reached.has(file))).toEqual([])
})

// Dependencies

interface PackageFile {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
}

const packageFile = JSON.parse(textOf('package.json')) as PackageFile
const { dependencies, devDependencies } = packageFile

test('every dependency has an exact version and a reason in CONTRIBUTING.md', () => {
  const all = Object.entries({ ...dependencies, ...devDependencies })
  const exact = /^(?:npm:[a-z-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/
  expect(all.filter(([, version]) => !exact.test(version))).toEqual([])
  const reasons = textOf('CONTRIBUTING.md')
  expect(all.map(([name]) => name).filter((name) => !reasons.includes(`\`${name}\``))).toEqual([])
})

test('every package that is imported is a dependency, and the product needs no development one', () => {
  const wrong = sources.flatMap((file) =>
    specifiersOf(file)
      .filter((specifier) => !specifier.startsWith('.'))
      .map((specifier) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier)
      .filter((name) => !name.startsWith('node:') && !builtinModules.includes(name))
      .filter((name) => !(name in dependencies) && (isProduct(file) || !(name in devDependencies)))
      .map((name) => `${file} imports ${name}`),
  )
  expect(wrong).toEqual([])
})

function isProduct(file: string): boolean {
  return product.includes(file)
}

// Text

const CLOCK = /^runtime\/base\/clock\.ts$|^(?:test|bench|examples)\//

/** Pattern, where it may stand, and what to write instead. */
const BANNED: readonly (readonly [RegExp, RegExp, string])[] = [
  [/\b(?:Date\.now|setTimeout|setInterval|Math\.random)\(/, CLOCK, 'a Clock'],
  [/\b(?:performance\.now|randomBytes|randomUUID|randomInt)\(|new Date\(\)/, CLOCK, 'a Clock'],
  [/node:timers/, CLOCK, 'a Clock'],
  [/ as CommitReceipt\b/, /^runtime\/checkpoint\/commit\.ts$|^test\//, 'receiptOf'],
  [/^\s*(?:describe|it)\(['"`]|\btest\.only\(/, /^$/, 'test'],
  [/\bFIX[M]E\b|\bTO[D]O\b/, /^$/, 'the work itself'],
  // Generated decoders are compiled from text, which is what that one rule forbids.
  [
    /@ts-(?:ignore|nocheck)|lint-disable(?!-next-line typescript\/no-implied-eval)/,
    /^test\//,
    'code',
  ],
]

test('nothing stands in the code that has a better word', () => {
  const wrong = sources.flatMap((file) =>
    textOf(file)
      .split('\n')
      .flatMap((line, index) => {
        if (/^\s*(?:\/\/|\*|\/\*)/.test(line) && !/FIX[M]E|TO[D]O|-disable|@ts-/.test(line))
          return []
        return BANNED.filter(([pattern, where]) => pattern.test(line) && !where.test(file)).map(
          ([, , instead]) => `${file}:${index + 1} ${line.trim()} (write ${instead})`,
        )
      }),
  )
  expect(wrong.filter((line) => !line.startsWith('test/tidy.test.ts'))).toEqual([])
})

test('file names say what is in them', () => {
  const vague = /(?:^|[/-])(?:utils?|helpers?|common|managers?|services?|abstract|misc)\.ts$/
  expect(sources.filter((file) => vague.test(file) || /[A-Z_ ]/.test(file))).toEqual([])
})

test('every file begins with what it is', () => {
  const opening = /^(?:#!.*\n)?\/\/ \S/
  // What a test file is, its tests say.
  const wrong = sources.filter((file) => !/\.(?:test|config)\.ts$/.test(file))
  expect(wrong.filter((file) => !opening.test(textOf(file)))).toEqual([])
})

// Sizes

const LINES_MAX = 500
const FUNCTION_LINES_MAX = 70
const COLUMNS_MAX = 100
const COLUMNS_MAX_TEXT = 110
/** In a comment above a function: why it is longer than others may be. */
const EXEMPT = /\/\/ tidy: (?:template|table)\b/

test('files and lines are short enough to read', () => {
  const wrong = sources.flatMap((file) => {
    const lines = textOf(file).trimEnd().split('\n')
    // A flat table is read along its columns, a template beside what it makes.
    if (EXEMPT.test(lines.slice(0, 6).join('\n'))) return []
    const long = lines.flatMap((line, index) => {
      const limit = /['"`|]/.test(line) ? COLUMNS_MAX_TEXT : COLUMNS_MAX
      return line.length > limit ? [`${file}:${index + 1} has ${line.length} columns`] : []
    })
    return lines.length > LINES_MAX ? [`${file} has ${lines.length} lines`, ...long] : long
  })
  expect(wrong).toEqual([])
})

interface FunctionSpan {
  readonly line: number
  readonly lines: number
  readonly exempt: boolean
}

const KEYWORD = /^(?:if|for|while|switch|catch|else|do|try|return|new|throw|await|finally)\b/
const NAMED = /^(?:export )?(?:default )?(?:async )?function\b/
const METHOD =
  /^(?:(?:static|private|protected|public|override|async|get|set|readonly) )*[*#]?[\w$]+(?:<.*>)?\(/

/** The formatter puts the brace that ends a block under the line that began it. */
function functionsOf(text: string): FunctionSpan[] {
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    const start = line.trim()
    if (!opensFunction(start, lines, index)) return []
    const indent = line.slice(0, line.length - line.trimStart().length)
    let end = index
    do {
      end = lines.findIndex((other, at) => at > end && isClosing(other, indent))
    } while (end >= 0 && /(?:[{(]|=>)$/.test(lines[end] ?? ''))
    if (end < 0) return []
    const above = lines.slice(Math.max(0, index - 3), index).join('\n')
    return [{ line: index + 1, lines: end - index + 1, exempt: EXEMPT.test(above) }]
  })
}

function opensFunction(start: string, lines: readonly string[], index: number): boolean {
  if (KEYWORD.test(start)) return false
  if (start.endsWith('=> {') || NAMED.test(start)) return true
  if (!METHOD.test(start)) return false
  // A call ends without a brace; a method's head ends with one, if need be some lines below.
  if (start.endsWith('{')) return /\)(?:: .*)? \{$/.test(start)
  if (!start.endsWith('(')) return false
  const head = lines.slice(index + 1).find((line) => /^\s*\)/.test(line)) ?? ''
  return /^\s*\)(?:: .*)? \{$/.test(head)
}

function isClosing(line: string, indent: string): boolean {
  return line.startsWith(indent) && /^[})]/.test(line.slice(indent.length))
}

test('functions are short enough to see at once', () => {
  const wrong = sources.flatMap((file) =>
    functionsOf(textOf(file))
      .filter(({ lines, exempt }) => lines > FUNCTION_LINES_MAX && !exempt)
      .map(({ line, lines }) => `${file}:${line} a function of ${lines} lines`),
  )
  expect(wrong).toEqual([])
})

test('the length of a function is counted from its head to its brace', () => {
  const body = '    work()\n'.repeat(80)
  const spans = functionsOf(
    `export function a(\n  b: number,\n): number {\n${body}}\n\nclass C {\n` +
      `  async d(e: string): Promise<void> {\n${body}  }\n\n` +
      `  // tidy: template\n  f(\n    g: string,\n  ): void {\n${body}  }\n}\n` +
      `const h = list.map((i) => {\n${body}})\nif (a(\n  b,\n)) {\n${body}}\n`,
  )
  expect(spans).toEqual([
    { line: 1, lines: 84, exempt: false },
    { line: 87, lines: 82, exempt: false },
    { line: 171, lines: 84, exempt: true },
    { line: 256, lines: 82, exempt: false },
  ])
})

// Errors

test('every error is thrown somewhere, and no two have one code', () => {
  const code = product
    .filter((file) => file !== 'runtime/base/error-codes.ts')
    .map(textOf)
    .join('\n')
  const names = Object.keys(errorCodes) as ErrorName[]
  expect(names.filter((name) => !code.includes(`'${name}'`))).toEqual([])
  const codes = names.map((name) => errorCodes[name].code)
  expect(codes.filter((one, index) => codes.indexOf(one) !== index)).toEqual([])
})

test('every error is explained in sentences, and docs/errors.md says the same', () => {
  for (const [name, { meaning, hint }] of Object.entries(errorCodes)) {
    for (const text of [meaning, hint]) expect(text, name).toMatch(/^[A-Z`].*[.`?)]$/s)
  }
  // millrace explain --markdown > docs/errors.md
  expect(textOf('docs/errors.md')).toBe(errorManual())
  const codes = errorManual().match(/^### MR-\d{4}/gm) ?? []
  expect(codes).toHaveLength(Object.keys(errorCodes).length)
})

// Documents

const documents = [...texts.keys()].filter((file) => file.endsWith('.md'))

test('links in documents lead somewhere', () => {
  const wrong = documents.flatMap((file) =>
    [...textOf(file).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return []
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? file : resolve(file, path)
      if (!existsSync(join(ROOT, target))) return [`${file}: ${link}`]
      return anchor === undefined || anchorsOf(target).includes(anchor) ? [] : [`${file}: ${link}`]
    }),
  )
  expect(documents).toContain('README.md')
  expect(wrong).toEqual([])
})

function anchorsOf(file: string): string[] {
  return [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('every function that ARCHITECTURE.md names exists', () => {
  const code = product.map(textOf).join('\n')
  const named = [...textOf('ARCHITECTURE.md').matchAll(/`([\w.#]+)\(\)`/g)].map(([, name]) => name)
  const missing = named.filter((name = '') => {
    const [last = '', owner] = name.split('.').reverse()
    const defined = RegExp(
      `(?:function\\*? |^ *(?:[a-z]+ )*[*#]?)${last}(?:<[^\\n]*>)?\\(|\\b${last} ?[=:] `,
      'm',
    )
    return !defined.test(code) || (owner !== undefined && !RegExp(`\\b${owner}\\b`).test(code))
  })
  expect(named.length).toBeGreaterThan(0)
  expect(missing).toEqual([])
})

test('pipeline files in documents pass lint', () => {
  const blocks = documents.flatMap((file) =>
    [...textOf(file).matchAll(/```yaml\n(version: 1\n.*?)```/gs)].map(([, yaml = '']) => yaml),
  )
  expect(blocks.length).toBeGreaterThan(0)
  const wrong = blocks.flatMap((yaml) => {
    const path = writeFile(yaml, 'document.yaml')
    return lintFile(path, {}).filter(({ severity }) => severity === 'error')
  })
  expect(wrong.map(formatLintMessage)).toEqual([])
})

test('commands in README exist', () => {
  const text = textOf('README.md')
  const scripts = [...text.matchAll(/npm run (?:-s )?([\w:]+)/g)].map(([, name]) => name ?? '')
  expect(scripts.filter((name) => !(name in packageFile.scripts))).toEqual([])
  expect(text).toContain('npm test')
})

test('the top of the tree holds what it should and nothing else', () => {
  const folders = ['runtime', 'operators', 'connectors', 'bench', 'test', 'examples', 'docs', '.ci']
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'LICENSE']
  const tools = /^(?:package|package-lock|tsconfig|tsconfig\.build)\.json$|^vitest\.config\.ts$/
  const dots = /^\.(?:gitignore|nvmrc|npmrc|oxlintrc\.json|oxfmtrc\.json)$|^docker-compose\.yml$/
  const wrong = files.filter((file) => {
    const [top = ''] = file.split('/')
    if (file.includes('/')) return !folders.includes(top)
    return !documents.includes(file) && !tools.test(file) && !dots.test(file)
  })
  expect(wrong).toEqual([])
})
