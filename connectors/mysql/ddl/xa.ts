// XA statements, whose transaction is named by up to three values.

import { Buffer } from 'node:buffer'
import type { Statement } from './statement.ts'
import { SyntaxFailure, type TokenStream } from './token-stream.ts'

const VERBS = {
  START: 'start',
  BEGIN: 'start',
  END: 'end',
  PREPARE: 'prepare',
  COMMIT: 'commit',
  ROLLBACK: 'rollback',
} as const

/** Behind XA. */
export function readXa(tokens: TokenStream): Statement {
  const verb = tokens.acceptOne('START', 'BEGIN', 'END', 'PREPARE', 'COMMIT', 'ROLLBACK')
  if (verb === null) return { kind: 'no-effect', what: 'XA' }
  const gtrid = readPart(tokens)
  const bqual = tokens.acceptSymbol(',') ? readPart(tokens) : ''
  const format = tokens.acceptSymbol(',') ? Number(tokens.next().text) : 1
  const onePhase = tokens.accept('ONE', 'PHASE')
  return { kind: 'xa', verb: VERBS[verb], xid: `X'${gtrid}',X'${bqual}',${format}`, onePhase }
}

/** A string or hex digits. @returns hex digits in lowercase */
function readPart(tokens: TokenStream): string {
  const token = tokens.next()
  if (token.kind === 'hex') return token.text
  if (token.kind === 'string') return Buffer.from(token.text, 'utf8').toString('hex')
  throw new SyntaxFailure('an XA transaction has no name')
}
