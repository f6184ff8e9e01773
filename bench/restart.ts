// How long it takes from a `kill -9` until the lake shows a row that came after it.

import type { Engine, TransactionWriter } from './engine.ts'
import { median, type ScenarioResult } from './figures.ts'
import { watchLake } from './latency/lake-watch.ts'
import { startCommand, type Run } from './measure.ts'
import type { BenchPipeline } from './pipeline.ts'
import { Bench, type Context } from './scenario.ts'
import { systemClock } from '../runtime/base/clock.ts'

/** In the table before anything is killed: the index of a table that has some size. */
const TABLE_ROWS = 100_000
/** In the log when the process dies, not yet in the lake. */
const ROWS_BEHIND = 1000
const LOOK_MS = 5
const VISIBLE_MS_MAX = 120_000
const INTERVAL_SECONDS = 1
const TARGET_MS = 3000

export async function restartScenario(
  kind: Engine['kind'],
  context: Context,
): Promise<ScenarioResult> {
  return Bench.with(kind, context, async (bench) => {
    const { engine } = bench
    const transactionRows = ROWS_BEHIND
    await engine.load(1, TABLE_ROWS, { transactionRows, statementRows: transactionRows })
    bench.checkpointEvery(INTERVAL_SECONDS)
    await bench.begin()
    const times = await engine.withWriter((write) =>
      bench.steered((pipeline) => killAgain(pipeline, write, context)),
    )
    const all = times.map((ms) => Math.round(ms)).join(', ')
    return {
      scenario: `${kind}-restart`,
      title:
        `${await engine.version()}, kill -9 with ${ROWS_BEHIND} rows behind and a table of ` +
        `${TABLE_ROWS}, a checkpoint every ${INTERVAL_SECONDS} s`,
      figures: [],
      floors: [
        {
          claim: 'from kill -9 to a row that came after it',
          limit: TARGET_MS,
          bound: 'at most',
          unit: 'ms',
          steady: median(times),
          whole: null,
        },
      ],
      notes: [`Each restart, in ms: ${all}.`, bench.runningCommand],
    }
  })
}

/** @returns for each kill the milliseconds until the next process had shown all rows */
async function killAgain(
  pipeline: BenchPipeline,
  write: TransactionWriter,
  context: Context,
): Promise<number[]> {
  let rows = TABLE_ROWS
  let visible = 0
  const stop = watchLake(pipeline, (seen) => {
    visible = seen
  })
  const add = async (count: number): Promise<void> => {
    await write(rows + 1, count)
    rows += count
  }
  const caughtUp = async (run: Run): Promise<void> => {
    const startMs = systemClock.elapsedMs()
    const isVisible = (): boolean => visible >= rows
    while (!isVisible()) {
      if (run.child.exitCode !== null) await run.output
      if (systemClock.elapsedMs() - startMs > VISIBLE_MS_MAX) throw new Error('no row is visible')
      await systemClock.sleep(LOOK_MS)
    }
  }
  let run = startCommand(pipeline.running())
  try {
    await add(1)
    await caughtUp(run)
    const times: number[] = []
    const rounds = context.time.rounds(context.runs)
    while (rounds.next()) {
      await add(ROWS_BEHIND)
      run.child.kill('SIGKILL')
      const killedMs = systemClock.elapsedMs()
      // Its end is what was wanted.
      await run.output.catch(() => {})
      await add(1)
      run = startCommand(pipeline.running())
      await caughtUp(run)
      times.push(systemClock.elapsedMs() - killedMs)
      context.say(`  round ${rounds.begun}: ${Math.round(times.at(-1) ?? 0)} ms`)
    }
    return times
  } finally {
    stop()
    run.child.kill('SIGTERM')
    await run.output
  }
}
