// This tree and another commit of it in the same rounds, each with a server of its own that has the
// same rows: a loss of speed is seen in ratios, on whatever machine.

import { loads, type Loaded, type Sizes } from '../loads.ts'
import { formatTable } from '../report/text.ts'
import { Bench, type Context, type Startup } from '../scenario.ts'
import type { Figure, Sample } from '../figures.ts'
import { compare, comparisonTable, lossesOf, type Comparison } from './verdict.ts'
import { withCommit } from './worktree.ts'

/** Sources, both kinds of reading, and the index; what a regression would most likely touch. */
export const gateScenarios: readonly string[] = [
  'mysql-log',
  'postgres-log',
  'mysql-update',
  'postgres-backfill',
]

/**
 * @param names  of `loads`
 * @param contextOf  of each scenario, when it begins
 * @returns what was lost or could not be compared, in words
 * @throws Error when there is no such commit
 */
export async function runGate(
  commit: string,
  names: readonly string[],
  sizes: Sizes,
  contextOf: (at: number) => Context,
): Promise<string[]> {
  return withCommit(commit, async (folder, id) => {
    const comparisons: Comparison[] = []
    const failures: string[] = []
    for (const [at, name] of names.entries()) {
      const context = contextOf(at)
      context.say(`${name}, against ${id}`)
      try {
        comparisons.push(await compareOn(name, sizes, context, folder))
      } catch (error) {
        failures.push(`${name}: did not run\n${String(error)}`)
      }
    }
    console.log(formatTable(comparisonTable(comparisons)).join('\n'))
    return [...comparisons.flatMap(lossesOf), ...failures]
  })
}

interface Side {
  readonly bench: Bench
  readonly loaded: Loaded
  readonly samples: Sample[]
}

async function compareOn(
  name: string,
  sizes: Sizes,
  context: Context,
  folder: string,
): Promise<Comparison> {
  const found = loads[name]
  if (found === undefined) throw new Error(`${name} cannot be compared`)
  const { kind, load } = found
  const sideOf = async (bench: Bench): Promise<Side> => {
    return { bench, loaded: await load(bench, sizes), samples: [] }
  }
  return Bench.with(kind, context, async (mine) =>
    Bench.with(kind, { ...context, tree: folder }, async (theirs) => {
      const sides = [await sideOf(mine), await sideOf(theirs)] as const
      await runRounds(sides, leastStartup(sides), context)
      const [ours, others] = sides
      return compare(name, figureOf(ours), figureOf(others))
    }),
  )
}

/**
 * Of both trees, so that a start that has become slower is a loss too, and a slow minute when one
 * of them was measured is none.
 */
function leastStartup(sides: readonly Side[]): Startup {
  const startups = sides.map(({ loaded: { startup } }) => startup)
  return {
    seconds: Math.min(...startups.map(({ seconds }) => seconds)),
    cpuSeconds: Math.min(...startups.map(({ cpuSeconds }) => cpuSeconds)),
  }
}

async function runRounds(
  sides: readonly [Side, Side],
  startup: Startup,
  context: Context,
): Promise<void> {
  const rounds = context.time.rounds(context.runs)
  while (rounds.next()) {
    // Whoever is first has the other's dirty pages written under its feet: they take turns.
    const inTurn = rounds.begun % 2 === 0 ? sides.toReversed() : sides
    for (const { bench, loaded, samples } of inTurn) {
      await loaded.prepare()
      const sample = await bench.run(startup)
      samples.push(sample)
      const tree = bench.context.tree === undefined ? 'this tree' : 'the other'
      context.say(`  round ${rounds.begun}: ${tree} ${sample.seconds.toFixed(1)} s`)
    }
  }
}

function figureOf({ bench, loaded: { rows, bytesPerRow }, samples }: Side): Figure {
  const { command } = bench
  return { name: 'millrace run --once', kind: 'ours', rows, bytesPerRow, command, samples }
}
