// `npm run demo`: the main jobs, each in less than a minute, on real servers that it starts itself.

import { parseArgs } from 'node:util'

const HELP = `npm run demo              a shop in PostgreSQL becomes a lake, through DDL and kill -9
npm run demo -- --kafka   clicks of a topic become hours that are announced when they are whole;
                          needs a JDK (17 or newer) and Maven; on Debian it fetches both itself

Exit codes: 0 every row arrived once, 1 it failed, 2 an option is unknown, 5 the lake differs.
What they make is in .demo, which each run empties first.`

// kafkajs asks timers for negative waits, which are none: Node would warn of it in the story.
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.error(String(warning))
})

function chosen(): { kafka: boolean; help: boolean } | null {
  const kafka = { type: 'boolean', default: false } as const
  const help = { type: 'boolean', short: 'h', default: false } as const
  try {
    return parseArgs({ options: { kafka, help } }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    return null
  }
}

async function tell(): Promise<number> {
  const options = chosen()
  if (options === null) return 2
  if (options.help) {
    console.log(HELP)
    return 0
  }
  // A story loads servers and readers that the other does not need.
  if (options.kafka) return (await import('./clicks-story.ts')).tellOfClicks()
  return (await import('./shop-story.ts')).tellOfShop()
}

process.exitCode = await tell()
