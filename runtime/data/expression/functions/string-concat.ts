// Texts made of several values: concat, concat_ws.

import type { BytesBuilder } from '../../column/builder.ts'
import { isNull } from '../../column/column.ts'
import { STRING } from '../expression-type.ts'
import { Refusal, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { appendBytes, bytesArgument, rowKernel } from './rows.ts'
import { zoneArgument } from './time.ts'
import { hasText, valueAppender } from './value-text.ts'

/** @throws Refusal */
function refuseTextless({ types }: Binding): void {
  for (const [index, type] of types.entries()) {
    if (hasText(type)) continue
    const hint = type.kind === 'list' ? 'Use list_join(l, sep).' : 'Use to_hex(b) or to_base64(b).'
    throw new Refusal(index, `a ${type.kind} has no text`, hint)
  }
}

function concat(binding: Binding): Kernel {
  refuseTextless(binding)
  const zone = zoneArgument(binding, -1)
  return rowKernel((call) => {
    const out = call.out as BytesBuilder
    const appenders = call.args.map((arg) => valueAppender(arg, zone))
    return (row) => {
      for (const append of appenders) append(out, row)
      out.endRow(row)
    }
  })
}

/** Nulls are skipped, so that this one looks at validity itself; a null separator gives null. */
function concatWs(binding: Binding): Kernel {
  refuseTextless(binding)
  const zone = zoneArgument(binding, -1)
  return rowKernel((call) => {
    const out = call.out as BytesBuilder
    const separator = bytesArgument(call, 0)
    const values = call.args.slice(1)
    const appenders = values.map((arg) => valueAppender(arg, zone))
    return (row) => {
      if (isNull(separator, row)) {
        out.setNull(row)
        return
      }
      let first = true
      for (let index = 0; index < values.length; index++) {
        if (isNull(values[index]!, row)) continue
        if (!first) {
          appendBytes(out, separator.bytes, separator.offsets[row]!, separator.offsets[row + 1]!)
        }
        first = false
        appenders[index]!(out, row)
      }
      out.endRow(row)
    }
  })
}

export const stringConcatFunctions: readonly FunctionSpec[] = [
  {
    name: 'concat',
    group: 'string',
    usage: 'concat(x...)',
    summary: 'The values as texts, one behind the other; null when any is null.',
    overloads: [{ parameters: ['any'], variadic: true, result: STRING, prepare: concat }],
  },
  {
    name: 'concat_ws',
    group: 'string',
    usage: 'concat_ws(sep, x...)',
    summary: 'The values that are not null as texts, with `sep` between them.',
    overloads: [
      {
        parameters: ['string', 'any'],
        variadic: true,
        nulls: 'kernel',
        result: STRING,
        prepare: concatWs,
      },
    ],
  },
]
