// Hashes: md5, sha1, sha256, sha512 as hexadecimal texts, with a key or without, XXH64, buckets of
// Iceberg, and UUIDs by name.

import { createHash, createHmac } from 'node:crypto'
import type { BytesBuilder, FixedBuilder } from '../../column/builder.ts'
import { bucketRows } from '../../partition/bucket.ts'
import { INT, LONG, STRING, UUID } from '../expression-type.ts'
import { readUuid, uuidBytes } from '../kernels/uuid-text.ts'
import { xxhash64 } from '../kernels/xxhash64.ts'
import { Refusal, textConstant, type Binding } from './function.ts'
import type { FunctionSpec, Kernel, Overload, Parameter } from './function.ts'
import { appendText, bytesArgument, int64Argument, rowKernel } from './rows.ts'

function hexOf(algorithm: string): Kernel {
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    return (row) => {
      const value = bytes.subarray(offsets[row], offsets[row + 1])
      appendText(out, createHash(algorithm).update(value).digest('hex'))
      out.endRow(row)
    }
  })
}

function hash(algorithm: string): FunctionSpec {
  const kernel = hexOf(algorithm)
  return {
    name: algorithm,
    group: 'hash',
    usage: `${algorithm}(s | b)`,
    summary: 'The hash of the bytes, in lowercase hexadecimal digits.',
    overloads: (['string', 'binary'] as const).map((kind) => ({
      parameters: [kind],
      result: STRING,
      costly: true,
      prepare: () => kernel,
    })),
  }
}

/** @throws Refusal where the pipeline has no key */
function keyedHash({ maskKey }: Binding): Kernel {
  if (maskKey === null) {
    const hint = 'Give `secrets.mask_key` in the pipeline file.'
    throw new Refusal(0, 'hmac_sha256 needs a key', hint)
  }
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    return (row) => {
      const value = bytes.subarray(offsets[row], offsets[row + 1])
      appendText(out, createHmac('sha256', maskKey).update(value).digest('hex'))
      out.endRow(row)
    }
  })
}

const xxhashOfBytes: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const values = (call.out as FixedBuilder).values as BigInt64Array
  return (row) => {
    values[row] = BigInt.asIntN(64, xxhash64(bytes, offsets[row]!, offsets[row + 1]!))
  }
})

/** Of the eight bytes of a long, the lowest first. */
const xxhashOfLong: Kernel = rowKernel((call) => {
  const { buffer, byteOffset, byteLength } = int64Argument(call, 0)
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  const values = (call.out as FixedBuilder).values as BigInt64Array
  return (row) => {
    values[row] = BigInt.asIntN(64, xxhash64(bytes, row * 8, row * 8 + 8))
  }
})

/** RFC 9562, section 6.6. */
const NAMESPACES: Readonly<Record<string, string>> = {
  dns: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
  url: '6ba7b811-9dad-11d1-80b4-00c04fd430c8',
  oid: '6ba7b812-9dad-11d1-80b4-00c04fd430c8',
  x500: '6ba7b814-9dad-11d1-80b4-00c04fd430c8',
}

/** @throws Refusal */
function namespaceOf(name: string): Uint8Array {
  const text = new TextEncoder().encode(NAMESPACES[name.toLowerCase()] ?? name)
  if (!readUuid(text, 0, text.length)) {
    const hint = `Write a UUID, or one of ${Object.keys(NAMESPACES).join(', ')}.`
    throw new Refusal(0, `"${name}" is no namespace`, hint)
  }
  return uuidBytes.slice()
}

/** @param binding  whose first argument is a constant name, or a column of UUIDs */
function uuidOfName(binding: Binding): Kernel {
  const constant = textConstant(binding, 0)
  const fixed = constant === null ? null : namespaceOf(constant)
  return rowKernel((call) => {
    const column = call.args[0]!
    const spaces = column.layout === 'uuid16' ? column.values : null
    const { offsets, bytes } = bytesArgument(call, 1)
    const values = (call.out as FixedBuilder).values as Uint8Array
    return (row) => {
      const space = fixed ?? spaces!.subarray(row * 16, row * 16 + 16)
      const name = bytes.subarray(offsets[row], offsets[row + 1])
      const digest = createHash('sha1').update(space).update(name).digest()
      for (let at = 0; at < 16; at++) values[row * 16 + at] = digest[at]!
      values[row * 16 + 6] = 0x50 | (digest[6]! & 0x0f)
      values[row * 16 + 8] = 0x80 | (digest[8]! & 0x3f)
    }
  })
}

/** Buckets of all rows at once, over a column that the next batch uses again. */
function bucket({ constants }: Binding): Kernel {
  const buckets = Number(constants[0])
  if (buckets < 1) throw new Refusal(0, 'there is at least one bucket')
  let into = new Int32Array(0)
  return (call) => {
    if (into.length < call.rows) into = new Int32Array(call.rows)
    bucketRows(call.args[1]!, call.rows, buckets, into)
    const out = call.out as FixedBuilder
    const values = out.values as Int32Array
    for (let row = 0; row < call.rows; row++) {
      if (call.live[row] === 0) out.setNull(row)
      else values[row] = into[row]!
    }
  }
}

/** Types that Iceberg has buckets of. */
const BUCKETED: readonly Parameter[] = [
  'int',
  'long',
  'decimal',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'binary',
]

function named(first: Parameter): Overload {
  return { parameters: [first, 'string'], result: UUID, costly: true, prepare: uuidOfName }
}

export const hashFunctions: readonly FunctionSpec[] = [
  hash('md5'),
  hash('sha1'),
  hash('sha256'),
  hash('sha512'),
  {
    name: 'hmac_sha256',
    group: 'hash',
    usage: 'hmac_sha256(s | b)',
    summary: 'HMAC-SHA-256 under `secrets.mask_key`, in lowercase hexadecimal digits.',
    overloads: (['string', 'binary'] as const).map((kind) => ({
      parameters: [kind],
      result: STRING,
      costly: true,
      prepare: keyedHash,
    })),
  },
  {
    name: 'xxhash64',
    group: 'hash',
    usage: 'xxhash64(s | b | n)',
    summary: 'XXH64 with seed 0 of the bytes, or of the eight bytes of a long, lowest first.',
    overloads: [
      { parameters: ['string'], result: LONG, costly: true, prepare: () => xxhashOfBytes },
      { parameters: ['binary'], result: LONG, prepare: () => xxhashOfBytes },
      { parameters: ['long'], result: LONG, prepare: () => xxhashOfLong },
    ],
  },
  {
    name: 'uuid_v5',
    group: 'hash',
    usage: 'uuid_v5(namespace, s)',
    summary:
      'The UUID of a name within a namespace: a UUID, or dns, url, oid, x500 as RFC 9562 has them.',
    overloads: [named('constant string'), named('uuid')],
  },
  {
    name: 'iceberg_bucket',
    group: 'hash',
    usage: 'iceberg_bucket(n, x)',
    summary: 'The bucket of `n` that a table of Iceberg partitioned by bucket(n) puts it into.',
    overloads: BUCKETED.map((kind) => ({
      parameters: ['constant int', kind],
      result: INT,
      prepare: bucket,
    })),
  },
]
