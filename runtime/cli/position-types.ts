// How the places in a source's log are written, by the kind of source.

import type { PositionType } from '../console/status.ts'
import type { SourceConfig } from '../job/config/pipeline-config.ts'

export const POSITION_TYPES = {
  postgres: 'lsn',
  mysql: 'binlog',
  kafka: 'records',
} as const satisfies Record<SourceConfig['type'], PositionType>
