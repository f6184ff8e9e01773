// A reading of a source's table as the lake should have it: through the operators of the pipeline.

import { PipelineError } from '../../base/errors.ts'
import type { ChangeBatch } from '../../data/batch.ts'
import { tableKey } from '../../data/schema.ts'
import type { Operator, OperatorPlans } from '../../operator.ts'
import type { TableScan } from '../../source.ts'

/** @throws PipelineError EXPRESSION_INVALID, OPERATOR_REFUSED */
export function derivedScan(scan: TableScan, plans: OperatorPlans): TableScan {
  const operator = plans.of(scan.table)?.plan(scan.table) ?? null
  if (operator === null) return scan
  if (operator.readsOldRows === true) {
    const message = `table "${tableKey(scan.table)}" cannot be verified: it has what was before updates`
    const hint = 'The rows of the source do not say that. Verify the other tables with `--table`.'
    throw new PipelineError('OPERATOR_REFUSED', message, { hint })
  }
  return {
    table: operator.output,
    batches: through(operator, scan.batches),
    high: () => scan.high(),
  }
}

async function* through(
  operator: Operator,
  batches: AsyncIterable<ChangeBatch>,
): AsyncGenerator<ChangeBatch> {
  for await (const batch of batches) {
    const left: ChangeBatch[] = []
    operator.onBatch(batch, {
      emit: (made) => left.push(made),
      filtered: () => undefined,
      dead: () => undefined,
    })
    yield* left
  }
}
