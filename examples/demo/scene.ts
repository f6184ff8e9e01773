// What all demos share: an empty folder, and a voice with a clock.

import { mkdir, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export const FOLDER = fileURLToPath(new URL('../../.demo', import.meta.url))

const started = performance.now()

export async function emptyFolder(): Promise<void> {
  await rm(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
}

export function say(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5)
  console.log(`${seconds} s  ${text}`)
}
