// What `millrace dlq` reads: the table of dead letters as the lake has it, without the source and
// without the pipeline, whether that runs or not.

import { scanRows } from '../../connectors/iceberg/row-scan.ts'
import { readTable, type ScannedTable } from '../../connectors/iceberg/scan.ts'
import { localStore } from '../../connectors/storage/local.ts'
import { PipelineError } from '../base/errors.ts'
import { tableKey, type Field } from '../data/schema.ts'
import type { PipelineConfig } from '../job/config/pipeline-config.ts'
import { lettersTable } from '../job/config/resolve-kafka.ts'
import { openExistingCatalog } from './lake-catalog.ts'
import { lakeTargets } from './lake-target.ts'
import { partOfType } from './sink-parts.ts'
import { valueText } from './verify/value-text.ts'

/** By column that has a value: its JSON, bytes in hex. */
export type LetterValues = ReadonlyMap<string, string>

export interface Letter {
  readonly values: LetterValues
  /** Of the commit that wrote it; `null`: its snapshot has gone from the table. */
  readonly epoch: number | null
}

export interface LetterTable {
  /** Its name in the lake. */
  readonly table: string
  /** Each letter once, though a first copy that began anew may have written it twice. */
  readonly letters: AsyncIterable<Letter>
}

/**
 * @returns a table without letters when the pipeline has none yet
 * @throws PipelineError CONFIG_UNSUPPORTED, CATALOG_UNAVAILABLE, LAKE_FORMAT, STORAGE_FAILED
 */
export async function readLetters(whole: PipelineConfig): Promise<LetterTable> {
  const config = partOfType(whole, 'iceberg') ?? whole
  const { sink, source, name } = config
  if (sink.type !== 'iceberg') {
    throw new PipelineError('CONFIG_UNSUPPORTED', `dlq reads no sink of type ${sink.type}`, {
      detail: 'The letters are there: as a directory or topic beside those of the other tables.',
      hint: 'Read them as you read the other tables.',
    })
  }
  const target = lakeTargets(config)(tableKey(lettersTable(source, name)))
  const table = tableKey(target)
  const catalog = await openExistingCatalog(sink)
  if (catalog === null) return { table, letters: none() }
  try {
    const warehouse = localStore(sink.warehouse.path)
    const scanned = await readTable({ catalog, warehouse }, target)
    return { table, letters: scanned === null ? none() : letters(warehouse, scanned) }
  } finally {
    await catalog.close()
  }
}

async function* none(): AsyncGenerator<Letter> {
  // The pipeline has set nothing aside.
}

async function* letters(
  warehouse: ReturnType<typeof localStore>,
  { files, fields, metadata }: ScannedTable,
): AsyncGenerator<Letter> {
  const read = fields.flatMap(({ id, name, type, elementId }): Field[] => {
    if (type === null) return []
    const rest = { comment: null, initialDefault: null, nullable: true, identity: name }
    return [{ id, name, type, elementId, ...rest }]
  })
  const epochs = new Map(
    metadata.snapshots.map(({ sequenceNumber, summary }) => {
      return [sequenceNumber, epochOf(summary['millrace.epoch'])]
    }),
  )
  const seen = new Set<string>()
  try {
    const inOrder = [...files].sort((a, b) => (a.sequenceNumber < b.sequenceNumber ? -1 : 1))
    for await (const { file, rows, columns } of scanRows(warehouse, inOrder, read)) {
      const epoch = epochs.get(file.sequenceNumber) ?? null
      for (let row = 0; row < rows; row++) {
        const texts = columns.map((column) => valueText(column, row))
        const named = read.map(({ name }, at) => [name, texts[at] ?? 'null'] as const)
        const values = new Map(named.filter(([, text]) => text !== 'null'))
        const id = values.get('dlq_id') ?? ''
        if (seen.has(id)) continue
        seen.add(id)
        yield { values, epoch }
      }
    }
  } finally {
    for (const { deleted } of files) deleted?.dispose()
  }
}

function epochOf(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null
}
