// Writes the replication stream as a server would: frames, keepalives and pgoutput messages.

export interface RelationText {
  readonly oid: number
  readonly namespace: string
  readonly name: string
  readonly identity: string
  readonly columns: readonly {
    readonly name: string
    readonly type: number
    readonly modifier?: number
    readonly key?: boolean
  }[]
}

/** A value in text form, null, or unchanged. */
export type Cell = string | null | undefined

function int(value: number, bytes: 1 | 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeIntBE(bytes === 4 ? value | 0 : value, 0, bytes)
  return buffer
}

function long(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const letter = (value: string): Buffer => Buffer.from(value)

export function frame(type: string, body: Buffer): Buffer {
  return Buffer.concat([letter(type), int(body.length + 4, 4), body])
}

export function data(message: Buffer): Buffer {
  return frame('d', Buffer.concat([letter('w'), long(0), long(0), long(0), message]))
}

export function keepalive(end: number, reply = false): Buffer {
  const body = [letter('k'), long(end), long(8e14), int(reply ? 1 : 0, 1)]
  return frame('d', Buffer.concat(body))
}

export function begin(lsn: number, time: number, xid: number): Buffer {
  return data(Buffer.concat([letter('B'), long(lsn), long(time), int(xid, 4)]))
}

export function commit(lsn: number, end: number, time: number): Buffer {
  return data(Buffer.concat([letter('C'), int(0, 1), long(lsn), long(end), long(time)]))
}

export function relation({ oid, namespace, name, identity, columns }: RelationText): Buffer {
  return data(
    Buffer.concat([
      letter('R'),
      int(oid, 4),
      text(namespace),
      text(name),
      letter(identity),
      int(columns.length, 2),
      ...columns.flatMap((column) => [
        int(column.key === true ? 1 : 0, 1),
        text(column.name),
        int(column.type, 4),
        int(column.modifier ?? -1, 4),
      ]),
    ]),
  )
}

function tuple(cells: readonly Cell[]): Buffer {
  const parts = cells.map((cell) => {
    if (cell === null) return letter('n')
    if (cell === undefined) return letter('u')
    const bytes = Buffer.from(cell)
    return Buffer.concat([letter('t'), int(bytes.length, 4), bytes])
  })
  return Buffer.concat([int(cells.length, 2), ...parts])
}

export function insert(oid: number, row: readonly Cell[]): Buffer {
  return data(Buffer.concat([letter('I'), int(oid, 4), letter('N'), tuple(row)]))
}

export function update(
  oid: number,
  row: readonly Cell[],
  old: { kind: 'K' | 'O'; row: readonly Cell[] } | null = null,
): Buffer {
  const before = old === null ? [] : [letter(old.kind), tuple(old.row)]
  return data(Buffer.concat([letter('U'), int(oid, 4), ...before, letter('N'), tuple(row)]))
}

export function remove(oid: number, kind: 'K' | 'O', row: readonly Cell[]): Buffer {
  return data(Buffer.concat([letter('D'), int(oid, 4), letter(kind), tuple(row)]))
}

export function truncate(...oids: readonly number[]): Buffer {
  const list = oids.map((oid) => int(oid, 4))
  return data(Buffer.concat([letter('T'), int(oids.length, 4), int(0, 1), ...list]))
}

/** Messages that carry no rows: Origin, Type, Message, Stream Abort. */
export function noise(): Buffer {
  return Buffer.concat([
    data(Buffer.concat([letter('O'), long(1), text('elsewhere')])),
    data(Buffer.concat([letter('Y'), int(90_000, 4), text('public'), text('mood')])),
    data(Buffer.concat([letter('M'), int(0, 1), long(5), text('prefix'), int(2, 4), text('x')])),
    data(Buffer.concat([letter('A'), int(700, 4), int(701, 4)])),
    frame('S', Buffer.concat([text('TimeZone'), text('UTC')])),
  ])
}

export function raw(type: string): Buffer {
  return data(Buffer.concat([letter(type), Buffer.alloc(40)]))
}
