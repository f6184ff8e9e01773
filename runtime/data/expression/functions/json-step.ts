// -> and ->>: one step into a JSON document, by name or place. What is not there is null. A text is
// looked at as a whole first, since a broken one must not give values; json columns are known to be
// valid.

import type { BytesBuilder } from '../../column/builder.ts'
import { JSON_TEXT, STRING } from '../expression-type.ts'
import { findElement, findMember, found, isJson, jsonString } from '../kernels/json-scan.ts'
import { textConstant, type Binding, type FunctionSpec, type Kernel } from './function.ts'
import { appendBytes, appendText, bytesArgument } from './rows.ts'

const QUOTE = 0x22
const LETTER_N = 0x6e

function step(asText: boolean, checked: boolean): (binding: Binding) => Kernel {
  return (binding) => {
    const name = textConstant(binding, 1)
    const index = Number(name === null ? binding.constants[1] : 0)
    return (call) => {
      const { offsets, bytes } = bytesArgument(call, 0)
      const out = call.out as BytesBuilder
      for (let row = 0; row < call.rows; row++) {
        if (call.live[row] === 0) {
          out.setNull(row)
          continue
        }
        const start = offsets[row]!
        const end = offsets[row + 1]!
        if (checked && !isJson(bytes, start, end)) {
          call.fail(row, 'the text is no JSON')
          continue
        }
        const there =
          name === null
            ? findElement(bytes, start, end, index)
            : findMember(bytes, start, end, name)
        if (!there || (asText && bytes[found.start] === LETTER_N)) out.setNull(row)
        else {
          if (asText && bytes[found.start] === QUOTE) {
            appendText(out, jsonString(bytes, found.start, found.end))
          } else appendBytes(out, bytes, found.start, found.end)
          out.endRow(row)
        }
      }
    }
  }
}

function overloads(asText: boolean): FunctionSpec['overloads'] {
  const result = asText ? STRING : JSON_TEXT
  return (['json', 'string'] as const).flatMap((type) =>
    (['constant string', 'constant long'] as const).map((second) => ({
      parameters: [type, second],
      result,
      nullable: true as const,
      costly: true as const,
      ...(type === 'string' ? { fails: true as const } : {}),
      prepare: step(asText, type === 'string'),
    })),
  )
}

export const jsonStepFunctions: readonly FunctionSpec[] = [
  {
    name: 'json_member',
    group: 'json',
    usage: 'json_member(j, name | place)',
    summary:
      'A member or element as json, as `j -> name`; places count from 0, from -1 at the end.',
    overloads: overloads(false),
  },
  {
    name: 'json_text',
    group: 'json',
    usage: 'json_text(j, name | place)',
    summary: 'A member or element as a text, as `j ->> name`; a JSON null is null.',
    overloads: overloads(true),
  },
]
