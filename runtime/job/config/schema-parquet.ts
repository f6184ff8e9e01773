// The keys of `sink: { type: parquet }`: a directory of Parquet files without a catalog.

import { z } from 'zod'
import { isTimeZone } from '../../data/time-zone.ts'
import { size, text } from './schema-values.ts'

export const CHANGE_FORMATS_OF_FILES = ['append', 'changelog'] as const

const MIB = 1024 * 1024
const ZONE = 'a time zone such as Europe/Berlin'

export const parquetSink = z.strictObject({
  type: z.literal('parquet').describe('A directory of Parquet files, without a catalog.'),
  path: text('a folder such as ./lake').describe('Folder of the directory; one pipeline each.'),
  layout: text('a layout such as "{table}/dt={day(ts)}/"')
    .prefault('{table}/')
    .describe(
      'Folders of a table: names with {table} and {namespace}, then partitions as ' +
        'name={day(column)}, with the transforms of Iceberg. A directory keeps it for life.',
    ),
  time_zone: z
    .string(ZONE)
    .refine(isTimeZone, ZONE)
    .prefault('UTC')
    .describe('IANA name: where hours and days of columns with a time zone begin.'),
  change_format: z
    .enum(CHANGE_FORMATS_OF_FILES)
    .optional()
    .describe(
      'append: rows inserted. changelog: every change, with _op, _pos, _ts and _tx. Default: ' +
        'changelog for databases, append for topics.',
    ),
  format: z
    .strictObject({
      compression: z.enum(['zstd', 'gzip', 'none']).prefault('zstd'),
      row_group: size(MIB).prefault('128MiB').describe('Bytes of a row group before encoding.'),
      page_index: z
        .literal(true, 'true: what readers skip pages by is always written')
        .optional()
        .describe('Column and offset indexes; always written.'),
    })
    .prefault({}),
  target_file_size: size(MIB).prefault('256MiB').describe('A file that is this large is ended.'),
  manifest: z
    .boolean()
    .prefault(true)
    .describe('_millrace/manifest/EPOCH.json for each epoch: what readers may take as whole.'),
})

export type ParquetSinkInput = z.output<typeof parquetSink>
