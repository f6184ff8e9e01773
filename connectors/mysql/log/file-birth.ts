// When a log file was begun. A server whose log was reset has other files under the same names, and
// other transactions under the same numbers: once it has as many of them as before, nothing but
// this time tells the two histories apart.

import { PipelineError } from '../../../runtime/base/errors.ts'
import { EventReader } from '../decode/event-reader.ts'
import { eventError } from '../dump.ts'
import type { MysqlOptions } from '../options.ts'
import { WireClient } from '../wire/client.ts'
import { openRaw } from '../wire/connect.ts'

const COM_BINLOG_DUMP = 0x12
/** Ends at the end of the log instead of waiting there. */
const NON_BLOCK = 0x01
const FIRST_EVENT = 4
/** ROTATE, which is made up, and FORMAT_DESCRIPTION: the first two, on every server. */
const EVENTS_MAX = 4

/** `fileCreatedS` of one server. */
export type FileBirths = (file: string) => Promise<number | null>

/**
 * @param serverId  of a replica that does not exist: the server ends an older dump under the same
 * @returns seconds since 1970; `null` when the server has no such file
 */
export async function fileCreatedS(
  options: MysqlOptions,
  serverId: number,
  file: string,
): Promise<number | null> {
  const doing = `cannot read the log of ${options.host}:${options.port}`
  const client = new WireClient(await openRaw(options), doing, options.clock)
  try {
    const checksum = "@master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'"
    await client.query(`SET ${checksum}, @mariadb_slave_capability = 4`)
    client.command(COM_BINLOG_DUMP, request(serverId, file))
    return await firstFormat(client)
  } finally {
    client.reader.close()
  }
}

function request(serverId: number, file: string): Buffer {
  const payload = Buffer.alloc(10 + Buffer.byteLength(file))
  payload.writeUInt32LE(FIRST_EVENT, 0)
  payload.writeUInt16LE(NON_BLOCK, 4)
  payload.writeUInt32LE(serverId, 6)
  payload.write(file, 10)
  return payload
}

async function firstFormat({ reader }: WireClient): Promise<number | null> {
  const events = new EventReader(false)
  for (let count = 0; count < EVENTS_MAX; count++) {
    while (!reader.next()) await reader.fill()
    const error = eventError(reader.bytes, reader.start, reader.end)
    // The server cannot find the file, or open it any more; it is being purged, perhaps.
    if (error?.error === 'LOG_CORRUPT' || error?.error === 'LOG_GAP') return null
    if (error !== null) throw error
    const event = events.read(reader.bytes, reader.start + 1, reader.end)
    if (event.kind === 'format') return event.timestampS
  }
  throw new PipelineError('LOG_CORRUPT', 'a file of the log does not begin with its format')
}
