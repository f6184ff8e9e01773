// Lists of columns as people type them: `id long not null, "Name" string, tags list<string>`.

import type { ExpressionColumn } from '../resolve/scope.ts'
import { TokenStream } from './token-stream.ts'
import { parseType } from './type-name.ts'

/** @throws PipelineError EXPRESSION_INVALID */
export function parseColumns(text: string): ExpressionColumn[] {
  const stream = new TokenStream({ text, what: 'list of columns' })
  const columns: ExpressionColumn[] = []
  do {
    const token = stream.expectName('the name of a column')
    const type = parseType(stream)
    const nullable = !stream.accept('NOT', 'NULL')
    if (nullable) stream.accept('NULL')
    if (columns.some(({ name }) => name === token.text)) {
      throw stream.error(token, `column "${token.text}" is there twice`)
    }
    columns.push({ name: token.text, type, nullable, hidden: /^__.*__$/.test(token.text) })
  } while (stream.accept(','))
  stream.expectEnd()
  return columns
}
