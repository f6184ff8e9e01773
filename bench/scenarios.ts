// The benchmarks by name, each with the floors that it has to reach.

import { countConnections, type Engine, type LogShape } from './engine.ts'
import {
  cpuPerMillion,
  median,
  peakRssMebibytes,
  rateRatio,
  rates,
  type Figure,
  type Floor,
  type ScenarioResult,
} from './figures.ts'
import {
  loadLog,
  loadTable,
  loadTopic,
  loadUpdates,
  ROWS_PER_TRANSACTION,
  USUAL_LOG,
  type Loaded,
  type Sizes,
} from './loads.ts'
import { BACKFILL_CONNECTIONS } from './pipeline.ts'
import { restartScenario } from './restart.ts'
import { latencyScenario } from './latency/scenario.ts'
import { tableShapes } from './table-shapes.ts'
import { Bench, type Context, type Startup } from './scenario.ts'

export type Scenario = (sizes: Sizes, context: Context) => Promise<ScenarioResult>

const SMALL_TRANSACTION = 10_000
const PEAK_RSS_MIB_MAX = 768

/** Peak of the larger over the smaller, less one. */
const MEMORY_DIFFERENCE_MAX = 10

export const scenarios: Readonly<Record<string, Scenario>> = {
  'mysql-log': (sizes, context) => insertScenario('mysql', sizes, context),
  'postgres-log': (sizes, context) => insertScenario('postgres', sizes, context),
  'mariadb-log': (sizes, context) => insertScenario('mariadb', sizes, context),
  'kafka-protobuf': (sizes, context) => topicScenario(sizes, context),
  'postgres-backfill': (sizes, context) => backfillScenario('postgres', sizes, context),
  'mysql-backfill': (sizes, context) => backfillScenario('mysql', sizes, context),
  'mysql-update': (sizes, context) => updateScenario('mysql', sizes, context),
  'postgres-update': (sizes, context) => updateScenario('postgres', sizes, context),
  'mysql-latency': ({ latency }, context) => latencyScenario('mysql', latency, context),
  'postgres-latency': ({ latency }, context) => latencyScenario('postgres', latency, context),
  'mysql-restart': (_, context) => restartScenario('mysql', context),
  'postgres-restart': (_, context) => restartScenario('postgres', context),
  'mysql-memory': (sizes, context) => memoryScenario('mysql', sizes, context),
  'postgres-memory': (sizes, context) => memoryScenario('postgres', sizes, context),
}

/** What `npm run bench` runs; the others are run by name. */
export const defaultScenarios: readonly string[] = Object.keys(scenarios).filter(
  (name) => name !== 'mariadb-log',
)

async function insertScenario(
  kind: Engine['kind'],
  sizes: Sizes,
  context: Context,
): Promise<ScenarioResult> {
  const { rows, log } = sizes
  return Bench.with(kind, context, async (bench) => {
    const { engine } = bench
    const loaded = await loadLog(bench, sizes)
    if (context.profile) return profiled(bench, `${kind}-log`, loaded)
    const peers = context.peers ? await engine.logPeers(rows) : []
    const figures = await bench.rounds(loaded, [...(await engine.logReferences(rows)), ...peers])
    return {
      scenario: `${kind}-log`,
      title:
        `${await engine.version()}, ${count(rows)} rows inserted, ` +
        `${log.transactionRows} a transaction, ${log.statementRows} a statement${tableNote(context)}`,
      figures,
      floors: isUsual(log, context) ? logFloors(kind, figures) : [],
      notes: [startupNote(loaded.startup)],
    }
  })
}

/** A filter and five expressions on the way into an append table. */
async function topicScenario(sizes: Sizes, context: Context): Promise<ScenarioResult> {
  const { rows } = sizes
  return Bench.with('kafka', context, async (bench) => {
    const { engine } = bench
    const loaded = await loadTopic(bench, sizes)
    if (context.profile) return profiled(bench, 'kafka-protobuf', loaded)
    const figures = await bench.rounds(loaded, await engine.logReferences(rows))
    return {
      scenario: 'kafka-protobuf',
      title:
        `${await engine.version()}, ${count(rows)} Protobuf messages of 20 fields in 2 partitions, ` +
        'a filter and five expressions, into Iceberg',
      figures,
      floors: topicFloors(figures),
      notes: [startupNote(loaded.startup)],
    }
  })
}

async function updateScenario(
  kind: Engine['kind'],
  sizes: Sizes,
  context: Context,
): Promise<ScenarioResult> {
  const { updates, keys } = sizes
  return Bench.with(kind, context, async (bench) => {
    const { engine } = bench
    const loaded = await loadUpdates(bench, sizes)
    if (context.profile) return profiled(bench, `${kind}-update`, loaded)
    const references = await engine.logReferences(updates)
    const plain = references.filter((reference) => reference.kind === 'denominator')
    const figures = await bench.rounds(loaded, plain)
    return {
      scenario: `${kind}-update`,
      title:
        `${await engine.version()}, ${count(updates)} updates of ${count(keys)} rows in scattered order, ` +
        `${ROWS_PER_TRANSACTION} a transaction`,
      figures,
      floors: [memoryFloor(figures)],
      notes: [startupNote(loaded.startup)],
    }
  })
}

async function backfillScenario(
  kind: Engine['kind'],
  sizes: Sizes,
  context: Context,
): Promise<ScenarioResult> {
  const { rows } = sizes
  return Bench.with(kind, context, async (bench) => {
    const { engine } = bench
    const loaded = await loadTable(bench, sizes)
    if (context.profile) return profiled(bench, `${kind}-backfill`, loaded)
    const figures: Figure[] = []
    const floors: Floor[] = []
    const plans = [BACKFILL_CONNECTIONS, 1]
    for (const [at, connections] of plans.entries()) {
      bench.backfillWith(connections)
      const references = engine.tableReferences(rows, connections)
      const time = context.time.part(plans.length - at)
      const found = await bench.rounds(loaded, references, time)
      const [ours, ...others] = found
      if (ours === undefined) throw new Error('no figures')
      figures.push({ ...ours, name: `${ours.name}, ${countConnections(connections)}` }, ...others)
      floors.push(...backfillFloors(kind, found))
    }
    return {
      scenario: `${kind}-backfill`,
      title: `${await engine.version()}, first copy of ${count(rows)} rows${tableNote(context)}`,
      figures,
      floors: isUsual(USUAL_LOG, context) ? [...floors, memoryFloor(figures)] : [],
      notes: [startupNote(loaded.startup)],
    }
  })
}

async function memoryScenario(
  kind: Engine['kind'],
  sizes: Sizes,
  context: Context,
): Promise<ScenarioResult> {
  const { memoryRows } = sizes
  const figures: Figure[] = []
  let version = ''
  for (const rowsPerTransaction of [SMALL_TRANSACTION, memoryRows]) {
    const figure = await Bench.with(kind, { ...context, runs: 1 }, async (bench) => {
      const { engine } = bench
      version = await engine.version()
      const log = { ...USUAL_LOG, transactionRows: rowsPerTransaction }
      const loaded = await loadLog(bench, { ...sizes, rows: memoryRows, log })
      const [ours] = await bench.rounds(loaded, [])
      return ours
    })
    const name = `ours, transactions of ${count(rowsPerTransaction)}`
    if (figure !== undefined) figures.push({ ...figure, name })
  }
  return {
    scenario: `${kind}-memory`,
    title: `${version}, ${count(memoryRows)} rows inserted, in small transactions and in one`,
    figures,
    floors: [memoryFloor(figures), evenMemoryFloor(figures)],
    notes: ['One run each, every one on a server of its own.'],
  }
}

/** Floors are for this one. */
function isUsual(log: LogShape, { table }: Context): boolean {
  const { transactionRows, statementRows } = USUAL_LOG
  return (
    table === 'usual' &&
    log.transactionRows === transactionRows &&
    log.statementRows === statementRows
  )
}

function tableNote({ table }: Context): string {
  return table === 'usual' ? '' : `, ${table} table of ${tableShapes[table].columns} columns`
}

async function profiled(
  bench: Bench,
  scenario: string,
  { prepare }: Loaded,
): Promise<ScenarioResult> {
  await prepare()
  const text = await bench.profile(scenario)
  return { scenario, title: 'profile', figures: [], floors: [], notes: text.split('\n') }
}

function logFloors(kind: Engine['kind'], figures: readonly Figure[]): Floor[] {
  const [ours, denominator] = figures
  if (ours === undefined || denominator === undefined) throw new Error('no figures')
  if (kind === 'postgres') {
    const ratio = rateRatio(ours, denominator)
    return [
      {
        claim: `rate beside ${denominator.name}`,
        limit: 90,
        bound: 'at least',
        unit: '%',
        steady: ratio.steady * 100,
        whole: ratio.whole * 100,
      },
      cpuFloor(ours, 3),
      memoryFloor(figures),
    ]
  }
  const slowest = figures.findLast((figure) => figure.kind === 'alternative')
  if (slowest === undefined) throw new Error('no alternative')
  return [
    rateFloor(ours, 500_000),
    cpuFloor(ours, 2),
    besideFloor(ours, slowest, 20),
    memoryFloor(figures),
  ]
}

function topicFloors(figures: readonly Figure[]): Floor[] {
  const [ours] = figures
  const slowest = figures.at(-1)
  if (ours === undefined || slowest === undefined) throw new Error('no figures')
  return [rateFloor(ours, 700_000), besideFloor(ours, slowest, 20), memoryFloor(figures)]
}

function rateFloor(ours: Figure, limit: number): Floor {
  const { steady, whole } = rates(ours)
  const unit = 'rows/s'
  return {
    claim: 'rate',
    limit,
    bound: 'at least',
    unit,
    steady: median(steady),
    whole: median(whole),
  }
}

function besideFloor(ours: Figure, other: Figure, limit: number): Floor {
  const claim = `rate beside ${other.name}`
  return { claim, limit, bound: 'at least', unit: 'times', ...rateRatio(ours, other) }
}

function backfillFloors(kind: Engine['kind'], figures: readonly Figure[]): Floor[] {
  const [ours, denominator] = figures
  if (ours === undefined || denominator === undefined) throw new Error('no figures')
  if (kind !== 'postgres') return []
  const ratio = rateRatio(ours, denominator)
  return [
    {
      claim: `rate beside ${denominator.name}`,
      limit: 60,
      bound: 'at least',
      unit: '%',
      steady: ratio.steady * 100,
      whole: ratio.whole * 100,
    },
  ]
}

function cpuFloor(ours: Figure, limit: number): Floor {
  const cpu = cpuPerMillion(ours)
  return {
    claim: 'our CPU time',
    limit,
    bound: 'at most',
    unit: 'CPU s/M rows',
    steady: median(cpu.steady),
    whole: median(cpu.whole),
  }
}

function memoryFloor(figures: readonly Figure[]): Floor {
  const ours = figures.filter(({ kind }) => kind === 'ours')
  return {
    claim: 'peak RSS of any run',
    limit: PEAK_RSS_MIB_MAX,
    bound: 'at most',
    unit: 'MiB',
    steady: Math.max(...ours.map(peakRssMebibytes)),
    whole: null,
  }
}

function evenMemoryFloor(figures: readonly Figure[]): Floor {
  const peaks = figures.map(peakRssMebibytes)
  return {
    claim: 'difference in peak RSS between the two',
    limit: MEMORY_DIFFERENCE_MAX,
    bound: 'at most',
    unit: '%',
    steady: (Math.max(...peaks) / Math.min(...peaks) - 1) * 100,
    whole: null,
  }
}

function startupNote({ seconds, cpuSeconds }: Startup): string {
  return (
    `A run that finds nothing takes ${seconds.toFixed(2)} s and ${cpuSeconds.toFixed(2)} CPU s; ` +
    'rows/s and CPU s/M are without it, "whole run" is with it.'
  )
}

function count(rows: number): string {
  return rows.toLocaleString('en-US')
}
