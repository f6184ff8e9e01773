// The public names, and the only barrel: what somebody needs who writes a source or a sink, or runs
// a pipeline from a program of their own. Connectors never import it, and neither does the engine.

// Errors, time, log
export { errorCodes } from './base/error-codes.ts'
export { errorOf, PipelineError, recordOf } from './base/errors.ts'
export type { ErrorAction, ErrorSpec } from './base/error-codes.ts'
export type { ErrorDetail, ErrorName, ErrorRecord } from './base/errors.ts'
export { systemClock, type Clock } from './base/clock.ts'
export { createLog, LOG_LEVELS, silentLog } from './base/log.ts'
export type { Log, LogFacts, LogLevel, LogOptions } from './base/log.ts'

// What travels: types, columns, batches, structures, positions
export { formatType, layoutOf, sameType } from './data/type.ts'
export type { ColumnType, Layout, ListType, PrimitiveType } from './data/type.ts'
export { BytesBuilder, columnBuilder, FixedBuilder, ListBuilder } from './data/column/builder.ts'
export type { ColumnBuilder } from './data/column/builder.ts'
export { isNull, isUnchanged, type Column } from './data/column/column.ts'
export { BATCH_AGE_MS_MAX, BATCH_BYTES_MAX, BATCH_ROWS_MAX, Op } from './data/batch.ts'
export type { ChangeBatch, Transactions } from './data/batch.ts'
export type { Control, Progress, SourceElement } from './data/element.ts'
export { scanEventTimes, TIME_KINDS, TimeScan, type EventTimes } from './data/event-times.ts'
export type { Literal } from './data/literal.ts'
export { orderOf, type Order, type Position } from './data/position.ts'
export { tableKey } from './data/schema.ts'
export type { ExistingValue, Field, SourceColumn, SourceTable, TableSchema } from './data/schema.ts'

// The ports
export type * from './source.ts'
export type * from './sink.ts'
export type * from './object-store.ts'
export type * from './catalog.ts'

// Scripts of pipelines
export { batchOperator, rowOperator } from './script.ts'
export type * from './script.ts'

// Pipeline files
export { lintFile, loadPipeline, type LoadOptions } from './job/config/load.ts'
export type * from './job/config/pipeline-config.ts'
export { formatLintMessage, type LintMessage } from './job/config/problems.ts'
export { pipelineJsonSchema } from './job/config/schema.ts'
export type { Secret } from './job/config/secret.ts'
export { columnSelector, tableSelector } from './job/config/selector.ts'

// Running a pipeline: the run, and the tasks that its threads begin with
export { runPipeline } from './job/run.ts'
export type { PipelineControl, PipelineParts, WriterPlan } from './job/run.ts'
export type { ExecutionEnd } from './job/execution.ts'
export type { RunPhase, RunSnapshot, TableSnapshot } from './job/run-state.ts'
export type * from './job/messages.ts'
export { SourceTask, type SourceTaskOutput } from './job/source-task.ts'
export { WriterTask, type WriterTaskOutput } from './job/writer-task.ts'
export { spawnWorker, type WorkerPort } from './job/worker-port.ts'
export { ChannelReceiver, ChannelSender } from './flow/channel.ts'
export { InputGate } from './flow/gate.ts'
