// A single value outside a column: a default, a bound. Text and JSON forms are the sink's business.

/**
 * boolean · bigint for int, long, date (days), time and timestamps (us) and decimal (unscaled) ·
 * number for float and double · string · Uint8Array for uuid (16 bytes) and binary.
 */
export type Literal = boolean | bigint | number | string | Uint8Array
