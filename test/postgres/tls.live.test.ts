// Connections by TLS: every mode, and that COPY and the replication stream run on the socket that
// `pg` has secured. This also pins where that client keeps its socket.

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { available } from '../servers/available.ts'
import { brief, optionsFor, queryPostgres, readTable, run, started } from './harness.ts'

/** A CA and a certificate for `localhost` that it signed, readable by the server's user. */
function certificates(uid: number | undefined): { folder: string; ca: string } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  const file = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): unknown => execFileSync('openssl', args, { stdio: 'pipe' })
  const fresh = ['-newkey', 'rsa:2048', '-nodes', '-days', '30']
  const caKey = ['-keyout', file('ca.key'), '-out', file('ca.crt'), '-subj', '/CN=millrace test']
  openssl('req', '-x509', ...fresh, ...caKey)
  const ownKey = ['-keyout', file('server.key'), '-out', file('server.csr')]
  openssl('req', ...fresh.slice(0, 3), ...ownKey, '-subj', '/CN=localhost')
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost')
  const signing = [
    '-CA',
    file('ca.crt'),
    '-CAkey',
    file('ca.key'),
    '-CAcreateserial',
    '-days',
    '30',
  ]
  const output = ['-in', file('server.csr'), '-out', file('server.crt'), '-extfile', file('names')]
  openssl('x509', '-req', ...signing, ...output)
  chmodSync(folder, 0o755)
  chmodSync(file('server.key'), 0o600)
  if (uid !== undefined) chownSync(file('server.key'), uid, uid)
  return { folder, ca: readFileSync(file('ca.crt'), 'utf8') }
}

const missing = !(await available('postgres18')) || !hasOpenssl()

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' })
    return true
  } catch {
    return false
  }
}

test.skipIf(missing)('every TLS mode does what it says, for chunks and for the log', async () => {
  const server = await started(18)
  const { folder, ca } = certificates(server.uid)
  const foreign = certificates(server.uid)
  try {
    await server.restart({
      ssl: 'on',
      ssl_cert_file: join(folder, 'server.crt'),
      ssl_key_file: join(folder, 'server.key'),
    })
    const uri = server.uri()
    await queryPostgres(uri, `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)`)
    const options = optionsFor(server)
    const works = [
      { host: 'localhost', tls: { mode: 'verify-full', ca } },
      { tls: { mode: 'verify-ca', ca } },
      { tls: { mode: 'required', ca: null } },
      { tls: { mode: 'preferred', ca: null } },
      { tls: { mode: 'disabled', ca: null } },
    ] as const
    let next = 2
    for (const given of works) {
      const running = await run({ ...options, ...given, slot: `slot_${next}` })
      const { rows } = await readTable(running, 'public.t', 2)
      expect(rows).toHaveLength(next - 1)
      const [row] = await queryPostgres(
        uri,
        `SELECT count(*)::int AS secured FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
         WHERE s.ssl AND a.application_name LIKE 'millrace slot_${next} %'`,
      )
      expect([given.tls.mode, row?.['secured']]).toEqual([
        given.tls.mode,
        given.tls.mode === 'disabled' ? 0 : 3,
      ])
      await queryPostgres(uri, `INSERT INTO t VALUES (${next})`)
      await running.caughtUp()
      expect(brief(running.changes, 'id')).toEqual([['insert', next]])
      await running.stop()
      next++
    }
    const fails = [
      { host: '127.0.0.1', tls: { mode: 'verify-full', ca } },
      { tls: { mode: 'verify-ca', ca: foreign.ca } },
      { host: 'localhost', tls: { mode: 'verify-full', ca: null } },
    ] as const
    for (const given of fails) {
      await expect(run({ ...options, ...given })).rejects.toMatchObject({ error: 'TLS_FAILED' })
    }
  } finally {
    await server.stop()
    for (const path of [folder, foreign.folder]) rmSync(path, { recursive: true })
  }
})
