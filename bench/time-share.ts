// How long a scenario may take: the bench's time is divided among what is still to be run, so that
// all of it ends when it should, and what one leaves is there for those after it.

export class TimeShare {
  private readonly now: () => number
  private readonly endMs: number

  /**
   * @param now  milliseconds on a clock that never goes back
   * @param endMs  on that clock
   */
  constructor(now: () => number, endMs: number) {
    this.now = now
    this.endMs = endMs
  }

  /** The next of `parts` equal parts of what is left. @param parts  1 or more, with the next one */
  part(parts: number): TimeShare {
    const nowMs = this.now()
    return new TimeShare(this.now, nowMs + Math.max(0, this.endMs - nowMs) / parts)
  }

  /** @param ms  of something that has not begun yet */
  fits(ms: number): boolean {
    return this.now() + ms <= this.endMs
  }

  /** Rounds of one kind of work. @param most  1 or more */
  rounds(most: number): Rounds {
    return new Rounds(this, this.now, most)
  }
}

/** At least one, at most as many as wanted, and none that would not end in time. */
export class Rounds {
  /** That have begun. */
  begun = 0
  private readonly share: TimeShare
  private readonly now: () => number
  private readonly most: number
  private startMs = 0
  /** The longest so far: the next one may be as slow. */
  private longestMs = 0

  constructor(share: TimeShare, now: () => number, most: number) {
    this.share = share
    this.now = now
    this.most = most
  }

  /** Called before each round; @returns whether there is another one */
  next(): boolean {
    const nowMs = this.now()
    if (this.begun > 0) this.longestMs = Math.max(this.longestMs, nowMs - this.startMs)
    if (this.begun >= this.most) return false
    if (this.begun > 0 && !this.share.fits(this.longestMs)) return false
    this.startMs = nowMs
    this.begun++
    return true
  }
}
