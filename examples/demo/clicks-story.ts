// Clicks of a Kafka topic become an hourly table; each hour is announced once it is whole, also
// over a kill -9, and again when a click comes late. At each announcement the hour in the lake is
// compared with what was sent, row by row.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type KafkaServer, startKafka } from '../../test/servers/kafka.ts'
import { javaTools } from '../../test/servers/java-tools.ts'
import { type Announcement, Receiver } from './announcements.ts'
import { type Click, DAY_MS, HOUR_MS, PARTITIONS, Site, TOPIC } from './clicks.ts'
import { metadataLocation } from './compare.ts'
import { Millrace } from './millrace.ts'
import { emptyFolder, FOLDER, say } from './scene.ts'
import { lakeRows } from './lake-rows.ts'

const HOURS = 3
const TOLD_MS_MAX = 60_000
const START_MS_MAX = 60_000

/** @returns the exit code of the demo */
export async function tellOfClicks(): Promise<number> {
  const missing = await missingJava()
  if (missing !== null) {
    console.error(missing)
    return 1
  }
  await emptyFolder()
  say('starting a Kafka 4.3.1 (the first time Maven fetches it) ...')
  const server = await startKafka()
  const site = new Site(server)
  const judge = new Judge(site)
  const receiver = await Receiver.open((announcement) => judge.hear(announcement))
  const millrace = await configure(server, receiver.url)
  judge.catalog = millrace.catalog
  try {
    await site.createTopic()
    say(`the topic ${TOPIC} has ${PARTITIONS} partitions; an hour of its clicks takes 5 seconds`)
    await tell(site, millrace, receiver)
    const code = await millrace.stop()
    if (code !== 0) say(`FAILED: exit code ${code}; see ${join(FOLDER, 'millrace.log')}`)
    else await judge.compareAll()
    explain(millrace)
    return code === 0 ? judge.verdict : 1
  } finally {
    await site.close()
    millrace.close()
    receiver.close()
    await server.stop()
  }
}

/** @returns what to say where no broker can run; null where it can */
async function missingJava(): Promise<string | null> {
  try {
    await javaTools()
    return null
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    return `This demo starts a Kafka broker, which needs a JDK (17 or newer) and Maven: \`javac\` or \`mvn\`
is not on the PATH, and Debian's packages, which would do, could not be unpacked either:
  ${cause}
Install both, or run \`npm run demo\`: that one brings its PostgreSQL along.`
  }
}

async function configure({ brokers }: KafkaServer, url: string): Promise<Millrace> {
  const blocks = `
source:
  type: kafka
  brokers: ${JSON.stringify(brokers)}
  topics: ["${TOPIC}"]
  value:
    format: json
    schema:
      id: long not null
      user: string
      page: string
      clicked_at: { type: timestamptz, unit: ms }
  event_time: { field: clicked_at, max_out_of_order: 2m }
transform:
  - from: kafka.${TOPIC}
    projection: "id, upper(user) AS who, page, clicked_at"
    filter: "NOT starts_with(user, 'bot-')"
partition_ready:
  kafka.${TOPIC}:
    partition: "hour(clicked_at)"
    delay: 5m
    actions:
      - { type: success_file }
      - { type: http, url: "${url}" }
`
  const sink = `  mode: append
  partition_by: { kafka.${TOPIC}: ["hour(clicked_at)"] }`
  return Millrace.configure(FOLDER, TOPIC, blocks, sink)
}

async function tell(site: Site, millrace: Millrace, receiver: Receiver): Promise<void> {
  say(`millrace run ${millrace.file}  (bots are filtered, names made upper case)`)
  millrace.start()
  await running(millrace)
  say('the site opens')
  site.open(HOURS)
  await untilTold(millrace, receiver, 0, 1)
  await sleep(2000)
  say('kill -9, in the middle of an hour')
  await millrace.kill()
  await sleep(500)
  millrace.start()
  say('started again: it goes on at the offsets of its last checkpoint')
  await untilTold(millrace, receiver, 1, 1)
  say('a click of the first hour comes out of a tunnel')
  await site.sendLate(0)
  await untilTold(millrace, receiver, 0, 2)
  await site.ended()
  say(`the site closes; ${count(site.bots)} clicks were by bots`)
}

async function running(millrace: Millrace): Promise<void> {
  const deadline = performance.now() + START_MS_MAX
  while ((await millrace.status())?.state !== 'RUNNING') {
    if (performance.now() > deadline) throw new Error('millrace did not run within a minute')
    // Each look is a process of its own, which takes from what it waits for.
    await sleep(1000)
  }
}

async function untilTold(
  millrace: Millrace,
  receiver: Receiver,
  hour: number,
  generation: number,
): Promise<void> {
  const deadline = performance.now() + TOLD_MS_MAX
  const name = hourName(hour)
  const isIt = (one: Announcement): boolean => one.hour === name && one.generation === generation
  while (![...receiver.heard.values()].some(isIt)) {
    receiver.expectNoFailure()
    if (performance.now() > deadline) throw new Error(`${name} was not announced within a minute`)
    millrace.expectAlive()
    await sleep(100)
  }
}

function count(rows: number): string {
  return rows.toLocaleString('en-US')
}

function hourName(hour: number): string {
  return new Date(DAY_MS + hour * HOUR_MS).toISOString().slice(0, 13).replace('T', '-')
}

class Judge {
  catalog = ''
  private readonly site: Site
  private differences = 0

  constructor(site: Site) {
    this.site = site
  }

  get verdict(): number {
    return this.differences === 0 ? 0 : 5
  }

  async hear({ hour: name, generation, rows }: Announcement): Promise<void> {
    const hour = Math.round(
      (Date.parse(`${name.replace(/-(\d\d)$/, 'T$1')}:00Z`) - DAY_MS) / HOUR_MS,
    )
    const told = `announced: ${name}, generation ${generation}, ${count(rows)} rows`
    say(`${told}; DuckDB reads ${await this.compare(hour)}`)
  }

  async compareAll(): Promise<void> {
    const hours = [...this.site.people.keys()]
    const verdicts = await Promise.all(hours.map((hour) => this.compare(hour)))
    say(`all ${hours.length} hours, row by row:`)
    for (const [at, hour] of hours.entries()) say(`  ${hourName(hour)}: ${verdicts[at]}`)
    await this.compareCounts()
    if (this.differences === 0) say('the topic and the lake are equal')
  }

  /** No row lies outside of the hours, either. */
  private async compareCounts(): Promise<void> {
    const sent = [...this.site.people.values()].reduce((sum, clicks) => sum + clicks.length, 0)
    const location = metadataLocation(this.catalog, 'kafka', TOPIC)
    const lake = await lakeRows(location, 0, DAY_MS * 2)
    if (lake.length === sent) return
    this.differences++
    say(`  DIFFERENT: the lake has ${count(lake.length)} rows, and ${count(sent)} were sent`)
  }

  /** @returns what is said of it */
  private async compare(hour: number): Promise<string> {
    const from = DAY_MS + hour * HOUR_MS
    const location = metadataLocation(this.catalog, 'kafka', TOPIC)
    const lake = await lakeRows(location, from, from + HOUR_MS)
    const sent = this.site.sentIn(hour).map(rowOf).toSorted()
    const expected = count(sent.length)
    if (lake.length === sent.length && lake.every((row, at) => row === sent[at])) {
      return `the ${expected} that were sent`
    }
    this.differences++
    return `DIFFERENT rows: ${count(lake.length)} instead of ${expected}`
  }
}

/** As `lakeRows` has it. */
function rowOf({ id, user, page, clicked_at: at }: Click): string {
  return [id, user.toUpperCase(), page, at * 1000].join('|')
}

function explain(millrace: Millrace): void {
  const location = metadataLocation(millrace.catalog, 'kafka', TOPIC)
  console.log(`
The lake is in ${FOLDER}; each whole hour has its _SUCCESS. Look at it with

  find ${join(FOLDER, 'warehouse')} -name _SUCCESS

  DuckDB     INSTALL iceberg; LOAD iceberg;
             SELECT date_trunc('hour', clicked_at) AS hour, count(*)
             FROM iceberg_scan('${fileURLToPath(location)}') GROUP BY hour;
`)
}
