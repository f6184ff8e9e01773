// Why a record is not what its format says, and where. Kernels tell by a return value that they
// failed and leave the reason here: an exception a record would cost more than the record.

/** Of the last kernel that failed. */
export const fault = {
  /** Index into the bytes. */
  at: 0,
  /** Goes on after a colon: `a string has no end`. */
  reason: '',
}

/** What functions return that otherwise return a place, or the complement of one. */
export const FAULT = -0x8000_0000

export function failAt(at: number, reason: string): typeof FAULT {
  fault.at = at
  fault.reason = reason
  return FAULT
}

/** For kernels that return whether they succeeded. */
export function refuse(at: number, reason: string): false {
  fault.at = at
  fault.reason = reason
  return false
}
