// How long a commit takes to be seen in the lake, at several offered rates, and the largest rate
// that is kept without falling behind.

import type { Engine } from '../engine.ts'
import { MEBIBYTE, type Floor, type LatencyStep, type ScenarioResult } from '../figures.ts'
import { treeCpuSeconds } from '../process-tree.ts'
import { Bench, type Context } from '../scenario.ts'
import { Offers } from './offer.ts'
import { LAG_MS_MAX, nextRate, outcomeOf } from './sustained.ts'

/** What a server or a lake that is late may take to come to rest. */
const DRAIN_SECONDS = 5

export interface LatencyPlan {
  /** Rows a second. */
  readonly rates: readonly number[]
  /** For which each rate is offered. */
  readonly seconds: number
  /** Between two checkpoints. */
  readonly intervalSeconds: number
  /** Tried beyond `rates` to find the largest, as far as there is time. */
  readonly searchMax: number
}

export async function latencyScenario(
  kind: Engine['kind'],
  plan: LatencyPlan,
  context: Context,
): Promise<ScenarioResult> {
  return Bench.with(kind, context, async (bench) => {
    const { engine } = bench
    bench.checkpointEvery(plan.intervalSeconds)
    await bench.begin()
    const { usage, value: steps } = await engine.withWriter(async (write) => {
      const offers = new Offers(write, 1)
      return bench.during(
        (pid) => offerAll(offers, plan, context, { ours: pid, server: engine.pid() }),
        (rows, atMs) => offers.see(rows, atMs),
      )
    })
    return {
      scenario: `${kind}-latency`,
      title:
        `${await engine.version()}, from commit to lake, a checkpoint every ` +
        `${plan.intervalSeconds} s, ${plan.seconds} s of each rate`,
      figures: [],
      floors: floorsOf(steps, plan),
      latencies: steps,
      notes: [
        sustainedNote(steps, plan),
        `Peak RSS ${Math.round(usage.peakRssBytes / MEBIBYTE)} MiB over all rates.`,
        bench.runningCommand,
      ],
    }
  })
}

async function offerAll(
  offers: Offers,
  plan: LatencyPlan,
  context: Context,
  pids: { readonly ours: number; readonly server: number },
): Promise<LatencyStep[]> {
  await offers.begin()
  const steps: LatencyStep[] = []
  const queue = [...plan.rates]
  for (let searched = 0; ;) {
    let rate = queue.shift()
    if (rate === undefined) {
      const fits = context.time.fits((plan.seconds + plan.intervalSeconds + DRAIN_SECONDS) * 1000)
      const next = fits && searched++ < plan.searchMax ? nextRate(steps) : null
      if (next === null) return steps
      rate = next
    }
    const before = [treeCpuSeconds(pids.ours), treeCpuSeconds(pids.server)] as const
    const offer = await offers.offer(rate, plan.seconds)
    const outcome = outcomeOf(offer, plan.intervalSeconds * 1000)
    const cpuSeconds = treeCpuSeconds(pids.ours) - before[0]
    const serverCpuSeconds = treeCpuSeconds(pids.server) - before[1]
    steps.push({ ...offer, outcome, cpuSeconds, serverCpuSeconds })
    context.say(`  ${rate} rows/s: ${Math.round(offer.achieved)} rows/s, ${outcome}`)
  }
}

/** The largest rate that was kept, or `null`. */
export function sustainedStep(steps: readonly LatencyStep[]): LatencyStep | null {
  const kept = steps.filter(({ outcome }) => outcome === 'kept')
  return kept.toSorted((left, right) => right.offered - left.offered)[0] ?? null
}

function sustainedNote(steps: readonly LatencyStep[], { intervalSeconds }: LatencyPlan): string {
  const best = sustainedStep(steps)
  const bound = `99 % of the rows visible within ${intervalSeconds + LAG_MS_MAX / 1000} s`
  if (best === null) return `No rate was kept with ${bound}.`
  const above = steps.filter(({ offered }) => offered > best.offered)
  const [limit] = above.toSorted((left, right) => left.offered - right.offered)
  const rate = best.offered.toLocaleString('en-US')
  const why = { lag: 'we fall behind', source: 'the server takes no more', kept: '' }
  const beyond = limit === undefined ? 'more was not tried' : `beyond it ${why[limit.outcome]}`
  return `Largest sustained rate: ${rate} rows/s (${bound}); ${beyond}.`
}

function floorsOf(steps: readonly LatencyStep[], { intervalSeconds }: LatencyPlan): Floor[] {
  const lowest = steps.toSorted((left, right) => left.offered - right.offered)[0]
  const p99 = lowest?.percentiles.find(({ percentile }) => percentile === 99)
  if (lowest === undefined || p99 === undefined) return []
  return [
    {
      claim: `99 % visible, at ${lowest.offered.toLocaleString('en-US')} rows/s`,
      limit: intervalSeconds * 1000 + LAG_MS_MAX,
      bound: 'at most',
      unit: 'ms',
      steady: p99.ms,
      whole: null,
    },
  ]
}
