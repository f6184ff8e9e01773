// What `init` writes. Every file that it writes passes lint as it is, and the grants are what a
// pipeline needs and nothing more: no superuser, no locks, no writes to tables.

export type TemplateKind = 'postgres' | 'mysql' | 'kafka'
export type TemplateSink = 'iceberg' | 'parquet' | 'kafka'

/** @param grantsFile  named in the comments */
export function pipelineFileFor(kind: TemplateKind, to: TemplateSink, grantsFile: string): string {
  const source = {
    postgres: postgresSource,
    mysql: mysqlSource,
    kafka: kafkaSource,
  }[kind](grantsFile)
  return `${HEAD}${source}${sinkOf(kind, to)}${to === 'kafka' ? TAIL_OF_TOPICS : TAIL}`
}

function sinkOf(kind: TemplateKind, to: TemplateSink): string {
  if (to === 'kafka')
    return kind === 'kafka' ? TOPICS.replace('mode: upsert', 'mode: append') : TOPICS
  if (kind !== 'kafka') return { iceberg: ICEBERG, parquet: PARQUET }[to]
  if (to === 'parquet') return PARQUET.replace('change_format: changelog', 'change_format: append')
  return ICEBERG.replace('  mode: upsert', '  mode: append')
}

export function grantsFor(kind: TemplateKind): string {
  return { postgres: POSTGRES_GRANTS, mysql: MYSQL_GRANTS, kafka: KAFKA_GRANTS }[kind]
}

/** Ending of the file with what an administrator runs. */
export function grantsEnding(kind: TemplateKind): string {
  return kind === 'kafka' ? '.sh' : '.sql'
}

const HEAD = `# A Millrace pipeline. "millrace lint" checks this file, "millrace check" connects as well.
# yaml-language-server: $schema=https://millrace.dev/schema/millrace.v1.json
version: 1
# State, slot and metrics are kept under this name; do not change it later.
name: shop
`

function postgresSource(sqlFile: string): string {
  return `source:
  type: postgres
  # The user that ${sqlFile} creates. TLS verifies the server unless it is this machine;
  # for a private authority: tls: { mode: verify-full, ca: /etc/ssl/db-ca.pem }
  uri: postgresql://millrace@127.0.0.1:5432/shop
  # Never in this file: { from_env: NAME } or { from_file: PATH }.
  password: { from_env: MILLRACE_PG_PASSWORD }
  # Globs of schema.table, or /regular expressions/ of the whole name. Case is exact.
  tables: ["public.*"]
  # tables_exclude: ["public.tmp_*"]
  # columns_exclude: ["public.users.password_hash"]
  # initial: the rows that exist, then every change. latest: changes from now on.
  # backfill_only: the rows that exist, then end.
  startup: { mode: initial }
  # Readers of the first copy, and the rows that each reads at a time.
  backfill: { parallelism: 2, chunk_rows: 50000 }
  # A stopped pipeline makes the server keep its log: warn from half of this.
  max_slot_lag: 20GiB
`
}

function mysqlSource(sqlFile: string): string {
  return `source:
  # MySQL and MariaDB; the server says which it is.
  type: mysql
  # The user that ${sqlFile} creates. TLS verifies the server unless it is this machine;
  # for a private authority: tls: { mode: verify-full, ca: /etc/ssl/db-ca.pem }
  uri: mysql://millrace@127.0.0.1:3306
  # Never in this file: { from_env: NAME } or { from_file: PATH }.
  password: { from_env: MILLRACE_MYSQL_PASSWORD }
  # Globs of database.table, or /regular expressions/ of the whole name. Case is exact.
  tables: ["shop.*"]
  # tables_exclude: ["shop.tmp_*"]
  # columns_exclude: ["shop.users.password_hash"]
  # initial: the rows that exist, then every change. latest: changes from now on.
  # backfill_only: the rows that exist, then end.
  startup: { mode: initial }
  # Readers of the first copy, and the rows that each reads at a time.
  backfill: { parallelism: 2, chunk_rows: 50000 }
  # Id of this log reader among the replicas of the server; random and probed without it.
  # server_id: 5400
`
}

function kafkaSource(grantsFile: string): string {
  return `source:
  type: kafka
  # Some brokers; the others are learned from them.
  brokers: ["127.0.0.1:9092"]
  # TLS verifies the brokers unless all of them are this machine; for a private authority:
  # tls: { mode: verify-full, ca: /etc/ssl/kafka-ca.pem }
  # The user of ${grantsFile}; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER with a token.
  # sasl:
  #   mechanism: SCRAM-SHA-512
  #   username: millrace
  #   password: { from_env: MILLRACE_KAFKA_PASSWORD }
  # Names, globs, or /regular expressions/ of the whole name. A topic becomes the table of its
  # name in this namespace.
  topics: ["clicks"]
  # topics_exclude: ["clicks_tmp"]
  namespace: kafka
  # Where the first start begins; later ones go on from the checkpoint: earliest, latest,
  # { timestamp: 2026-01-31T00:00:00Z }, { group: NAME } or { offsets: { clicks: { 0: 1200 } } }.
  start: earliest
  # Positions are reported to this group, so that other tools see the lag; nothing reads them.
  # group_id: millrace-shop
  # raw: the bytes as they are, in the columns key and value; \`as: text\` makes them strings.
  value: { format: raw }
  # Facts of each record, as columns of these names.
  metadata: [__partition__, __offset__, __timestamp__]
  # The columns that tell rows apart; \`mode: upsert\` needs them.
  # primary_keys: [key]
`
}

const ICEBERG = `sink:
  type: iceberg
  # SQLite file of the catalog, four slashes before a full path; pyiceberg and Spark open it too.
  catalog: { type: sql, uri: "sqlite:///lake/catalog.db", name: lake }
  # Folder of the tables. Paths without a leading slash begin at the folder of this file.
  warehouse: ./lake/warehouse
  # upsert: each table as the source has it now. append: rows as they are inserted.
  # changelog: every change, with _op, _pos, _ts and _tx.
  mode: upsert
  # Tables keep their partitioning for life:
  # partition_by: { shop.orders: ["day(created_at)", "bucket[16](id)"] }
  # Rows wait for others in \`mode: append\`, so that files become larger; 0s shows each checkpoint:
  # max_freshness: 60s
`

const PARQUET = `sink:
  type: parquet
  # Folder of the Parquet files, of this pipeline alone. Paths without a leading slash begin at the
  # folder of this file.
  path: ./lake/files
  # Folders of each table, with {table} and {namespace}; below them partitions, by columns and
  # their year(), month(), day(), hour(), bucket[N]() and truncate[N](). It stays for life.
  # layout: "{table}/dt={day(created_at)}/hr={hour(created_at)}/"
  layout: "{table}/"
  # Where days of columns with a time zone begin: time_zone: Europe/Berlin
  # changelog: every change, with _op, _pos, _ts and _tx. append: rows as they are inserted.
  change_format: changelog
`

const TOPICS = `sink:
  type: kafka
  # Some brokers; the others are learned from them.
  brokers: ["127.0.0.1:9092"]
  # TLS verifies the brokers unless all of them are this machine; for a private authority:
  # tls: { mode: verify-full, ca: /etc/ssl/kafka-ca.pem }
  # sasl:
  #   mechanism: SCRAM-SHA-512
  #   username: millrace
  #   password: { from_env: MILLRACE_SINK_PASSWORD }
  # The user needs WRITE, READ and DESCRIBE on the topics, and WRITE and DESCRIBE on transactional
  # ids that begin with millrace-shop; "millrace check" prints what is missing.
  topic: "{namespace}.{table}"
  # Topics that are not there are made; false: by others.
  create_topics: { partitions: 3 }
  # upsert: every change, under the primary key. append: rows as they are inserted.
  mode: upsert
  # none: a value is the row, and a delete has none. debezium: before, after, op and source.
  envelope: none
  compression: lz4
  # Longer than a pipeline may stand still between two checkpoints, or an epoch is written again.
  transaction_timeout: 15m
`

const TAIL = `pipeline:
  checkpoint:
    # Every interval the lake shows what has happened: shorter is fresher and makes more files.
    interval: 10s
    # Positions and indexes. Losing this folder means reading the source again.
    store: ./lake/state
  # Writer threads; cores - 1 without it.
  # parallelism: 2
`

const TAIL_OF_TOPICS = TAIL.slice(0, TAIL.indexOf('  # Writer threads'))
  .replace('the lake shows', 'readers see')
  .replace('fresher and makes more files', 'fresher and makes more transactions')
  .replace('Positions and indexes', 'Positions')
  .replace('./lake/state', './state')

// A publication of a whole schema would make the server refuse updates of tables that have no
// primary key, the application's own updates, so it lists the tables that have one.
const POSTGRES_GRANTS = `-- Run in database "shop" as a superuser; in psql: \\c shop
-- From PostgreSQL 16 on a role will do that has CREATEROLE and REPLICATION and owns the tables.
-- The server needs wal_level = logical: ALTER SYSTEM SET wal_level = 'logical'; then restart it.
CREATE ROLE millrace LOGIN REPLICATION PASSWORD 'choose-one';
GRANT CONNECT ON DATABASE shop TO millrace;
GRANT USAGE ON SCHEMA public TO millrace;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO millrace;
-- For tables that this role will create; for those of others: ... PRIVILEGES FOR ROLE name IN ...
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO millrace;
-- Only the owner of a table can publish it, so this is done here: all tables with a primary key.
-- For later ones: ALTER PUBLICATION millrace_shop ADD TABLE ONLY ...;
DO $$
DECLARE
  tables text;
BEGIN
  SELECT string_agg('ONLY ' || t.oid::regclass::text, ', ' ORDER BY t.relname) INTO tables
  FROM pg_class t
  WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p')
    AND NOT t.relispartition
    AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary);
  EXECUTE format('CREATE PUBLICATION millrace_shop %s WITH (publish_via_partition_root = true)',
    'FOR TABLE ' || tables);
END $$;
`

const KAFKA_GRANTS = `# Run by an administrator of the cluster, where it has an authorizer (ACLs).
kafka-acls.sh --bootstrap-server 127.0.0.1:9092 --add --allow-principal User:millrace \\
  --operation Describe --operation DescribeConfigs --operation Read --topic clicks
# Only with group_id, or with start: { group: NAME }.
kafka-acls.sh --bootstrap-server 127.0.0.1:9092 --add --allow-principal User:millrace \\
  --operation Read --group millrace-shop
`

const MYSQL_GRANTS = `-- Run as an administrator. The server needs binlog_format = ROW,
-- binlog_row_image = FULL, binlog_row_metadata = FULL, and on MySQL gtid_mode = ON;
-- "millrace check" prints what is not so.
CREATE USER 'millrace'@'%' IDENTIFIED BY 'choose-one';
GRANT SELECT ON shop.* TO 'millrace'@'%';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'millrace'@'%';
`
