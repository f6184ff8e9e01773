// Messages of 20 fields that depend on their number alone, what a pipeline makes of them, and what
// the lake must hold then.

import protobuf from 'protobufjs'

/** The full name of the message. */
export const PLAY = 'acme.Play'

const FIRST_EVENT_ID = 1_700_000_000_000

export const PLAY_SCHEMA = `syntax = "proto3"; package acme;
message Play {
  int64 event_id = 1; int64 user_id = 2; int64 up_id = 3; string title = 4; int32 duration_s = 5;
  int64 at_ms = 6; string net = 7; Device device = 8; bool offline = 9; double speed = 10;
  string city = 11; int32 position = 12; uint32 build = 13; sint32 offset = 14; fixed64 trace = 15;
  string session = 16; float volume = 17; bool paid = 18; int32 quality = 19; string referrer = 20;
}
enum Device { UNKNOWN = 0; PHONE = 1; TABLET = 2; TELEVISION = 3; }`

/** Values of message `n`; `every`: only these fields are set. */
export function play(n: number, every: (field: number) => boolean = () => true): object {
  const all = {
    event_id: FIRST_EVENT_ID + n,
    user_id: (n * 7919) % 100_000_000,
    up_id: (n * 104_729) % 1_000_000,
    title: `Episode ${n % 300} of a series`,
    duration_s: n % 3600,
    at_ms: 1_760_000_000_000 + n * 17,
    net: ['wifi', '5g', '4g'][n % 3],
    device: 1 + (n % 3),
    offline: n % 7 === 0,
    speed: 1 + (n % 4) / 4,
    city: ['Hangzhou', 'Zürich', 'São Paulo', 'Lagos'][n % 4],
    position: n % 100,
    build: 70_000 + (n % 50),
    offset: (n % 200) - 100,
    trace: n * 65_537,
    session: `s-${(n * 2_654_435_761) % 4_294_967_296}`,
    volume: (n % 10) / 10,
    paid: n % 2 === 0,
    quality: [360, 720, 1080][n % 3],
    referrer: ['search', 'home', ''][n % 3],
  }
  return Object.fromEntries(Object.entries(all).filter((_, index) => every(index + 1)))
}

/** A filter that drops one of 3,600, and five expressions. */
export const TRANSFORM = {
  filter: 'duration_s > 0',
  projection: [
    'event_id, user_id, up_id, upper(title) AS title, duration_s * 1000 AS duration_ms, at_ms',
    "net, device, offline, speed * 100 AS speed_percent, concat(city, '/', net) AS place",
    '"position", build, "offset", trace, session, volume, paid, quality',
    "coalesce(nullif(referrer, ''), 'none') AS referrer",
  ].join(', '),
} as const

/** What DuckDB is asked of the lake, in the order of `PlayTotals.fingerprint`. */
export const PLAY_FINGERPRINT = [
  'count(*)',
  'count(DISTINCT event_id)',
  'coalesce(sum(event_id), 0)',
  'coalesce(sum(user_id), 0)',
  'coalesce(sum(duration_ms), 0)',
  'coalesce(sum(length(title)), 0)',
  "coalesce(sum(CASE WHEN referrer = 'none' THEN 1 ELSE 0 END), 0)",
] as const

/** Counts what was sent, by the numbers of the messages. */
export class PlayTotals {
  private rows = 0n
  private numbers = 0n
  private users = 0n
  private seconds = 0n
  private characters = 0n
  private unreferred = 0n

  add(first: number, count: number): void {
    for (let n = first; n < first + count; n++) {
      if (n % 3600 === 0) continue
      this.rows++
      this.numbers += BigInt(n)
      this.users += BigInt((n * 7919) % 100_000_000)
      this.seconds += BigInt(n % 3600)
      this.characters += BigInt(`Episode ${n % 300} of a series`.length)
      if (n % 3 === 2) this.unreferred++
    }
  }

  get fingerprint(): string {
    const { rows, numbers, users, seconds, characters, unreferred } = this
    const events = rows * BigInt(FIRST_EVENT_ID) + numbers
    return [rows, rows, events, users, seconds * 1000n, characters, unreferred].join(' ')
  }
}

export function playType(): protobuf.Type {
  const { root } = protobuf.parse(PLAY_SCHEMA, { keepCase: true })
  root.resolveAll()
  return root.lookupType(PLAY)
}
