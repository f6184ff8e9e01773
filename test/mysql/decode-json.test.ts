// Doubles of JSON documents as MySQL 9.7 prints them; decode-json.live.test.ts asks the server.

import { expect, test } from 'vitest'
import { formatDouble } from '../../connectors/mysql/decode/json-text.ts'

test.each([
  [0, '0.0'],
  [-0, '-0.0'],
  [1, '1.0'],
  [0.1, '0.1'],
  [999_999_999_999_999, '999999999999999.0'],
  [1e15, '1e15'],
  [1_234_567_890_123_456, '1.234567890123456e15'],
  // Sixteen digits before the point and a fraction behind it.
  [1_234_567_890_123_456.5, '1234567890123456.5'],
  [-1_561_759_980_918_863.25, '-1561759980918863.2'],
  [12_345_678_901_234_568, '1.2345678901234568e16'],
  [1e-15, '0.000000000000001'],
  [1e-16, '1e-16'],
  [1e-14, '0.00000000000001'],
  [1.5e300, '1.5e300'],
])('%d is printed as %s', (value, text) => {
  expect(formatDouble(value)).toBe(text)
})
