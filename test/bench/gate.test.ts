// The gate's verdict, from rounds that are written down here.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Figure, Sample } from '../../bench/figures.ts'
import { compare, comparisonTable, lossesOf } from '../../bench/gate/verdict.ts'
import { withCommit } from '../../bench/gate/worktree.ts'

/** Of a million rows, so that CPU seconds are those of a million. */
function figure(seconds: readonly number[], cpuSeconds: readonly number[]): Figure {
  const samples = seconds.map((steadySeconds, at): Sample => {
    const steadyCpuSeconds = cpuSeconds[at] ?? 0
    return {
      seconds: steadySeconds + 100,
      cpuSeconds: steadyCpuSeconds + 100,
      steadySeconds,
      steadyCpuSeconds,
      peakRssBytes: 0,
      serverCpuSeconds: 0,
      threads: [],
      memory: [],
    }
  })
  return { name: 'ours', kind: 'ours', rows: 1_000_000, bytesPerRow: 1, command: '', samples }
}

function verdict(ours: Figure, theirs: Figure): string[] {
  return lossesOf(compare('mysql-log', ours, theirs))
}

test('rounds are compared one by one, so a slow minute of the machine is no loss', () => {
  const ours = figure([1, 5, 1.1], [2, 3, 2])
  const theirs = figure([1, 5, 1.1], [2, 3, 2])
  expect(verdict(ours, theirs)).toEqual([])
  expect(comparisonTable([compare('mysql-log', ours, theirs)])[1]).toEqual(
    ['mysql-log', '1.00', '1.00...1.00', '1.00', '1.00...1.00', '3', 'PASS'], // of the ratios
  )
})

test('a loss of rate and one of CPU time are told apart, and gains are none', () => {
  const theirs = figure([1, 1, 1], [2, 2, 2])
  expect(verdict(figure([1.25, 1.25, 1.25], [2, 2, 2]), theirs)).toEqual([
    'mysql-log: 20 % less rate, 15 % at most',
  ])
  expect(verdict(figure([1, 1, 1], [2.4, 2.4, 2.4]), theirs)).toEqual([
    'mysql-log: 20 % more CPU time, 15 % at most',
  ])
  expect(verdict(figure([0.5, 0.5, 0.5], [1, 1, 1]), theirs)).toEqual([])
})

test('15 % pass, more do not, and the median decides', () => {
  const theirs = figure([1, 1, 1], [1, 1, 1])
  expect(verdict(figure([1.17, 1.17, 9], [1.149, 1.149, 9]), theirs)).toEqual([])
  expect(verdict(figure([1.18, 1.18, 1], [1.151, 1.151, 1]), theirs)).toHaveLength(2)
})

test('what gives no ratio is no verdict', () => {
  const nothing = figure([1], [0])
  expect(() => verdict(nothing, nothing)).toThrow('too few rows to compare')
  expect(() => verdict(figure([1, 1], [1, 1]), figure([1], [1]))).toThrow('only one of both')
})

test('a commit is checked out beside the tree, and leaves nothing', async () => {
  const head = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
  const folder = await withCommit('HEAD', async (tree, id) => {
    expect(head.startsWith(id)).toBe(true)
    const committed = execFileSync('git', ['show', 'HEAD:package.json'], { encoding: 'utf8' })
    expect(readFileSync(join(tree, 'package.json'), 'utf8')).toBe(committed)
    expect(existsSync(join(tree, 'node_modules/mysql2/package.json'))).toBe(true)
    return tree
  })
  expect(existsSync(folder)).toBe(false)
  const worktrees = execFileSync('git', ['worktree', 'list'], { encoding: 'utf8' })
  expect(worktrees).not.toContain(folder)
  await expect(withCommit('no-such-commit', async () => 1)).rejects.toThrow('no-such-commit')
})
