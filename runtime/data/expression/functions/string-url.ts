// URLs (RFC 3986): percent encoding, and parts, which stay encoded as they stand.

import type { BytesBuilder } from '../../column/builder.ts'
import { STRING } from '../expression-type.ts'
import { Refusal, textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { appendText, bytesArgument, decodeText, rowKernel, textKernel } from './rows.ts'

const HEX = new TextEncoder().encode('0123456789ABCDEF')
const PERCENT = 0x25

/** Letters, digits and - . _ ~ stand for themselves. */
const UNRESERVED = new Uint8Array(256)
for (let code = 0; code < 128; code++) {
  UNRESERVED[code] = /[A-Za-z0-9\-._~]/.test(String.fromCharCode(code)) ? 1 : 0
}

const encode: Kernel = textKernel((bytes, start, end, out) => {
  out.reserveBytes((end - start) * 3)
  const target = out.bytes
  let to = out.bytesLength
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (UNRESERVED[byte] === 1) target[to++] = byte
    else {
      target[to++] = PERCENT
      target[to++] = HEX[byte >> 4]!
      target[to++] = HEX[byte & 15]!
    }
  }
  out.bytesLength = to
})

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

const decode: Kernel = rowKernel((call) => {
  const { offsets, bytes } = bytesArgument(call, 0)
  const out = call.out as BytesBuilder
  return (row) => {
    const end = offsets[row + 1]!
    out.reserveBytes(end - offsets[row]!)
    const begin = out.bytesLength
    let isAsciiOnly = true
    for (let at = offsets[row]!; at < end; at++) {
      let byte = bytes[at]!
      const high = byte === PERCENT && at + 2 < end ? hexDigit(bytes[at + 1]) : -1
      const low = high < 0 ? -1 : hexDigit(bytes[at + 2])
      if (low >= 0) {
        byte = (high << 4) | low
        if (byte >= 0x80) isAsciiOnly = false
        at += 2
      }
      out.bytes[out.bytesLength++] = byte
    }
    if (isAsciiOnly || isUtf8(out.bytes.subarray(begin, out.bytesLength))) out.endRow(row)
    else {
      out.bytesLength = begin
      call.fail(row, 'the decoded text is no UTF-8')
    }
  }
})

const URL_PARTS = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s
const AUTHORITY_PARTS = /^(?:([^@]*)@)?(\[[^\]]*\]|[^:]*)(?::(.*))?$/s

type Part = (url: RegExpExecArray) => string | undefined

function authorityPart(group: number): Part {
  return (url) => (url[2] === undefined ? undefined : AUTHORITY_PARTS.exec(url[2])?.[group])
}

const PARTS: Readonly<Record<string, Part>> = {
  scheme: (url) => url[1],
  authority: (url) => url[2],
  user: authorityPart(1),
  host: authorityPart(2),
  port: authorityPart(3),
  path: (url) => url[3],
  query: (url) => url[4],
  fragment: (url) => url[5],
}

/** @throws Refusal */
function urlPart(binding: Binding): Kernel {
  const name = textConstant(binding, 1)?.toLowerCase() ?? ''
  const part = PARTS[name]
  if (part === undefined) {
    const hint = `Parts are ${Object.keys(PARTS).join(', ')}.`
    throw new Refusal(1, `a URL has no part "${name}"`, hint)
  }
  return rowKernel((call) => {
    const { offsets, bytes } = bytesArgument(call, 0)
    const out = call.out as BytesBuilder
    return (row) => {
      const url = URL_PARTS.exec(decodeText(bytes, offsets[row]!, offsets[row + 1]!))
      const text = url === null ? undefined : part(url)
      if (text === undefined) out.setNull(row)
      else {
        appendText(out, text)
        out.endRow(row)
      }
    }
  })
}

export const stringUrlFunctions: readonly FunctionSpec[] = [
  {
    name: 'url_encode',
    group: 'string',
    usage: 'url_encode(s)',
    summary: 'All but letters, digits and `-._~` as `%XX`, byte by byte.',
    overloads: [{ parameters: ['string'], result: STRING, prepare: () => encode }],
  },
  {
    name: 'url_decode',
    group: 'string',
    usage: 'url_decode(s)',
    summary: 'Each `%XX` as the byte that it is; a `+` stays. What is no UTF-8 then is an error.',
    overloads: [{ parameters: ['string'], result: STRING, fails: true, prepare: () => decode }],
  },
  {
    name: 'url_part',
    group: 'string',
    usage: 'url_part(s, part)',
    summary:
      'scheme, authority, user, host, port, path, query or fragment of a URL; null without one.',
    overloads: [
      {
        parameters: ['string', 'constant string'],
        result: STRING,
        nullable: true,
        costly: true,
        prepare: urlPart,
      },
    ],
  },
]
