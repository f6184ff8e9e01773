// What a QUERY_EVENT says of its session, from events as MySQL 9.7 and MariaDB 10.11 wrote them.

import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import { Cursor } from '../../connectors/mysql/decode/cursor.ts'
import type { EventHeader, QueryEvent } from '../../connectors/mysql/decode/events.ts'
import { readQuery } from '../../connectors/mysql/decode/query-event.ts'

const TEXT = 'ALTER TABLE t ADD b timestamp'

/** @param status  status variables, in hexadecimal */
function query(status: string): QueryEvent {
  const variables = Buffer.from(status, 'hex')
  const fixed = Buffer.alloc(13)
  fixed.writeUInt16LE(variables.length, 11)
  const bytes = Buffer.concat([fixed, variables, Buffer.from(`\0${TEXT}`)])
  return readQuery({} as EventHeader, new Cursor(bytes, 0, bytes.length), 'plain')
}

/** @param mode  the sql_mode, eight bytes in hexadecimal */
function mysql(mode: string, timestamps: string): QueryEvent {
  const before = '060373746404e000e000ff000c0170726f626500'
  return query(`000000000001${mode}${before}${timestamps}11090000000000000012ff001300`)
}

function mariadb(flags: string): QueryEvent {
  return query(`00${flags}010800205400000000060373746404e000e0002d00810800000000000000`)
}

test('MySQL says explicit_defaults_for_timestamp behind the databases', () => {
  const mode = '2800a04500000000'
  expect(mysql(mode, '1001')).toMatchObject({ text: TEXT, explicitTimestamps: true })
  expect(mysql(mode, '1000')).toMatchObject({ text: TEXT, explicitTimestamps: false })
  expect(mysql(mode, '')).toMatchObject({ text: TEXT, explicitTimestamps: null })
})

test('MariaDB says it in a flag, which older servers never set', () => {
  expect(mariadb('00000001')).toMatchObject({ text: TEXT, explicitTimestamps: true })
  expect(mariadb('00000000')).toMatchObject({ text: TEXT, explicitTimestamps: null })
  expect(mariadb('00000804')).toMatchObject({ text: TEXT, explicitTimestamps: null })
})

test('the sql_mode says whether zeros are kept and CHAR is padded', () => {
  expect(mysql('0000000000000000', '')).toMatchObject({ keepsZero: false, padsChar: false })
  expect(mysql('0000080000000000', '')).toMatchObject({ keepsZero: true, padsChar: false })
  expect(mysql('0000008000000000', '')).toMatchObject({ keepsZero: false, padsChar: true })
})
