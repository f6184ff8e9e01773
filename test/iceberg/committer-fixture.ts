// What the tests of the committer share: lakes that are closed after each test, one with a filled
// table, and catalogs whose swap a test replaces.

import { afterEach } from 'vitest'
import { PipelineError } from '../../runtime/base/errors.ts'
import type { Catalog, CatalogSwap } from '../../runtime/catalog.ts'
import { Lake, ORDERS, targetOf } from './lake.ts'

const open: Lake[] = []
afterEach(async () => {
  for (const lake of open.splice(0)) await lake.close()
})

export const { table } = ORDERS
export const target = targetOf(table)

export async function openLake(): Promise<Lake> {
  const lake = await Lake.open()
  open.push(lake)
  return lake
}

/** A lake whose table has one committed file of ten rows, file id 1. */
export async function filledLake(): Promise<Lake> {
  const lake = await openLake()
  const files = [await lake.hollowFile(table, 0, 10)]
  await lake.commit(lake.committer(), { table, schemas: [ORDERS], files })
  return lake
}

export type Swap = (swaps: readonly CatalogSwap[]) => ReturnType<Catalog['swap']>

/** The lake's catalog with another `swap`. */
export function withSwap(lake: Lake, swap: (real: Swap) => Swap): { catalog: Catalog } {
  const real = lake.catalog
  return {
    catalog: {
      load: (wanted) => real.load(wanted),
      list: (namespace) => real.list(namespace),
      createNamespace: (namespace) => real.createNamespace(namespace),
      swap: swap((swaps) => real.swap(swaps)),
      drop: (wanted, expected) => real.drop(wanted, expected),
      close: () => real.close(),
    },
  }
}

export const lost = (): never => {
  throw new PipelineError('CATALOG_UNAVAILABLE', 'the answer was lost')
}
