// The acceptance tests in their long form: node test/soak/main.ts [--seconds N] [--kills N]
// [--seeds N] [--seed S] [pattern ...]. Each seed is printed; SEED=n npx vitest ... replays it.
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { randomId32 } from '../../runtime/base/clock.ts'

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    kills: { type: 'string', default: '20' },
    seeds: { type: 'string', default: '5' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})

const USAGE = `Usage: npm run soak -- [--seconds 300] [--kills 20] [--seeds 5] [--seed N] [file ...]
Runs the acceptance tests with writers for that long, that many SIGKILLs, and as many seeds.
Files are names below test/acceptance, such as postgres-chaos; without them those with writers.
\`day\` plays 24 hours of a topic with 300 streams in that time: give it 600 seconds or more.`

const FILES = ['postgres-chaos', 'mysql-chaos', 'visibility', 'bank', 'truncate', 'crash', 'day']

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be 1 or more`)
  return value
}

/** @returns the exit code of the run */
async function soak(
  seed: number,
  seconds: number,
  kills: number,
  files: string[],
): Promise<number> {
  const paths = files.map((file) => `test/acceptance/${file}`)
  const child = spawn('npx', ['vitest', 'run', '--project', 'live', ...paths], {
    stdio: 'inherit',
    env: {
      ...process.env,
      SEED: String(seed),
      SOAK_SECONDS: String(seconds),
      SOAK_KILLS: String(kills),
    },
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

if (values.help) {
  console.log(USAGE)
} else {
  const seconds = wholeNumber('seconds', values.seconds)
  const kills = wholeNumber('kills', values.kills)
  const seeds = wholeNumber('seeds', values.seeds)
  const files = positionals.length > 0 ? positionals : FILES
  const failed: number[] = []
  for (let run = 0; run < seeds; run++) {
    const seed = values.seed === undefined ? randomId32() : Number(values.seed) + run
    console.log(`\nseed ${run + 1} of ${seeds}: SEED=${seed}`)
    if ((await soak(seed, seconds, kills, files)) !== 0) failed.push(seed)
  }
  const verdict = failed.length === 0 ? 'no difference' : `failed with seeds ${failed.join(', ')}`
  console.log(`\n${seeds} seeds of ${seconds} s and ${kills} kills: ${verdict}`)
  if (failed.length > 0) process.exitCode = 1
}
