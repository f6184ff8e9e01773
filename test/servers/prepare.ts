// Prepares all servers and readers before the tests, so that no test's time limit has to cover
// a download: node test/servers/prepare.ts [name ...]
import { facilities, prepare } from './available.ts'

const wanted = process.argv.slice(2)
const names = facilities.filter((name) => wanted.length === 0 || wanted.includes(name))
for (const name of names) {
  const startMs = performance.now()
  const report = (result: string): void => {
    console.log(
      `${name.padEnd(12)} ${result} ${((performance.now() - startMs) / 1000).toFixed(1)} s`,
    )
  }
  try {
    await prepare(name)
    report('ready')
  } catch (error) {
    report('FAILED')
    console.error(error)
    process.exitCode = 1
  }
}
