// The base room's log and metrics: lines that are JSON, cells that keep their values.

import * as fc from 'fast-check'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import { createLog, silentLog } from '../../runtime/base/log.ts'
import { MetricSet, register } from '../../runtime/base/metrics.ts'
import { moduleUrl } from '../../runtime/base/module-url.ts'
import { Secret } from '../../runtime/job/config/secret.ts'
import { FakeClock } from './fake-terminal.ts'

test('a log line is one JSON object with exact integers and the whole error', () => {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    facts: { pipeline: 'shop' },
    write: (line) => lines.push(line),
    clock: new FakeClock(),
  })
  log.debug('not this')
  log.with({ table: 'a\nb' }).warn('said', {
    order: 2n ** 70n,
    error: new PipelineError('LOG_GAP', 'gone', { detail: 'Long ago.' }),
    other: new Error('no'),
    password: new Secret({ text: 'canary' }),
  })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^[^\n]*\n$/)
  expect(lines[0]).not.toContain('canary')
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 'warn',
    time: '2026-11-20T12:00:00.000Z',
    pipeline: 'shop',
    table: 'a\nb',
    msg: 'said',
    order: '1180591620717411303424',
    error: { code: 'MR-3012', error: 'LOG_GAP', message: 'gone', detail: 'Long ago.' },
    other: { message: 'no' },
    password: '***',
  })
  silentLog.with({ a: 1 }).error('nothing')
})

test('cells of a metric keep what was added to them, and a scrape shows it', async () => {
  const step = fc.tuple(fc.constantFrom('a', 'b', 'c"\n'), fc.constantFrom('x', 'y'), fc.nat(1000))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const metrics = new MetricSet()
      const rows = metrics.counter('rows_total', 'Rows.', ['table', 'op'])
      const model = new Map<string, number>()
      for (const [table, op, amount] of steps) {
        rows.add(rows.cell(table, op), amount)
        const key = JSON.stringify({ table, op })
        model.set(key, (model.get(key) ?? 0) + amount)
      }
      expect(metrics.counter('rows_total', 'Rows.', ['table', 'op'])).toBe(rows)
      const samples = rows.samples().map(({ labels, value }) => [JSON.stringify(labels), value])
      expect(new Map(samples as [string, number][])).toEqual(model)
      const registry = new Registry()
      register(metrics, registry)
      const lines = (await registry.metrics())
        .split('\n')
        .filter((line) => line.startsWith('rows_total'))
      expect(lines).toHaveLength(model.size)
    }),
    { numRuns: 50 },
  )
})

test('a metric may have more cells than it began with', () => {
  const gauge = new MetricSet().gauge('g', 'G.', ['n'])
  for (let n = 0; n < 100; n++) gauge.set(gauge.cell(String(n)), n)
  expect(gauge.samples().map(({ value }) => value)).toEqual(
    Array.from({ length: 100 }, (_, n) => n),
  )
})

test('a module is found beside its caller, in a checkout and in the package', () => {
  expect(moduleUrl('file:///a/cli/parts.ts', './worker.ts').href).toBe('file:///a/cli/worker.ts')
  expect(moduleUrl('file:///a/cli/parts.js', './worker.ts').href).toBe('file:///a/cli/worker.js')
})
