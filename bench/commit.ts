// How long a commit takes on a table with many live files, when each epoch adds a file and deletes
// rows in many: `node bench/commit.ts [files] [touched] [commits]`, 1000, 100 and 60 by default.

import { cpus } from 'node:os'
import { Lake, ORDERS } from '../test/iceberg/lake.ts'

const [files = 1000, touched = 100, commits = 60] = process.argv.slice(2).map(Number)
const ROWS_A_FILE = 100_000
const DELETES_A_FILE = 20
const table = ORDERS.table

const lake = await Lake.open()
try {
  let committer = lake.committer()
  for (let made = 0; made < files;) {
    const batch = []
    for (; batch.length < 500 && made < files; made++) {
      const fileId = lake.nextFileId()
      batch.push(await describedFile(fileId))
    }
    const schemas = made <= 500 ? [ORDERS] : []
    await lake.commit(committer, { table, schemas, files: batch })
  }
  committer = lake.committer()
  const times: number[] = []
  const cpuBefore = process.cpuUsage()
  for (let epoch = 0; epoch < commits; epoch++) {
    const file = await describedFile(lake.nextFileId())
    const deletes = new Map<number, number[]>()
    for (let index = 0; index < touched; index++) {
      const fileId = 1 + ((epoch * 7919 + index * 104_729) % files)
      const start = (epoch * DELETES_A_FILE) % ROWS_A_FILE
      const step = Math.floor(ROWS_A_FILE / DELETES_A_FILE / commits) || 1
      const rows = Array.from({ length: DELETES_A_FILE }, (_, row) => start + row * step * commits)
      deletes.set(
        fileId,
        rows.map((row) => row % ROWS_A_FILE).toSorted((a, b) => a - b),
      )
    }
    const intent = await lake.intent([{ table, files: [file], deletes: [deletes] }])
    const started = performance.now()
    lake.learn(await committer.commit([intent]))
    times.push(performance.now() - started)
    for (const path of committer.takeGarbage()) await lake.warehouse.delete(path)
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  const [cold, ...warm] = times
  const sorted = warm.toSorted((left, right) => left - right)
  const at = (share: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(1)
  console.log(`${cpus().length} x ${cpus()[0]?.model}, node ${process.version}`)
  console.log(`table of ${files} files, ${touched} touched by each of ${commits} commits`)
  console.log(`first commit of the process ${cold!.toFixed(1)} ms (reads the table)`)
  console.log(`then ms: median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)}`)
  console.log(
    `CPU a commit, test code included: ${((user + system) / 1000 / commits).toFixed(1)} ms`,
  )
} finally {
  await lake.close()
}

async function describedFile(fileId: number): ReturnType<Lake['hollowFile']> {
  const counts = Object.fromEntries(
    Array.from({ length: 10 }, (_, id) => [String(id + 1), ROWS_A_FILE]),
  )
  const bound = Buffer.from('0123456789abcdef').toString('base64')
  const bounds = Object.fromEntries(Object.keys(counts).map((id) => [id, bound]))
  return {
    fileId,
    path: `public/orders/data/${fileId.toString(16).padStart(8, '0')}-w0.parquet`,
    schemaVersion: 0,
    rows: ROWS_A_FILE,
    bytes: 10_000_000,
    metrics: {
      columnSizes: counts,
      valueCounts: counts,
      nullCounts: counts,
      nanCounts: {},
      lowerBounds: bounds,
      upperBounds: bounds,
      splitOffsets: [4],
    },
  }
}
