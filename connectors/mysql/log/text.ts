// Text of clients that write in a charset that we do not convert (gbk, sjis, euckr, ...). The names
// in it are what the server made of them, by tables of its own that differ from everybody else's in
// dozens of characters: so the server is asked.

import { PipelineError } from '../../../runtime/base/errors.ts'
import type { RawText } from '../decode/events.ts'
import type { ControlConnection } from '../wire/connect.ts'

/** @returns `null` when the server does not know the charset any more, or the bytes are no text */
export async function convertText(
  control: ControlConnection,
  { charset, bytes }: RawText,
): Promise<string | null> {
  if (!/^[a-z0-9]+$/.test(charset)) return null
  try {
    const sql = `SELECT CONVERT(CONVERT(? USING ${charset}) USING utf8mb4) AS text`
    const rows = await control.query(sql, [Buffer.from(bytes)])
    const text = rows[0]?.['text']
    return typeof text === 'string' ? text : null
  } catch (error) {
    if (error instanceof PipelineError && error.error === 'CONNECT_FAILED') throw error
    return null
  }
}
