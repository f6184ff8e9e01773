// What the Kafka source is told: plain data and functions, no YAML.

import type { Clock } from '../../runtime/base/clock.ts'
import type { RowTimesOptions } from './decode/row-times.ts'
import type { RecordFormat } from './format.ts'
import type { RegistryProbe } from './registry/schemas.ts'
import type { ClusterOptions } from './wire/options.ts'

export type MetadataColumn =
  | '__topic__'
  | '__partition__'
  | '__offset__'
  | '__timestamp__'
  | '__key__'
  | '__headers__'

/** Where the first start begins to read. */
export type KafkaStart =
  | { readonly at: 'earliest' | 'latest' }
  /** Milliseconds since 1970. */
  | { readonly at: 'timestamp'; readonly timestampMs: number }
  | { readonly at: 'group'; readonly group: string }
  /** By topic and partition; what is not named begins at the earliest record. */
  | {
      readonly at: 'offsets'
      readonly offsets: Readonly<Record<string, Readonly<Record<string, number>>>>
    }

/** delete: of the row with its key. row: the format has a value for null. error: not decodable. */
export type NullValue = 'delete' | 'skip' | 'dlq' | 'row' | 'error'

export interface DeadLetterOptions {
  /** Name of the table, in `namespace`. */
  readonly table: string
  /** Of one epoch; `null`: any number. */
  readonly rowsMax: number | null
  /** Share of the last `DEAD_LETTER_WINDOW` records; `null`: any. */
  readonly ratioMax: number | null
}

export interface KafkaOptions {
  readonly cluster: ClusterOptions
  readonly topics: (topic: string) => boolean
  /** A topic becomes the table of its name there. */
  readonly namespace: string
  /** Positions are reported to it, for those who watch lags; `null`: to none. */
  readonly groupId: string | null
  readonly start: KafkaStart
  readonly isolation: 'read_committed' | 'read_uncommitted'
  readonly nullValue: NullValue
  readonly onRecreate: 'stop' | 'from_beginning'
  readonly metadata: readonly MetadataColumn[]
  /** Names of columns; `null`: what the format knows, if anything. */
  readonly primaryKeys: readonly string[] | null
  /** `null`: keys are not read. */
  readonly key: RecordFormat | null
  readonly value: RecordFormat
  /** Where `key` and `value` get their schemas; [] where they need none. */
  readonly registries: readonly RegistryProbe[]
  /** What a record that cannot be decoded is. */
  readonly onDecodeError: 'stop' | 'dlq'
  /** `null`: there are none. */
  readonly deadLetters: DeadLetterOptions | null
  /** When rows happened; `null`: nobody asks. */
  readonly eventTime: EventTimeRule | null
  /** How often topics and partitions are looked for. */
  readonly refreshMs: number
  readonly clock: Clock
  readonly log: SourceLog
}

export interface EventTimeRule extends RowTimesOptions {
  /**
   * Partitions that are ahead of the others are paused, so they are looked at after so much of
   * their time, in microseconds; `null`: none waits.
   */
  readonly alignUs: number | null
}

/** The two levels that a connector speaks at; keys and values never go in. */
export interface SourceLog {
  info(message: string, facts: Readonly<Record<string, unknown>>): void
  warn(message: string, facts: Readonly<Record<string, unknown>>): void
}
