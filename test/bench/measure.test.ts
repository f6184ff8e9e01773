// A program that runs until it is told to stop.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { measureDuring } from '../../bench/measure.ts'

function program(script: string): Parameters<typeof measureDuring>[0] {
  return { program: process.execPath, args: ['-e', script], stdout: 'keep' }
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-measure-'))
const ready = join(folder, 'ready')
afterAll(() => rmSync(folder, { recursive: true }))

const STOPPABLE = `process.on('SIGTERM', () => { console.log('bye'); process.exit(0) })
setInterval(() => {}, 1000); console.log('hello')
require('node:fs').writeFileSync(${JSON.stringify(ready)}, '')`

test('what was done meanwhile is given back with what the program took', async () => {
  const { usage, value } = await measureDuring(program(STOPPABLE), null, async (pid) => {
    // A signal before its handler is there would kill it.
    await expect.poll(() => existsSync(ready), { timeout: 20_000 }).toBe(true)
    return pid
  })
  expect(value).toBeGreaterThan(0)
  expect(usage.output).toBe('hello\nbye\n')
  expect(usage.cpuSeconds).toBeGreaterThan(0)
})

test('a program that ends by itself fails the work, however long that would take', async () => {
  const forever = (): Promise<void> => new Promise(() => {})
  await expect(measureDuring(program('process.exit(0)'), null, forever)).rejects.toThrow(
    'has ended too early',
  )
  await expect(measureDuring(program('process.exit(3)'), null, forever)).rejects.toThrow(
    'ended with 3',
  )
})

test('work that fails ends the program', async () => {
  const work = (): Promise<void> => Promise.reject(new Error('no rows'))
  await expect(measureDuring(program(STOPPABLE), null, work)).rejects.toThrow(/no rows|SIGTERM/)
})
