// The source oracle on real servers: each type's cell is what the mapping says it is.
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { queryMysql, queryPostgres } from '../servers/clients.ts'
import { startMariadb } from '../servers/mariadb.ts'
import type { MysqlServer } from '../servers/mysql-family.ts'
import { startMysql } from '../servers/mysql.ts'
import { startPostgres } from '../servers/postgres.ts'
import type { Cell, TableDump } from './canonical.ts'
import { readMysqlSource, readPostgresSource } from './source.ts'

const TIMEOUT_MS = 600_000

// Column type, SQL value and the cell it must give; each line is a column of a one-row table.
type Case = [type: string, sql: string, cell: Cell]

const postgresCases: Case[] = [
  ['smallint', '-32768', '-32768'],
  ['bigint', '9223372036854775807', '9223372036854775807'],
  ['numeric(10,2)', '1.5', '1.50'],
  ['numeric(38,0)', '99999999999999999999999999999999999999', '9'.repeat(38)],
  ['numeric', '1.500', '1.500'],
  ['real', '0.1', '3dcccccd'],
  ['real', "'-0'", '80000000'],
  ['real', "'NaN'", 'NaN'],
  ['double precision', "'-Infinity'", 'fff0000000000000'],
  ['double precision', "'NaN'", 'NaN'],
  ['double precision', '0.1', '3fb999999999999a'],
  ['boolean', 'true', 'true'],
  ['char(4)', "'a'", 'a   '],
  ['varchar(4)', "'ü'", 'ü'],
  ['text', "''", ''],
  ['mood', "'glad'", 'glad'],
  ['positive', '5', '5'],
  ['bytea', "'\\x00ff'", '00ff'],
  ['bit(3)', "B'101'", '101'],
  ['bit varying(70)', "B'0'", '0'],
  ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['date', "'1969-12-31'", '-1'],
  ['date', "'0001-01-01'", '-719162'],
  ['date', "'infinity'", 'infinity'],
  ['time', "'23:59:59.999999'", '86399999999'],
  ['timestamp', "'1969-12-31 23:59:59.999999'", '-1'],
  ['timestamptz', "'1970-01-01 01:00:00.000005+01'", '5'],
  ['json', `'{"b": 1,  "a": 2}'`, '{"b": 1,  "a": 2}'],
  ['jsonb', `'{"b": 1,  "a": 2}'`, '{"a": 2, "b": 1}'],
  ['int[]', "'{1,NULL,3}'", ['1', null, '3']],
  ['int[]', "'{}'", []],
  ['int[]', 'NULL', null],
  ['text[]', `'{"a\\"b",NULL}'`, ['a"b', null]],
  ['char(2)[]', "'{a}'", ['a ']],
  ['timestamptz[]', "'{1970-01-02 00:00:00+00}'", ['86400000000']],
  ['real[]', "'{1.5,NULL}'", ['3fc00000', null]],
  ['positive[]', "'{5}'", ['5']],
  ['text', 'NULL', null],
  ['real', 'NULL', null],
  ['timestamp', 'NULL', null],
]

const mysqlCases: Case[] = [
  ['tinyint(1)', '1', '1'],
  ['int unsigned', '4294967295', '4294967295'],
  ['int(6) zerofill', '42', '42'],
  ['bigint unsigned', '18446744073709551615', '18446744073709551615'],
  ['bigint', '-9223372036854775808', '-9223372036854775808'],
  ['decimal(10,2)', '-0.07', '-0.07'],
  ['decimal(65,30)', '1', `1.${'0'.repeat(30)}`],
  ['float', '0.1', '3dcccccd'],
  ['float', '16777217', '4b800000'],
  ['double', '0.1', '3fb999999999999a'],
  ['double', '1.7976931348623157e308', '7fefffffffffffff'],
  ['bit(3)', "b'101'", '5'],
  ['bit(64)', '18446744073709551615', '-1'],
  ['char(4)', "'a'", 'a'],
  ['varchar(9)', "'ü€😀'", 'ü€😀'],
  ['varchar(9) character set latin1', "'ü'", 'ü'],
  ['text', "''", ''],
  ["enum('x','y')", "'y'", 'y'],
  ["set('x','y')", "'x,y'", 'x,y'],
  ['binary(3)', "x'01'", '010000'],
  ['varbinary(3)', "x'00ff'", '00ff'],
  ['longblob', "''", ''],
  ['date', "'1969-12-31'", '-1'],
  ['date', "'0001-01-01'", '-719162'],
  ['date', "'0000-00-00'", null],
  ['date', "'2024-00-10'", null],
  ['time(6)', "'-00:00:01.5'", '-1500000'],
  ['time(6)', "'838:59:58.999999'", '3020398999999'],
  ['datetime(6)', "'1969-12-31 23:59:59.999999'", '-1'],
  ['datetime', "'1000-01-01 00:00:00'", '-30610224000000000'],
  ['datetime', "'0000-00-00 00:00:00'", null],
  ['timestamp(6) null', "'1970-01-02 00:00:00.000005'", '86400000005'],
  ['year', '2024', '2024'],
  ['text', 'NULL', null],
  ['float', 'NULL', null],
  ['time', 'NULL', null],
  ['datetime', 'NULL', null],
]

const jsonText = `'{"b": 1,  "a": [2]}'`

for (const major of [15, 18] as const) {
  test.skipIf(!(await available(`postgres${major}`)))(
    `every PostgreSQL ${major} type has its canonical cell`,
    { timeout: TIMEOUT_MS },
    async () => {
      const server = await startPostgres({ major })
      try {
        const uri = server.uri()
        await queryPostgres(
          uri,
          `CREATE TYPE mood AS ENUM ('glad');
           CREATE DOMAIN number AS bigint; CREATE DOMAIN positive AS number CHECK (value > 0);
           ${tableOf('public.cases', postgresCases)}
           CREATE TABLE public.text_only (i interval, a inet, m int)`,
        )
        const dump = await readPostgresSource(uri, 'public.cases')
        expect(byCase(dump, postgresCases)).toEqual(postgresCases)
        await expect(readPostgresSource(uri, 'public.text_only')).rejects.toThrow('asString')
        await queryPostgres(
          uri,
          "INSERT INTO text_only VALUES ('1 day', '::1', 1), (NULL, NULL, 2)",
        )
        const options = { asString: ['i', 'a'], columns: ['m', 'i', 'a'] }
        const texts = await readPostgresSource(uri, 'public.text_only', options)
        expect(texts.rows).toEqual(['["1","1 day","::1"]', '["2",null,null]'])
      } finally {
        await server.stop()
      }
    },
  )
}

test.skipIf(!(await available('mysql')))(
  'every MySQL type has its canonical cell',
  { timeout: TIMEOUT_MS },
  async () => {
    const server = await startMysql({ settings: { sql_mode: '' } })
    // MySQL rounds what does not fit, and its JSON is a type with an order of keys of its own.
    const own: Case[] = [
      ['time', "'-00:00:01.5'", '-2000000'],
      ['json', jsonText, '{"a": [2], "b": 1}'],
    ]
    await expectMysqlCases(server, [...mysqlCases, ...own])
  },
)

test.skipIf(!(await available('mariadb')))(
  'every MariaDB type has its canonical cell',
  { timeout: TIMEOUT_MS },
  async () => {
    const server = await startMariadb({ settings: { sql_mode: '' } })
    // MariaDB truncates what does not fit, and its JSON is the text that was written.
    const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
    const own: Case[] = [
      ['time', "'-00:00:01.5'", '-1000000'],
      ['json', jsonText, jsonText.slice(1, -1)],
      ['uuid', `'${uuid.toUpperCase()}'`, uuid],
    ]
    await expectMysqlCases(server, [...mysqlCases, ...own])
  },
)

async function expectMysqlCases(server: MysqlServer, cases: Case[]): Promise<void> {
  try {
    await queryMysql(server.uri(), `CREATE DATABASE d; ${tableOf('d.cases', cases)}`)
    expect(byCase(await readMysqlSource(server.uri(), 'd.cases'), cases)).toEqual(cases)
  } finally {
    await server.stop()
  }
}

function tableOf(name: string, cases: Case[]): string {
  const columns = cases.map(([type], index) => `c${index} ${type}`)
  const values = cases.map(([, sql]) => sql)
  return `CREATE TABLE ${name} (${columns.join(', ')});
    INSERT INTO ${name} VALUES (${values.join(', ')});`
}

/** The cases with the cells that were read, so that a failure names type and value. */
function byCase(dump: TableDump, cases: Case[]): Case[] {
  const [row = '[]'] = dump.rows
  const cells = JSON.parse(row) as Cell[]
  return cases.map(([type, sql], index) => [type, sql, cells[index] ?? null])
}
