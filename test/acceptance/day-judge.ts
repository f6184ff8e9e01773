// Who hears of the hours of a day, and reads the lake at that moment, as a job would that an
// announcement starts; and what the lake must be when the day is over. All by DuckDB.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { withDuckdb } from '../readers/duckdb.ts'
import { hourName, hourOfName, LATE_STREAM, type Day } from './day.ts'
import { metadataLocations } from './lake.ts'
import type { Pipeline } from './pipeline.ts'

interface Announced {
  readonly id: string
  readonly hour: number
  readonly generation: number
  readonly files: number
  readonly rows: number
}

/** A webhook that answers once it has looked at the lake. */
export class Judge {
  readonly problems: string[] = []
  /** Each announcement once. */
  readonly heard = new Map<string, Announced>()
  /** How often one came again. */
  repeats = 0
  private readonly server: Server
  private readonly day: Day
  private readonly table: string
  private pipeline: Pipeline | null = null

  private constructor(server: Server, day: Day, table: string) {
    this.server = server
    this.day = day
    this.table = table
  }

  static async open(day: Day, table: string): Promise<Judge> {
    const server = createServer()
    const judge = new Judge(server, day, table)
    server.on('request', (request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (piece: string) => (body += piece))
      request.on('end', () => {
        const noted = judge.note(body).catch((error: unknown) => judge.problems.push(String(error)))
        void noted.then(() => response.writeHead(204).end())
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return judge
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/ready`
  }

  looksAt(pipeline: Pipeline): void {
    this.pipeline = pipeline
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  generations(hour: number): Announced[] {
    return [...this.heard.values()].filter((one) => one.hour === hour)
  }

  /** Hours that have been told, in no order. */
  hours(): number[] {
    return [...new Set([...this.heard.values()].map(({ hour }) => hour))]
  }

  /** True when the last that was told of each hour has all its rows. */
  hasHeardAll(): boolean {
    const { day } = this
    for (let hour = 0; hour < day.plan.hours; hour++) {
      if (this.generations(hour).at(-1)?.rows !== day.rowsOf(hour)) return false
    }
    return true
  }

  private async note(body: string): Promise<void> {
    const { id, data } = JSON.parse(body) as {
      id: string
      data: { partition: { ts_hour: string }; generation: number; files: number; rows: number }
    }
    const { generation, files, rows } = data
    const hour = hourOfName(data.partition.ts_hour)
    const one: Announced = { id, hour, generation, files, rows }
    const known = this.heard.get(id)
    if (known !== undefined) {
      this.repeats++
      if (JSON.stringify(known) !== JSON.stringify(one)) {
        this.problems.push(`told otherwise: ${JSON.stringify([known, one])}`)
      }
      return
    }
    const mayBe = this.day.mayBeWhole(hour)
    const inTime = this.day.rowsInTime(hour)
    if (!mayBe) this.problems.push(`early, by the clock: ${JSON.stringify(one)}`)
    this.heard.set(id, one)
    const shown = await this.shown(hour)
    const found = JSON.stringify({ ...one, inTime, shown })
    if (shown.inTime !== inTime) this.problems.push(`early, or rows are not there: ${found}`)
    if (generation === 1 && rows < inTime) this.problems.push(`told of too few rows: ${found}`)
    if (shown.inTime + shown.late < rows) this.problems.push(`told of too many rows: ${found}`)
  }

  /** Rows of an hour in the lake as it is now. */
  private async shown(hour: number): Promise<{ inTime: number; late: number }> {
    const location = this.location()
    if (location === null) return { inTime: 0, late: 0 }
    return withDuckdb(async (connection) => {
      const sql = `SELECT count(*) FILTER (stream >= 0), count(*) FILTER (stream = ${LATE_STREAM})
        FROM iceberg_scan('${location}')
        WHERE date_trunc('hour', ts AT TIME ZONE 'UTC') = TIMESTAMP '${sqlHour(hour)}'`
      const [row = []] = (await connection.runAndReadAll(sql)).getRowsJS()
      return { inTime: Number(row[0]), late: Number(row[1]) }
    })
  }

  private location(): string | null {
    if (this.pipeline === null) return null
    return metadataLocations(this.pipeline)[this.table]?.replace('file://', '') ?? null
  }

  /** One effect for each generation, generations in order, and none without a reason. */
  expectEffects(lateBatches: ReadonlyMap<number, number>): void {
    expect(this.problems).toEqual([])
    const firsts = [...this.heard.values()].filter(({ generation }) => generation === 1)
    const all = Array.from({ length: this.day.plan.hours }, (_, hour) => hour)
    expect(firsts.map(({ hour }) => hour)).toEqual(all)
    for (const hour of all) {
      const told = this.generations(hour)
      expect(told.map(({ generation }) => generation)).toEqual(told.map((_, at) => at + 1))
      const batches = lateBatches.get(hour) ?? 0
      expect(told.length, hourName(hour)).toBeLessThanOrEqual(1 + batches)
      if (batches > 0) expect(told.length, hourName(hour)).toBeGreaterThan(1)
    }
  }

  /** Every row in its partition, once: the producer's list against the lake, row by row. */
  async expectRows(pipeline: Pipeline): Promise<void> {
    const file = join(pipeline.folder, 'sent.csv')
    const lines = this.day.rows.map(({ id, stream, ts }) => `${id},${stream},${ts}\n`)
    await writeFile(file, `id,stream,ts\n${lines.join('')}`)
    await withDuckdb(async (connection) => {
      const ask = async (sql: string): Promise<unknown[]> =>
        (await connection.runAndReadAll(sql)).getRowsJS()
      await connection.run(`CREATE TABLE lake AS SELECT id, stream, epoch_ms(ts) AS ts,
        __partition__ AS split, __offset__ AS place FROM iceberg_scan('${this.location() ?? ''}')`)
      await connection.run(`CREATE TABLE sent AS FROM read_csv('${file}')`)
      const twice = 'SELECT id, count(*) FROM lake GROUP BY id HAVING count(*) > 1 LIMIT 5'
      expect(await ask(twice)).toEqual([])
      const differs = `SELECT s.id, s.ts, l.id, l.ts FROM sent s FULL JOIN lake l ON s.id = l.id
        WHERE s.id IS NULL OR l.id IS NULL OR s.ts <> l.ts OR s.stream <> l.stream LIMIT 5`
      expect(await ask(differs)).toEqual([])
      const places = 'SELECT split, place FROM lake GROUP BY ALL HAVING count(*) > 1 LIMIT 5'
      expect(await ask(places)).toEqual([])
      expect(await ask('SELECT count(*) FROM lake')).toEqual([[BigInt(this.day.rows.length)]])
    })
  }

  /**
   * Files by hour: each has rows of its hour alone, and there are no more than their bytes ask for.
   *
   * @returns a line for each hour
   */
  async expectFiles(targetBytes: number): Promise<string[]> {
    const files = await this.files()
    const lines: string[] = []
    const tooMany: string[] = []
    for (const [folder, paths] of Map.groupBy(files, (path) => path.split('/').at(-2) ?? '')) {
      const hour = hourOfName(folder.replace('ts_hour=', ''))
      const bytes = paths.reduce((sum, path) => sum + statSync(path).size, 0)
      // Late rows are shown after the hour was: of each generation one file more.
      const generations = Math.max(1, this.generations(hour).length)
      const bound = Math.ceil(bytes / targetBytes) + generations
      const line = `${folder}: ${paths.length} files of at most ${bound}, ${bytes} bytes`
      lines.push(line)
      if (paths.length > bound) tooMany.push(line)
    }
    expect(tooMany).toEqual([])
    return lines.toSorted()
  }

  /** Data files of the newest snapshot; fails when one has rows of another hour than its folder. */
  private async files(): Promise<string[]> {
    return withDuckdb(async (connection) => {
      const live = `SELECT file_path FROM iceberg_metadata('${this.location() ?? ''}')
        WHERE manifest_content = 'DATA' AND status <> 'DELETED'`
      const rows = (await connection.runAndReadAll(live)).getRowsJS() as [string][]
      const paths = rows.map(([path]) => path.replace('file://', ''))
      const list = paths.map((path) => `'${path}'`).join()
      const strays = `SELECT filename, count(*) FROM read_parquet([${list}], filename = true,
        hive_partitioning = false) WHERE NOT contains(filename, 'ts_hour=' ||
        strftime(ts AT TIME ZONE 'UTC', '%Y-%m-%d-%H') || '/') GROUP BY filename LIMIT 5`
      expect((await connection.runAndReadAll(strays)).getRowsJS()).toEqual([])
      return paths
    })
  }
}

function sqlHour(hour: number): string {
  return `${hourName(hour).replace(/-(\d\d)$/, ' $1')}:00:00`
}
