// COPY ... FROM STDIN as a query object of `pg`, for loading tables.

import type { Connection, Submittable } from 'pg'

interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** Pass it to `client.query`, then await `done`. */
export class CopyIn implements Submittable {
  /** Resolves when the server has taken all rows. */
  readonly done: Promise<void>
  private readonly sql: string
  private readonly text: string
  private readonly end = Promise.withResolvers<void>()

  /** @param text  rows in COPY's text format */
  constructor(sql: string, text: string) {
    this.sql = sql
    this.text = text
    this.done = this.end.promise
  }

  submit(connection: Connection): void {
    connection.query(this.sql)
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.text))
    connection.endCopyFrom()
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.end.resolve()
  }

  handleError(error: Error): void {
    this.end.reject(error)
  }
}
