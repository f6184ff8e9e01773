// Transactions that ended in ROLLBACK after their rows had been handed on. MariaDB logs such a
// transaction when it made a temporary table, and nothing before its end tells. What was handed on
// cannot be called back: the reader stops, the runtime goes back to its checkpoint, and this list,
// which survives a restart, says what to leave out then.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { PipelineError } from '../../../runtime/base/errors.ts'

const NAME = 'rolled-back.json'
/** The oldest go first: they lie before any checkpoint that is kept. */
const KEPT_MAX = 1000

export class RolledBack {
  private readonly folder: string
  private readonly ids: string[]

  constructor(folder: string) {
    this.folder = folder
    this.ids = readIds(join(folder, NAME))
  }

  has(id: string): boolean {
    return this.ids.length > 0 && this.ids.includes(id)
  }

  /** Durable when it returns. @throws PipelineError STORAGE_FAILED */
  add(id: string): void {
    this.ids.push(id)
    if (this.ids.length > KEPT_MAX) this.ids.shift()
    try {
      mkdirSync(this.folder, { recursive: true })
      const path = join(this.folder, NAME)
      const descriptor = openSync(`${path}.new`, 'w')
      writeSync(descriptor, JSON.stringify(this.ids))
      fsyncSync(descriptor)
      closeSync(descriptor)
      renameSync(`${path}.new`, path)
    } catch (cause) {
      throw new PipelineError('STORAGE_FAILED', `cannot write ${NAME}`, { cause })
    }
  }
}

function readIds(path: string): string[] {
  try {
    const ids: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return Array.isArray(ids) ? ids.map(String) : []
  } catch {
    // There is none, or it is unreadable: then the transaction is met, and recorded, again.
    return []
  }
}
