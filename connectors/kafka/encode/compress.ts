// The records of a batch, compressed by the codecs that Kafka has; `decode/decompress.ts` is the
// other way. What they make is read by every client: LZ4 is a frame, Snappy one bare block.

import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import { CODECS, type Codec } from '../decode/decompress.ts'

/** Fast, since each batch waits for it: higher levels cost more than the network gives back. */
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const GZIP = { level: 1 }

/** @returns the codec's number in a batch's attributes */
export function codecNumber(codec: Codec): number {
  return CODECS.indexOf(codec)
}

/** @returns a buffer of its own, or the argument where there is nothing to do */
export function compress(codec: Codec, bytes: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes, GZIP)
    case 'zstd':
      return zstdCompressSync(bytes, ZSTD)
    case 'lz4':
      return lz4Compress(bytes)
    case 'snappy':
      return snappyCompress(bytes)
  }
}
