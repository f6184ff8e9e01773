// Rows a second over the last few seconds, from totals that somebody looks at now and then.

const WINDOW_MS = 5000

interface Sample {
  readonly atMs: number
  readonly total: number
}

export class RateMeter {
  readonly #samples = new Map<string, Sample[]>()

  /**
   * @param total  a count that only grows; one that shrinks begins anew
   * @returns its growth a second since the first look within the window; 0 at the first
   */
  rate(name: string, total: number, nowMs: number): number {
    const samples = this.#samples.get(name) ?? []
    this.#samples.set(name, samples)
    const newest = samples.at(-1)
    if (newest !== undefined && (newest.total > total || newest.atMs > nowMs)) samples.length = 0
    samples.push({ atMs: nowMs, total })
    // One sample older than the window stays: it is where the window begins.
    while (samples.length > 2 && (samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) samples.shift()
    const first = samples[0]
    if (first === undefined || first.atMs >= nowMs) return 0
    return Math.round(((total - first.total) * 1000) / (nowMs - first.atMs))
  }
}
