// From `late` of `partition_ready` to which rows of which table of the source are too late, and
// what becomes of them.

import { tableKey } from '../data/schema.ts'
import { TimeZone } from '../data/time-zone.ts'
import type { PartitionReadyConfig } from '../job/config/partition-ready.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import type { LateRule, LateRules } from '../job/late-rows.ts'
import { lakeTargets } from './lake-target.ts'

type LateConfig = Pick<PipelineConfig, 'partitionReady' | 'routes'>

/** @returns what the table of the source is announced by; `null`: it is not */
function readyOf(config: LateConfig): (table: string) => PartitionReadyConfig | null {
  const targetOf = lakeTargets(config)
  const byTarget = new Map(config.partitionReady.map((ready) => [ready.table, ready]))
  return (table) => byTarget.get(tableKey(targetOf(table))) ?? null
}

export function lateRules(config: LateConfig): LateRules {
  const ready = readyOf(config)
  const rules = new Map<string, LateRule | null>()
  return (table) => {
    const known = rules.get(table)
    if (known !== undefined) return known
    const found = ready(table)
    const rule = found === null || found.late === 'reopen' ? null : ruleOf(found)
    rules.set(table, rule)
    return rule
  }
}

function ruleOf({ unit, timeZone, delayMs }: PartitionReadyConfig): LateRule {
  return { unit, zone: new TimeZone(timeZone), delayUs: BigInt(delayMs) * 1000n }
}

/** @returns what becomes of rows of a table that are too late; `null`: they are written */
export function lateFates(config: LateConfig): (table: string) => 'dlq' | 'drop' | null {
  const ready = readyOf(config)
  return (table) => {
    const late = ready(table)?.late ?? 'reopen'
    return late === 'reopen' ? null : late
  }
}
