// `millrace check`: whether a pipeline could run, requirement by requirement, each with the SQL
// that repairs it. Reads only.

import type { PipelineConfig } from '../../job/config/pipeline-config.ts'
import { formatLintMessage } from '../../job/config/problems.ts'
import { formatSize } from '../../job/config/quantity.ts'
import { loadPipeline } from '../../job/config/load.ts'
import { reservedReason } from '../../data/evolution.ts'
import { tableKey } from '../../data/schema.ts'
import { sourceSelector } from '../../job/config/selector.ts'
import type { DiscoveredTable, Finding } from '../../source.ts'
import { type AddCommand, print } from '../context.ts'
import { printable } from '../failure.ts'
import { lakeColumnsOf } from '../committer-connector.ts'
import { checkTopics } from '../kafka-sink.ts'
import { checkFolders } from '../folders.ts'
import { formatTable } from '../mapping.ts'
import { selectionFaults, selectionFindings } from '../selection.ts'
import { sinkParts } from '../sink-parts.ts'
import type { Wiring } from '../wiring.ts'

const EXIT_NOT_READY = 3
const SLOT_LAG_EXAMPLE = '20GiB'

export const addCheck: AddCommand = (program, context) => {
  const { terminal, wiring } = context
  program
    .command('check')
    .description('connect to everything and say what is missing, with the SQL that repairs it')
    .argument('<file>', 'pipeline file')
    .action(async (file: string, _options, command) => {
      const config = loadPipeline(file, terminal.env)
      const inspector = await wiring.inspect(config, 'selected')
      let findings: Finding[]
      let tables: DiscoveredTable[]
      try {
        const selects = sourceSelector(config.source)
        findings = [...(await inspector.check())]
        tables = (await inspector.discover()).filter(({ namespace, name }) =>
          selects(namespace, name),
        )
      } finally {
        await inspector.close()
      }
      findings.push(...checkColumns(config, tables))
      findings.push(...(await checkSelection(config, wiring)), ...(await checkHere(config)))
      for (const part of config.parts ?? [config]) {
        if (part.sink.type !== 'kafka') continue
        findings.push(...(await checkTopics(part, part.sink, tablesOfPart(part, config, tables))))
      }
      print(context, command, { ready: isReady(findings), findings, tables }, () =>
        [
          ...config.warnings.map(formatLintMessage),
          ...findings.map(formatFinding),
          ...tables.map((table) => formatTable(table, '')),
          isReady(findings) ? 'ready to run' : 'not ready: repair what is marked with a cross',
        ].join('\n'),
      )
      if (!isReady(findings)) context.setExitCode(EXIT_NOT_READY)
    })
}

/** Those that go to one of several sinks. */
function tablesOfPart(
  { part }: PipelineConfig,
  config: PipelineConfig,
  tables: readonly DiscoveredTable[],
): readonly DiscoveredTable[] {
  const sinks = sinkParts(config)
  if (sinks === null || part === undefined) return tables
  return tables.filter((table) => sinks.of(tableKey(table)).includes(part))
}

function isReady(findings: readonly Finding[]): boolean {
  return findings.every(({ ok, warning }) => ok || warning)
}

function checkColumns(config: PipelineConfig, tables: readonly DiscoveredTable[]): Finding[] {
  const { reservedNames } = lakeColumnsOf(config)
  return tables.flatMap((table) =>
    table.columns
      .filter(({ name, lakeType }) => lakeType !== null && reservedNames.includes(name))
      .map(({ name }) => ({
        name: tableKey(table),
        ok: false,
        warning: false,
        message: `${reservedReason(name)}: rename it, or leave it out by \`source.columns_exclude\``,
        fix: null,
      })),
  )
}

async function checkSelection(config: PipelineConfig, wiring: Wiring): Promise<Finding[]> {
  const inspector = await wiring.inspect(config, 'included')
  try {
    return selectionFindings(selectionFaults(config, await inspector.discover()))
  } finally {
    await inspector.close()
  }
}

async function checkHere(config: PipelineConfig): Promise<Finding[]> {
  const findings = await checkFolders(config)
  if (config.source.type !== 'postgres') return findings
  const { maxSlotLagBytes: limit, slotName } = config.source
  const finding =
    limit === null
      ? {
          ok: false,
          message:
            `max_slot_lag is not set: nobody is warned of the log that the server keeps for slot ` +
            `"${slotName}"; add max_slot_lag: ${SLOT_LAG_EXAMPLE} to the source`,
        }
      : { ok: true, message: `warns from half of ${formatSize(limit)} of kept log` }
  return [...findings, { name: 'max_slot_lag', warning: true, fix: null, ...finding }]
}

function formatFinding({ name, ok, warning, message, fix }: Finding): string {
  const mark = ok ? '✔' : warning ? '!' : '✗'
  const repair = ok || fix === null ? [] : fix.split('\n').map((line) => `      ${line}`)
  return printable([`${mark} ${name.padEnd(20)} ${message}`, ...repair].join('\n'))
}
