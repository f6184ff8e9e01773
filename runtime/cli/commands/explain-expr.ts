// `millrace explain-expr`: what expressions of a pipeline file give (names, types, nullability),
// and the code that is generated for them.

import { PipelineError } from '../../base/errors.ts'
import {
  COMMIT_TIME_COLUMN,
  compileExpressions,
  type ExpressionColumn,
  type ExpressionTexts,
  withOldColumns,
} from '../../data/expression/compile.ts'
import { typeName } from '../../data/expression/expression-type.ts'
import { parseColumns } from '../../data/expression/parse/columns.ts'
import { type AddCommand, print } from '../context.ts'
import { expressionManual } from '../expression-manual.ts'
import { flag } from '../options.ts'

interface Options {
  readonly columns?: string
  readonly filter?: string
  readonly timeZone?: string
  readonly markdown?: boolean
}

export const addExplainExpr: AddCommand = (program, context) => {
  program
    .command('explain-expr')
    .description('print the types of expressions, and the code that computes them')
    .argument('[expr]', 'a projection, as "a + b AS c, upper(name) AS n"')
    .addOption(flag('--columns <list>', 'columns, as "a long not null, name string"'))
    .addOption(flag('--filter <expr>', 'a filter beside the projection'))
    .addOption(flag('--time-zone <name>', 'of conversions that name none (default UTC)'))
    .addOption(flag('--markdown', 'print the manual of expressions as a document'))
    .action((expression: string | undefined, options: Options, command) => {
      if (options.markdown === true) {
        context.terminal.draw(expressionManual())
        return
      }
      if (expression === undefined) {
        const hint = 'Write `millrace explain-expr "a + 1 AS b" --columns "a long"`.'
        throw new PipelineError('CONFIG_VALUE', 'an expression is missing', { hint })
      }
      const declared = options.columns === undefined ? [] : parseColumns(options.columns)
      const columns = withOldColumns(declared)
      const compiled = compileExpressions(columns, textsOf(expression, options), {
        unnamed: true,
        zone: options.timeZone ?? 'UTC',
        // Nothing is computed here, so any key does.
        maskKey: new Uint8Array(1),
        eventTime: { column: COMMIT_TIME_COLUMN, unit: null },
      })
      const outputs = compiled.columns.map(({ name, type, nullable, passThrough }) => ({
        name,
        type: typeName(type),
        nullable,
        passThrough: passThrough !== null,
      }))
      const reads = [...compiled.usesColumns].flatMap((index) => readName(columns, index))
      const code = compiled.code()
      print(context, command, { columns: outputs, reads, code }, () =>
        [...outputs.map(formatOutput), `reads: ${reads.join(', ') || 'nothing'}`, ...code].join(
          '\n',
        ),
      )
    })
}

/** @returns none for what says that a row is an update, which no name stands for */
function readName(columns: readonly ExpressionColumn[], index: number): string[] {
  const now = columns[index]
  if (now?.hidden !== true) return now === undefined ? [] : [now.name]
  const before = columns.find(({ old }) => old?.value === index)
  return before === undefined ? [] : [`before(${before.name})`]
}

function textsOf(projection: string, { filter }: Options): ExpressionTexts {
  return filter === undefined ? { projection } : { projection, filter }
}

function formatOutput(column: {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
  readonly passThrough: boolean
}): string {
  const nullable = column.nullable ? '' : ' not null'
  return `${column.name}: ${column.type}${nullable}${column.passThrough ? ' (passed on)' : ''}`
}
