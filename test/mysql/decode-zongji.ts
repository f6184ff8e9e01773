// Plays a log file through zongji's event classes, without a connection: a second decoder that
// knows nothing of ours. Its packages export no such entrance, so its files are opened by path.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { eventsOf } from './decode-replay.ts'

interface ZongjiEvent {
  readonly tableId: number
  readonly schemaName: string
  readonly tableName: string
  readonly rows: readonly unknown[]
  buildColumnSchemas: () => unknown
  updateColumnInfo: () => void
}

interface Packet {
  eventName: string
  parse: (parser: unknown) => void
  getEvent: () => ZongjiEvent
}

interface Host {
  readonly tableMap: Record<number, unknown>
  readonly useChecksum: boolean
  readonly _skipSchema: () => boolean
  readonly _warnUnsupportedEvent: () => void
  readonly connection: unknown
}

type ZongjiRow = Record<string, unknown>

const folder = dirname(createRequire(import.meta.url).resolve('@vlasky/zongji'))

async function load<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(folder, path)).href)) as T
}

const { default: packetClass } = await load<{ default: (host: Host) => new () => Packet }>(
  'lib/packet/binlog.js',
)
const { Parser } = await load<{ Parser: new () => { append: (bytes: Buffer) => void } }>(
  'lib/reader.js',
)

/** What zongji makes of every event with rows: class name and rows. */
export function* zongjiEvents(
  log: Uint8Array,
): Generator<{ readonly name: string; readonly rows: readonly unknown[] }> {
  const host: Host = {
    tableMap: {},
    useChecksum: true,
    _skipSchema: () => false,
    _warnUnsupportedEvent: () => undefined,
    connection: { config: { timezone: 'Z', dateStrings: true }, options: {} },
  }
  const BinlogPacket = packetClass(host)
  for (const { start, end } of eventsOf(log)) {
    const parser = new Parser()
    // The packet of a dump begins with a byte that the file does not have.
    parser.append(Buffer.concat([Buffer.from([0]), log.subarray(start, end)]))
    const packet = new BinlogPacket()
    packet.parse(parser)
    if (packet.eventName === 'TableMap') {
      const event = packet.getEvent()
      host.tableMap[event.tableId] = {
        columnSchemas: event.buildColumnSchemas(),
        parentSchema: event.schemaName,
        tableName: event.tableName,
      }
      event.updateColumnInfo()
    } else if (/^(Write|Update|Delete)Rows$/.test(packet.eventName)) {
      yield { name: packet.eventName, rows: packet.getEvent().rows }
    }
  }
}

/** The rows that are left in the end, by `id`. */
export function zongjiRows(log: Uint8Array): Map<string, ZongjiRow> {
  const live = new Map<string, ZongjiRow>()
  for (const { name, rows } of zongjiEvents(log)) {
    for (const row of rows) {
      if (name === 'UpdateRows') {
        const { before, after } = row as { before: ZongjiRow; after: ZongjiRow }
        live.delete(String(before['id']))
        live.set(String(after['id']), after)
      } else if (name === 'DeleteRows') live.delete(String((row as ZongjiRow)['id']))
      else live.set(String((row as ZongjiRow)['id']), row as ZongjiRow)
    }
  }
  return live
}
