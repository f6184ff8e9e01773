// The one table of codes: `millrace explain CODE` prints from it, the command line takes its exit
// code from it, and the retry loops take their action from it.
// tidy: table, an entry a code

/** Who must act: nobody yet (`retry`), the operator, or we (`bug`). */
export type ErrorAction = 'retry' | 'operator' | 'bug'

export interface ErrorSpec {
  readonly code: `MR-${number}`
  readonly action: ErrorAction
  /** Of `retry`: attempts without progress after which it ends the process; none: never. */
  readonly retriesMax?: number
  /** Exit code of the process when this error ends it. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6
  /** One sentence: what it means. */
  readonly meaning: string
  /** What to do, as sentences; commands in backticks. */
  readonly hint: string
}

/**
 * 1xxx configuration · 2xxx connection and privileges · 3xxx source log · 41xx-44xx expressions,
 * operators, rows · 45xx formats · 48xx trace · 5xxx lake · 6xxx Kafka.
 */
export const errorCodes = {
  CONFIG_FILE: {
    code: 'MR-1001',
    action: 'operator',
    exit: 2,
    meaning: 'The pipeline file cannot be read, or it is not YAML.',
    hint: 'Correct the file at the place that the message names, then run `millrace lint FILE`.',
  },
  CONFIG_UNKNOWN_KEY: {
    code: 'MR-1002',
    action: 'operator',
    exit: 2,
    meaning: 'The pipeline file has a key that Millrace does not know, or one key twice.',
    hint: 'Use the nearest name that the message offers; `millrace schema` prints all keys.',
  },
  CONFIG_VALUE: {
    code: 'MR-1003',
    action: 'operator',
    exit: 2,
    meaning: 'A value of the pipeline file has the wrong type or lies outside its range.',
    hint: 'Correct the value; `millrace schema` prints what each key takes.',
  },
  CONFIG_VARIABLE: {
    code: 'MR-1004',
    action: 'operator',
    exit: 2,
    meaning: 'The pipeline file names an environment variable or a secret file that is not there.',
    hint: 'Set the variable, or give a default as `${NAME:default}`.',
  },
  CONFIG_UNSUPPORTED: {
    code: 'MR-1005',
    action: 'operator',
    exit: 2,
    meaning: 'The pipeline file asks for something that this version does not do.',
    hint: 'Remove the key or take a value that the message names.',
  },
  CONFIG_SECRET_LITERAL: {
    code: 'MR-1007',
    action: 'operator',
    exit: 2,
    meaning: 'A password stands in the pipeline file in the clear.',
    hint: 'Write `password: { from_env: NAME }` or `{ from_file: PATH }` instead.',
  },
  CONFIG_TLS_WEAK: {
    code: 'MR-1009',
    action: 'operator',
    exit: 2,
    meaning: 'The connection to another host is not verified: somebody between could read it.',
    hint: 'Set `tls: { mode: verify-full, ca: PATH }`, which is the default.',
  },
  NO_TABLES: {
    code: 'MR-1008',
    action: 'operator',
    exit: 3,
    meaning: 'No table of the source matches `source.tables`.',
    hint: 'Run `millrace discover FILE` to see the tables of the source.',
  },
  CONNECT_FAILED: {
    code: 'MR-2001',
    action: 'retry',
    exit: 3,
    meaning: 'The server cannot be reached.',
    hint: 'Check host, port, firewall and that the server runs; Millrace retries while it runs.',
  },
  AUTH_FAILED: {
    code: 'MR-2002',
    action: 'operator',
    exit: 3,
    meaning: 'The server refused the user name or the password.',
    hint: "Correct `username` and `password`, or the server's own access rules.",
  },
  DATABASE_MISSING: {
    code: 'MR-2003',
    action: 'operator',
    exit: 3,
    meaning: 'The database that the configuration names does not exist on the server.',
    hint: 'Correct `database`, or create it.',
  },
  SERVER_UNSUITABLE: {
    code: 'MR-2004',
    action: 'operator',
    exit: 3,
    meaning: 'The server is of another kind or version, or a setting forbids reading its log.',
    hint: 'Run `millrace check FILE`: it prints the SQL that changes each setting.',
  },
  PRIVILEGE_MISSING: {
    code: 'MR-2005',
    action: 'operator',
    exit: 3,
    meaning: 'The user lacks a privilege.',
    hint: 'Run `millrace check FILE`: it prints the GRANT that is missing.',
  },
  TABLE_MISSING: {
    code: 'MR-2006',
    action: 'operator',
    exit: 3,
    meaning: 'A table or column that the configuration names does not exist in the source.',
    hint: 'Correct the name; `millrace discover FILE` lists what exists.',
  },
  TLS_FAILED: {
    code: 'MR-2007',
    action: 'operator',
    exit: 3,
    meaning: 'The connection could not be secured as the configuration demands.',
    hint: "Give the server's CA as `tls: { ca: PATH }`, or choose another `tls.mode`.",
  },
  TABLE_WITHOUT_KEY: {
    code: 'MR-2008',
    action: 'operator',
    exit: 3,
    meaning: 'A table has no key that the log carries, so `upsert` cannot tell its rows apart.',
    hint: 'Add a primary key, exclude the table, or use `mode: changelog`.',
  },
  TYPE_UNSUPPORTED: {
    code: 'MR-2009',
    action: 'operator',
    exit: 3,
    meaning: 'A column has a type that the lake cannot hold.',
    hint: 'Exclude the column by `source.columns_exclude`, or map it to text where offered.',
  },
  TABLE_REPLICA_IDENTITY: {
    code: 'MR-2010',
    action: 'operator',
    exit: 3,
    meaning: 'The log does not carry what identifies the rows of a table.',
    hint: 'Run the ALTER TABLE ... REPLICA IDENTITY that `millrace check FILE` prints.',
  },
  VALUE_UNREPRESENTABLE: {
    code: 'MR-3001',
    action: 'operator',
    exit: 1,
    meaning: 'A row has a value that its lake type cannot hold (infinity, a zero date, NaN, ...).',
    hint: 'Correct the row at the source, then run `millrace resync FILE --table TABLE`.',
  },
  LOG_CORRUPT: {
    code: 'MR-3002',
    action: 'operator',
    exit: 1,
    meaning: "Bytes of the source log fail their checksum or break the protocol's grammar.",
    hint: "Check the network and the server's disk; a restart reads the same place again.",
  },
  LOG_UNKNOWN_EVENT: {
    code: 'MR-3003',
    action: 'operator',
    exit: 1,
    meaning: 'The source log has an event that this version cannot read and must not skip.',
    hint: 'Upgrade Millrace, or switch off the server feature that the message names.',
  },
  LOG_INCIDENT: {
    code: 'MR-3004',
    action: 'operator',
    exit: 4,
    meaning: 'The server says that events are missing in its log.',
    hint: 'Run `millrace resync FILE --all` to compare all tables with the source again.',
  },
  LOG_STATEMENT: {
    code: 'MR-3005',
    action: 'operator',
    exit: 1,
    meaning: 'The log carries a change as a statement instead of rows.',
    hint: 'Set `binlog_format=ROW` for all sessions, then `millrace resync FILE --table TABLE`.',
  },
  DDL_UNMAPPABLE: {
    code: 'MR-3006',
    action: 'operator',
    exit: 1,
    meaning: 'A table was changed in a way that cannot be carried over without reading it again.',
    hint: 'Run `millrace resync FILE --table TABLE`.',
  },
  KEY_CHANGED: {
    code: 'MR-3007',
    action: 'operator',
    exit: 1,
    meaning: 'The key of a table changed.',
    hint: 'Run `millrace resync FILE --table TABLE`.',
  },
  UNCHANGED_VALUE_MISSING: {
    code: 'MR-3008',
    action: 'operator',
    exit: 1,
    meaning: 'An update left out a large value that did not change, and no copy of it is known.',
    hint: 'Run `ALTER TABLE ... REPLICA IDENTITY FULL`, then `millrace resync FILE --table TABLE`.',
  },
  SLOT_MISSING: {
    code: 'MR-3010',
    action: 'operator',
    exit: 4,
    meaning:
      'The replication slot no longer exists or was invalidated: changes are lost to the log.',
    hint: 'Run `millrace resync FILE --all`: it reads the source once and writes the differences.',
  },
  SLOT_IN_USE: {
    code: 'MR-3011',
    action: 'operator',
    exit: 6,
    meaning: 'Another process reads from the replication slot.',
    hint: 'Stop the other reader; each pipeline needs a slot of its own.',
  },
  LOG_GAP: {
    code: 'MR-3012',
    action: 'operator',
    exit: 4,
    meaning: 'The source no longer holds its log from the position where Millrace stopped.',
    hint: 'Run `millrace resync FILE --all`: it reads the source once and writes the differences.',
  },
  SOURCE_CHANGED: {
    code: 'MR-3013',
    action: 'operator',
    exit: 4,
    meaning: 'The server is not the one that the checkpoint was taken from.',
    hint: 'Point the configuration to the old server, or run `millrace resync FILE --all`.',
  },
  SOURCE_REWOUND: {
    code: 'MR-3014',
    action: 'operator',
    exit: 4,
    meaning: 'The server lacks changes that Millrace has already read from it.',
    hint: 'Find out which server lost them; then run `millrace resync FILE --all`.',
  },
  LOG_UNDECODABLE: {
    code: 'MR-3015',
    action: 'retry',
    retriesMax: 6,
    exit: 4,
    meaning: 'The server failed while it decoded its own log, several times at the same place.',
    hint: 'Look into the log of the server; `millrace resync FILE --all` begins behind that place.',
  },
  SCHEMA_MOVED: {
    code: 'MR-3020',
    action: 'retry',
    exit: 1,
    meaning: 'A table changed its structure while a backfill chunk was being read.',
    hint: 'Nothing: the chunk is read again once the log has shown the change.',
  },
  EXPRESSION_INVALID: {
    code: 'MR-4101',
    action: 'operator',
    exit: 2,
    meaning: 'An expression cannot be read, names what does not exist, or joins types that differ.',
    hint: 'Correct the expression at the place shown; `millrace explain-expr` prints its types.',
  },
  OPERATOR_REFUSED: {
    code: 'MR-4103',
    action: 'operator',
    exit: 2,
    meaning: 'An entry of `transform` cannot be applied to this table without losing rows.',
    hint: 'Change the entry as the message says.',
  },
  SCRIPT_INVALID: {
    code: 'MR-4106',
    action: 'operator',
    exit: 2,
    meaning: 'The file of a `script` cannot be loaded, or does not export what the entry names.',
    hint: 'Correct the file; nothing was read from the source.',
  },
  ROUTE_TAKEN: {
    code: 'MR-4105',
    action: 'operator',
    exit: 2,
    meaning:
      'Two tables are to be written under one name, or united without a key that tells them apart.',
    hint:
      'Correct `route`, so that each table has a name of its own; or make them one table by ' +
      '`union: widen` in its entries, with a column of `transform` in the key (`__table__ AS shard`, ' +
      '`primary_keys: [shard, ...]`); or leave one out by `source.tables_exclude`.',
  },
  EXPRESSION_FAILED: {
    code: 'MR-4201',
    action: 'operator',
    exit: 4,
    meaning: 'An expression has no value for a row: a number is too large, a text is no date.',
    hint:
      'Write `TRY_CAST`, `try(...)` or `on_error: null` for null instead, `on_error: dlq` to set such ' +
      'rows aside, or correct the row at its source; a table that is parked comes back by `millrace resync FILE --table TABLE`.',
  },
  SCRIPT_FAILED: {
    code: 'MR-4202',
    action: 'operator',
    exit: 4,
    meaning: 'A script threw, gave what its table cannot hold, or gave no answer in time.',
    hint:
      'Correct the script or the row, or write `on_error: null`, which keeps the row as it came; a ' +
      'table that is parked comes back by `millrace resync FILE --table TABLE`.',
  },
  DEAD_LETTERS_MAX: {
    code: 'MR-4203',
    action: 'operator',
    exit: 1,
    meaning:
      'More rows or records became dead letters than `on_error` allows; nothing of it is committed.',
    hint: 'Find out what changed at the source; then raise `on_error.max_dlq_rows` or the ratio.',
  },
  EVENT_TIME_MISSING: {
    code: 'MR-4401',
    action: 'operator',
    exit: 1,
    meaning: 'A row has no value where `source.event_time` looks for the time when it happened.',
    hint:
      'Name a field that every record has, or leave `field` out for the timestamp of the record. ' +
      '`on_error: { decode: dlq }` sets such records aside and goes on.',
  },
  EVENT_TIME_FUTURE: {
    code: 'MR-4402',
    action: 'operator',
    exit: 1,
    meaning: 'A row claims to have happened later than now and `source.event_time.max_future`.',
    hint: 'Look at the clock of its producer; `future: pass` writes such rows with the others.',
  },
  ROW_LATE: {
    code: 'MR-4403',
    action: 'operator',
    exit: 1,
    meaning: 'A row came after its partition was announced as whole, and `late` keeps it out.',
    hint:
      'Nothing, if that is what `late: dlq` is for. Else raise `source.event_time.max_out_of_order` ' +
      'or `delay`, or take `late: reopen`.',
  },
  RECORD_CORRUPT: {
    code: 'MR-4501',
    action: 'operator',
    exit: 1,
    meaning: 'The bytes of a record are not what its format and its schema say.',
    hint:
      'Find the producer of the record at the offset that the message names. ' +
      '`on_error: { decode: dlq }` sets such records aside and goes on.',
  },
  FORMAT_TYPE_CHANGED: {
    code: 'MR-4502',
    action: 'operator',
    exit: 1,
    meaning: 'A newer schema of a topic gives a column a type that the lake cannot widen it to.',
    hint: 'Give the field another name in the new schema, then resync the table.',
  },
  SCHEMA_UNKNOWN: {
    code: 'MR-4503',
    action: 'operator',
    exit: 1,
    meaning: 'A record names a schema that the registry does not have, or that we cannot read.',
    hint: 'Check that `registry.url` is the registry that the producer uses.',
  },
  FORMAT_TYPES_MISSING: {
    code: 'MR-4504',
    action: 'operator',
    exit: 1,
    meaning:
      'Records of a topic do not say the types of their columns, nor does the configuration.',
    hint:
      'Declare them as `source.value.columns`, or set `value.converter.schemas.enable=true` at the ' +
      'connector that writes the topic.',
  },
  RECORD_NULL: {
    code: 'MR-4510',
    action: 'operator',
    exit: 1,
    meaning: 'A record has no value, or no key, and the configuration does not say what it is.',
    hint: 'Set `source.null_value` to delete, skip or dlq; or correct the producer.',
  },
  NOTIFICATION_FAILED: {
    code: 'MR-4701',
    action: 'retry',
    exit: 1,
    meaning: 'Somebody who is to be told of a partition did not take the message.',
    hint:
      'Look at the receiver that the message names. It is told again until it takes the message, ' +
      'in order; nothing else waits for it.',
  },
  TRACE_BROKEN: {
    code: 'MR-4801',
    action: 'bug',
    exit: 1,
    meaning: 'Rows read and rows written do not add up, so nothing was committed.',
    hint: 'Keep the state folder and the log and report it.',
  },
  TIMELINE_AHEAD: {
    code: 'MR-5001',
    action: 'operator',
    exit: 4,
    meaning: 'The lake table holds commits of this pipeline that the checkpoint does not know.',
    hint: 'Restore the state folder, or drop the table, or run `millrace resync FILE --all`.',
  },
  TARGET_DIVERGED: {
    code: 'MR-5002',
    action: 'operator',
    exit: 4,
    meaning: 'Somebody else removed or rewrote files of the lake table, or rolled it back.',
    hint: 'Run `millrace resync FILE --table TABLE`.',
  },
  SCHEMA_DIVERGED: {
    code: 'MR-5003',
    action: 'operator',
    exit: 4,
    meaning: 'Somebody else changed the schema of the lake table.',
    hint: 'Undo the change in the lake, or run `millrace resync FILE --table TABLE`.',
  },
  TABLE_IDENTITY_CHANGED: {
    code: 'MR-5004',
    action: 'operator',
    exit: 4,
    meaning: 'The lake table was dropped, or dropped and created again, by somebody else.',
    hint: 'Run `millrace resync FILE --table TABLE` to fill it anew.',
  },
  FENCED: {
    code: 'MR-5005',
    action: 'operator',
    exit: 6,
    meaning: 'Another instance of this pipeline has taken over.',
    hint: 'Run one instance only; this one has stopped and has written nothing since.',
  },
  ALREADY_RUNNING: {
    code: 'MR-5006',
    action: 'operator',
    exit: 6,
    meaning: 'Another instance of this pipeline holds the lock of the state folder.',
    hint: 'Stop the other instance, or give this pipeline a checkpoint store of its own.',
  },
  CHECKPOINT_CORRUPT: {
    code: 'MR-5007',
    action: 'operator',
    exit: 4,
    meaning: 'No copy of a checkpoint that may be used passes its checksum.',
    hint: 'Restore the state folder from a backup, or run `millrace resync FILE --all`.',
  },
  STORAGE_FULL: {
    code: 'MR-5008',
    action: 'operator',
    exit: 1,
    meaning: 'The disk of the warehouse or of the state folder is full.',
    hint: 'Free space and start again; the last checkpoint is intact.',
  },
  STORAGE_FAILED: {
    code: 'MR-5009',
    action: 'operator',
    exit: 1,
    meaning: 'A file or folder of the warehouse or the state cannot be read or written.',
    hint: 'Check that the folder exists and that this user may write to it.',
  },
  CATALOG_UNAVAILABLE: {
    code: 'MR-5010',
    action: 'retry',
    exit: 1,
    meaning: 'The catalog does not answer.',
    hint:
      'Check the catalog. A pipeline that runs goes on reading and retries the commit; ' +
      'one that has ended commits first at its next start.',
  },
  CATALOG_CONFLICT: {
    code: 'MR-5011',
    action: 'retry',
    exit: 1,
    meaning: 'Another writer committed to the table first.',
    hint: 'Nothing: the commit is planned anew on the new state of the table.',
  },
  LAKE_FORMAT: {
    code: 'MR-5012',
    action: 'operator',
    exit: 4,
    meaning: 'A file of the lake table is damaged or uses a feature that this version cannot read.',
    hint: 'Read the message for the file; restore it, or run `millrace resync FILE --table TABLE`.',
  },
  TABLE_PARKED: {
    code: 'MR-5013',
    action: 'operator',
    exit: 4,
    meaning: 'The command needs a table that is parked.',
    hint: 'Run `millrace resync FILE --table TABLE`.',
  },
  VERIFY_MISMATCH: {
    code: 'MR-5020',
    action: 'operator',
    exit: 5,
    meaning: 'Source and lake differ.',
    hint: 'Run `millrace resync FILE --table TABLE`, and report how it came about.',
  },
  STATE_MISSING: {
    code: 'MR-5021',
    action: 'operator',
    exit: 4,
    meaning: 'There is no checkpoint of this pipeline in the store.',
    hint: 'Run `millrace run FILE` first, or correct `pipeline.checkpoint.store`.',
  },
  POSITION_GONE: {
    code: 'MR-6002',
    action: 'operator',
    exit: 4,
    meaning: 'A topic no longer holds the records from the position where Millrace stopped.',
    hint:
      'What is gone cannot be read again. Run a pipeline of another name over what the topic still ' +
      'holds, and keep records longer than a pipeline may stand still.',
  },
  TRANSACTION_ABORTED: {
    code: 'MR-6003',
    action: 'retry',
    retriesMax: 5,
    exit: 1,
    meaning: 'The cluster aborted the transaction of an epoch before it was committed.',
    hint:
      'Nothing is lost: the epoch is read again from the checkpoint before. If it happens again, ' +
      'raise `sink.transaction_timeout` above the time from one checkpoint to the next, and run ' +
      'one instance only.',
  },
  TRANSACTION_HANGING: {
    code: 'MR-6004',
    action: 'operator',
    exit: 4,
    meaning: 'A transaction is complete, and the log of a partition has no end of it.',
    hint:
      'Readers of committed records wait there. `kafka-transactions.sh abort` ends it; then drop ' +
      'the pipeline and copy its tables anew, since the records of that partition are lost.',
  },
  TRANSACTION_UNKNOWN: {
    code: 'MR-6005',
    action: 'operator',
    exit: 4,
    meaning: 'Whether the last epoch was committed to Kafka cannot be found out any more.',
    hint:
      'The pipeline stood still for longer than the topic keeps its records. Run `millrace drop ' +
      'FILE`, and start again with new topics.',
  },
  RECORD_REFUSED: {
    code: 'MR-6006',
    action: 'operator',
    exit: 4,
    meaning: 'The brokers refuse a record: too large, or without a key in a compacted topic.',
    hint: 'Raise `max.message.bytes` of the topic, or change its `cleanup.policy`, and start again.',
  },
  TOPIC_MISSING: {
    code: 'MR-6007',
    action: 'operator',
    exit: 3,
    meaning: 'A topic of the sink does not exist, or cannot be made.',
    hint: 'Create it, or set `sink.create_topics: true` and grant CREATE.',
  },
  SCHEMA_REFUSED: {
    code: 'MR-6008',
    action: 'operator',
    exit: 4,
    meaning: 'The schema registry refuses the schema of a table.',
    hint:
      'Nothing is lost: rows wait in the source. Allow the change, by the compatibility of the ' +
      'subject in the registry, or send the table into another topic by `route`; start again.',
  },
  INTERNAL: {
    code: 'MR-9001',
    action: 'bug',
    exit: 1,
    meaning: 'Millrace met a state that its authors thought impossible, and stopped.',
    hint: 'Nothing was lost: the last checkpoint is intact. Report it with the log.',
  },
} as const satisfies Record<string, ErrorSpec>
