// Gives a copied data folder a system identifier of its own, as pg_resetwal would if it came
// with the binaries. Without it every test server would claim to be the same database system.
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

// XLogPageHeaderData is 20 bytes, padded to 24; xlp_sysid opens the long header that follows.
// Source: src/include/access/xlog_internal.h (the same from 15 to 18).
const WAL_IDENTIFIER_OFFSET = 24
const WAL_FILE = /^[0-9A-F]{24}$/

/** The folder must be shut down cleanly; the identifier is the first field of pg_control. */
export async function setSystemIdentifier(dataFolder: string): Promise<void> {
  const controlFile = join(dataFolder, 'global', 'pg_control')
  const control = await readFile(controlFile)
  const crcOffset = findCrc(control)
  const identifier = randomBytes(8).readBigUInt64LE() >> 1n
  control.writeBigUInt64LE(identifier, 0)
  control.writeUInt32LE(crc32c(control.subarray(0, crcOffset)), crcOffset)
  await writeFile(controlFile, control)
  const walFolder = join(dataFolder, 'pg_wal')
  for (const name of await readdir(walFolder)) {
    if (!WAL_FILE.test(name)) continue
    const segment = await readFile(join(walFolder, name))
    segment.writeBigUInt64LE(identifier, WAL_IDENTIFIER_OFFSET)
    await writeFile(join(walFolder, name), segment)
  }
}

/** The checksum's place differs between versions: it is where the checksum of all before stands. */
function findCrc(control: Buffer): number {
  for (let offset = 200; offset < 512; offset += 4) {
    if (crc32c(control.subarray(0, offset)) === control.readUInt32LE(offset)) return offset
  }
  throw new Error('pg_control has no checksum where one is expected')
}

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}
