// What the parser makes of a text. Nothing here knows a column or a type of a column.

import type { ColumnType } from '../../type.ts'
import type { Span } from '../place.ts'

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='
export type Arithmetic = '+' | '-' | '*' | '/' | '%'

export type Ast = Span &
  (
    | { readonly kind: 'number'; readonly text: string }
    | { readonly kind: 'string'; readonly text: string }
    | { readonly kind: 'boolean'; readonly value: boolean }
    | { readonly kind: 'null' }
    /** `DATE '2026-01-01'`. */
    | { readonly kind: 'typed'; readonly type: ColumnType; readonly text: string }
    | { readonly kind: 'interval'; readonly text: string; readonly unit: string }
    | { readonly kind: 'name'; readonly name: string }
    | CallAst
    | { readonly kind: 'negate'; readonly operand: Ast }
    | {
        readonly kind: 'arithmetic'
        readonly op: Arithmetic
        readonly left: Ast
        readonly right: Ast
      }
    | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Ast; readonly right: Ast }
    | { readonly kind: 'concat' | 'and' | 'or'; readonly operands: readonly Ast[] }
    | { readonly kind: 'not'; readonly operand: Ast }
    | {
        readonly kind: 'is'
        readonly test: 'null' | 'true' | 'false' | 'unknown'
        readonly negated: boolean
        readonly operand: Ast
      }
    | {
        readonly kind: 'distinct'
        readonly negated: boolean
        readonly left: Ast
        readonly right: Ast
      }
    | {
        readonly kind: 'between'
        readonly negated: boolean
        readonly operand: Ast
        readonly low: Ast
        readonly high: Ast
      }
    | {
        readonly kind: 'in'
        readonly negated: boolean
        readonly operand: Ast
        readonly items: readonly Ast[]
      }
    | {
        readonly kind: 'like'
        readonly negated: boolean
        readonly ignoreCase: boolean
        readonly operand: Ast
        readonly pattern: Ast
        readonly escape: string | null
      }
    | {
        readonly kind: 'case'
        readonly operand: Ast | null
        readonly branches: readonly { readonly when: Ast; readonly result: Ast }[]
        readonly otherwise: Ast | null
      }
    | {
        readonly kind: 'cast'
        readonly tried: boolean
        readonly operand: Ast
        readonly type: ColumnType
      }
    | { readonly kind: 'extract'; readonly unit: string; readonly operand: Ast }
    | { readonly kind: 'zone'; readonly operand: Ast; readonly zone: Ast }
    | { readonly kind: 'element'; readonly operand: Ast; readonly index: Ast }
    | {
        readonly kind: 'arrow'
        readonly operand: Ast
        readonly step: string | number
        readonly text: boolean
      }
  )

export interface CallAst extends Span {
  readonly kind: 'call'
  readonly name: string
  readonly nameEnd: number
  readonly args: readonly Ast[]
  readonly distinct: boolean
  /** `count(*)`. */
  readonly star: boolean
  readonly filter: Ast | null
}

export type ProjectionItem =
  | (Span & { readonly kind: 'star'; readonly except: readonly NameAst[] })
  | (Span & { readonly kind: 'item'; readonly value: Ast; readonly alias: string | null })

export interface NameAst extends Span {
  readonly name: string
}
