// Which rows a call is needed for: those that take its branch. A guard may say yes too often, never
// too seldom: errors are values, so a call for a row that does not need it changes nothing but
// time.

import { BOOLEAN } from './expression-type.ts'
import type { Ir, IrFactory } from './ir.ts'

/** @returns by node below `roots` the condition under which it is needed; `null`: always */
export function guardsOf(factory: IrFactory, roots: readonly Ir[]): ReadonlyMap<Ir, Ir | null> {
  const guards = new Map<Ir, Ir | null>()
  const queue: (readonly [Ir, Ir | null])[] = roots.map((root) => [root, null])
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const [node, guard] = next
    const before = guards.get(node)
    if (before === null || (before !== undefined && before === guard)) continue
    // Needed on two ways: what each way asks for is not enough.
    const own = before === undefined ? guard : null
    guards.set(node, own)
    // The last that is put in is taken first, so that conditions come before their branches.
    for (const child of childrenOf(factory, node, own).reverse()) queue.push(child)
  }
  return guards
}

function childrenOf(factory: IrFactory, node: Ir, guard: Ir | null): (readonly [Ir, Ir | null])[] {
  if (node.kind === 'column' || node.kind === 'constant') return []
  const plain = node.args.map((arg) => [arg, guard] as const)
  if (node.kind === 'call') return plain
  const [first] = node.args
  switch (node.op) {
    case 'case':
      return node.args.map((arg, index) => {
        const isBranch = index % 2 === 1 && index < node.args.length
        const when = node.args[index - 1]
        return [
          arg,
          isBranch && when !== undefined ? both(factory, guard, truth(factory, when, '1')) : guard,
        ]
      })
    case 'and':
    case 'or': {
      if (first === undefined) return plain
      const decided = truth(factory, first, node.op === 'and' ? '0' : '1')
      const open = both(factory, guard, boolean(factory, 'not', [decided]))
      return node.args.map((arg, index) => [arg, index === 0 ? guard : open])
    }
    case 'coalesce': {
      if (first === undefined) return plain
      const open = both(factory, guard, boolean(factory, 'isNull', [first]))
      return node.args.map((arg, index) => [arg, index === 0 ? guard : open])
    }
    default:
      return plain
  }
}

function both(factory: IrFactory, guard: Ir | null, condition: Ir): Ir {
  return guard === null ? condition : boolean(factory, 'and', [guard, condition])
}

function truth(factory: IrFactory, node: Ir, detail: string): Ir {
  return boolean(factory, 'isTruth', [node], detail)
}

function boolean(
  factory: IrFactory,
  op: 'and' | 'not' | 'isNull' | 'isTruth',
  args: readonly Ir[],
  detail = '',
): Ir {
  const { start, end } = args[0] ?? { start: 0, end: 0 }
  const fails = args.some((arg) => arg.fails)
  const nullable = op !== 'isNull' && op !== 'isTruth' && args.some((arg) => arg.nullable)
  return factory.operation({ op, type: BOOLEAN, args, nullable, fails, detail, start, end })
}
