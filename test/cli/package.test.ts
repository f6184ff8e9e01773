// The package as npm has it: what its file promises is built, and starts and loads from there.

import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import packageFile from '../../package.json' with { type: 'json' }
import * as barrel from '../../runtime/index.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))

beforeAll(async () => {
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const config = join(ROOT, 'tsconfig.build.json')
  // `npm run build`, into another folder; a fault of types is what `npm run check` is for.
  const args = ['-p', config, '--outDir', join(folder, 'dist'), '--noCheck']
  await run(join(ROOT, 'node_modules/.bin/tsc'), args)
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('every file that package.json names is built', () => {
  const { bin, exports: entries, files } = packageFile
  const named = [bin.millrace, ...Object.values(entries['.'])]
  expect(named.filter((path) => !existsSync(join(folder, path)))).toEqual([])
  for (const path of named) expect(files).toContain(path.replace(/^\.\//, '').split('/')[0])
  const documents = files.filter((file) => file !== 'dist')
  expect(documents.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
})

test('the package loads by its name, with the names of the barrel', async () => {
  const script = `import * as all from 'millrace'; console.log(Object.keys(all).join(' '))`
  const args = ['--input-type=module', '-e', script]
  const { stdout } = await run(process.execPath, args, { cwd: folder })
  expect(stdout.trim().split(' ')).toEqual(Object.keys(barrel).toSorted())
})

test('the public names are there: errors, files, ports’ parts, the run', () => {
  const names = ['PipelineError', 'errorCodes', 'loadPipeline', 'lintFile', 'runPipeline']
  const parts = ['columnBuilder', 'Op', 'tableKey', 'SourceTask', 'WriterTask', 'spawnWorker']
  for (const name of [...names, ...parts]) expect(barrel, name).toHaveProperty(name)
  // What only types have cannot be asked for at run time; that it compiles says that they exist.
  const ports: [
    barrel.Source?,
    barrel.SourceInspector?,
    barrel.SinkWriter<unknown>?,
    barrel.Committer<unknown>?,
    barrel.ObjectStore?,
    barrel.Catalog?,
    barrel.PipelineParts?,
    barrel.ChangeBatch?,
    barrel.PipelineConfig?,
  ] = []
  expect(ports).toEqual([])
})

test('the program starts from what is built', async () => {
  const main = join(folder, packageFile.bin.millrace)
  const { stdout } = await run(process.execPath, [main, '--version'])
  expect(stdout).toBe(`${packageFile.version}\n`)
})
