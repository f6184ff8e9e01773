// Compression of one page. zlib allocates the whole output before it compresses, in chunks of 16
// KiB unless told otherwise; the chunk asked for is what the page will probably become. A MiB a
// page, of which most is thrown away, would cost a full garbage collection a dozen pages.

import { constants, gzipSync, zstdCompressSync } from 'node:zlib'

export type Compression = 'zstd' | 'gzip' | 'none'

/** Parquet's `CompressionCodec`. */
export const codecs = { none: 0, gzip: 2, zstd: 6 } as const satisfies Record<Compression, number>

const CHUNK_EXTRA_BYTES = 64 * 1024
/** Pages of a column differ: a page that needs a second chunk is copied once more. */
const EXPECTED_MARGIN = 1.125
const EXPECTED_EXTRA_BYTES = 4 * 1024
const ZSTD_LEVEL = 1
/**
 * Of 2 to the power of it. What is searched stays in the cache of a core: a sixth less time than
 * with the level's own 512 KiB, for files that are one percent larger.
 */
const ZSTD_WINDOW_LOG = 17
const GZIP_LEVEL = 4

/**
 * @param ratio  compressed bytes over bytes of the page before; 1 when there was none
 * @returns the compressed bytes; for `none` the page itself
 */
export function compress(compression: Compression, page: Uint8Array, ratio: number): Uint8Array {
  const chunkSize = Math.min(
    page.length + CHUNK_EXTRA_BYTES,
    Math.ceil(page.length * ratio * EXPECTED_MARGIN) + EXPECTED_EXTRA_BYTES,
  )
  switch (compression) {
    case 'zstd':
      return zstdCompressSync(page, {
        chunkSize,
        params: {
          [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL,
          [constants.ZSTD_c_windowLog]: ZSTD_WINDOW_LOG,
        },
      })
    case 'gzip':
      return gzipSync(page, { chunkSize, level: GZIP_LEVEL })
    case 'none':
      return page
  }
}
