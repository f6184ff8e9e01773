// A plain TCP or Unix socket whose reads land in one buffer that all such sockets of the thread
// share. Node's own sockets take fresh memory for every read, 64 KiB even where a few bytes come:
// at a thousand reads a second that keeps the garbage collector busier than the decoder.

import { Socket, type SocketConstructorOpts } from 'node:net'

/** What one read takes at most. */
export const SHARED_READ_BYTES = 256 * 1024

const shared = Buffer.allocUnsafeSlow(SHARED_READ_BYTES)

export class SharedReadSocket extends Socket {
  /**
   * `data` events have the shared buffer itself, to be copied before the listener returns; false:
   * a copy, which listeners may keep.
   */
  transient = false

  constructor(options: SocketConstructorOpts = {}) {
    super({
      ...options,
      onread: {
        buffer: shared,
        callback: (count, buffer) => {
          const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, count)
          this.emit('data', this.transient ? chunk : Buffer.from(chunk))
          return true
        },
      },
    })
  }
}
