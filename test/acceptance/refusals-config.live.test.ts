// A pipeline file with a mistake is refused at the place of the mistake, before anything is
// touched.
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import type { ErrorName } from '../../runtime/base/errors.ts'
import { Pipeline } from './pipeline.ts'
import { edit, expectRefusal } from './refusal.ts'

// Nobody listens there.
const server = { host: '127.0.0.1', port: 9, user: 'postgres', password: 'x', major: 18 } as never

const cases: readonly {
  claim: string
  error: ErrorName
  change: (text: string) => string
  words: readonly string[]
}[] = [
  {
    claim: 'an unknown key',
    error: 'CONFIG_UNKNOWN_KEY',
    change: (text) => text.replace('warehouse:', 'warehose:'),
    words: ['warehose', 'warehouse', 'pipeline.yaml:'],
  },
  {
    claim: 'a value of the wrong type',
    error: 'CONFIG_VALUE',
    change: (text) => text.replace('parallelism: 1', 'parallelism: many'),
    words: ['parallelism', 'pipeline.yaml:'],
  },
  {
    claim: 'a duration without its unit',
    error: 'CONFIG_VALUE',
    change: (text) => text.replace('interval: 1s', 'interval: 1'),
    words: ['interval', 'pipeline.yaml:'],
  },
  {
    claim: 'text that is no YAML',
    error: 'CONFIG_FILE',
    change: (text) => `${text}\n  - [`,
    words: ['pipeline.yaml'],
  },
  {
    claim: 'a secret that is not in the environment',
    error: 'CONFIG_VARIABLE',
    change: (text) => text.replace('DB_PASSWORD', 'NOBODY_SET_THIS'),
    words: ['NOBODY_SET_THIS'],
  },
  {
    claim: 'something of a later version',
    error: 'CONFIG_UNSUPPORTED',
    change: (text) => `${text}\nalerts: []\n`,
    words: ['alerts'],
  },
]

for (const { claim, error, change, words } of cases) {
  test(`${claim} is refused, and nothing is touched`, async () => {
    const pipeline = await Pipeline.create({ server })
    try {
      const text = await readFile(pipeline.file, 'utf8')
      expect(change(text)).not.toBe(text)
      await writeFile(pipeline.file, change(text))
      const exit = await pipeline.command(['run', pipeline.file])
      expectRefusal(exit, error, words)
      expect(existsSync(dirname(pipeline.state))).toBe(false)
      expect(existsSync(pipeline.catalog)).toBe(false)
    } finally {
      await pipeline.remove()
    }
  })
}

test('a server that does not answer is named with host and port', async () => {
  const pipeline = await Pipeline.create({ server })
  try {
    const exit = await pipeline.command(['run', pipeline.file, '--once'])
    expectRefusal(exit, 'CONNECT_FAILED', ['127.0.0.1', '9'])
  } finally {
    await pipeline.remove()
  }
})

test('a file that is not there is refused by its name', async () => {
  const pipeline = await Pipeline.create({ server })
  try {
    const exit = await pipeline.command(['run', `${pipeline.file}.missing`])
    expectRefusal(exit, 'CONFIG_FILE', ['pipeline.yaml.missing'])
  } finally {
    await pipeline.remove()
  }
})

test('a password in the file is used, and never printed', async () => {
  const pipeline = await Pipeline.create({ server })
  try {
    await edit(pipeline, ({ source }) => {
      if (source) source['password'] = 'canary-of-a-secret'
    })
    for (const args of [
      ['run', pipeline.file, '--once', '--verbose'],
      ['lint', pipeline.file],
    ]) {
      const exit = await pipeline.command(args)
      expect(exit.stdout + exit.stderr).not.toContain('canary-of-a-secret')
    }
  } finally {
    await pipeline.remove()
  }
})
