// What every catalog must do. A catalog's own test calls this with a way to open the same new
// catalog any number of times, as several processes would.

import type { Catalog, CatalogTable } from '../../runtime/catalog.ts'
import { expect, test } from 'vitest'

const ORDERS: CatalogTable = { namespace: 'public', name: 'orders' }
const ITEMS: CatalogTable = { namespace: 'public', name: 'items' }

export function testCatalog(name: string, openNew: OpenNew): void {
  testSwaps(name, openNew)
  testDrop(name, openNew)
  testNames(name, openNew)
}

type OpenNew = () => Promise<() => Promise<Catalog>>

async function created(catalog: Catalog, ...tables: CatalogTable[]): Promise<void> {
  await catalog.createNamespace('public')
  const swaps = tables.map((table) => ({ table, expected: null, next: `${table.name}/0` }))
  expect(await catalog.swap(swaps)).toEqual([])
}

function testSwaps(name: string, openNew: OpenNew): void {
  test(`${name}: a table is where the last swap put it`, async () => {
    const catalog = await (await openNew())()
    expect(await catalog.load(ORDERS)).toBeNull()
    await created(catalog, ORDERS)
    expect(await catalog.load(ORDERS)).toBe('orders/0')
    const moved = { table: ORDERS, expected: 'orders/0', next: 'orders/1' }
    expect(await catalog.swap([moved])).toEqual([])
    expect(await catalog.load(ORDERS)).toBe('orders/1')
    await catalog.close()
  })

  test(`${name}: a swap from another place than the current one changes nothing`, async () => {
    const catalog = await (await openNew())()
    await created(catalog, ORDERS)
    for (const expected of [null, 'orders/9', 'orders', '']) {
      expect(await catalog.swap([{ table: ORDERS, expected, next: 'x' }])).toEqual([ORDERS])
    }
    expect(await catalog.swap([{ table: ITEMS, expected: 'items/0', next: 'x' }])).toEqual([ITEMS])
    expect(await catalog.load(ORDERS)).toBe('orders/0')
    expect(await catalog.load(ITEMS)).toBeNull()
    await catalog.close()
  })

  test(`${name}: all tables of a swap move or none, and those in the way are named`, async () => {
    const catalog = await (await openNew())()
    await created(catalog, ORDERS, ITEMS)
    const mixed = [
      { table: ORDERS, expected: 'orders/0', next: 'orders/1' },
      { table: ITEMS, expected: 'items/9', next: 'items/1' },
      { table: { namespace: 'public', name: 'new' }, expected: null, next: 'new/0' },
    ]
    expect(await catalog.swap(mixed)).toEqual([ITEMS])
    expect(await catalog.load(ORDERS)).toBe('orders/0')
    expect(await catalog.load({ namespace: 'public', name: 'new' })).toBeNull()
    await catalog.close()
  })
}

function testDrop(name: string, openNew: OpenNew): void {
  test(`${name}: a table is dropped only from where it is, and can be made anew`, async () => {
    const open = await openNew()
    const catalog = await open()
    await created(catalog, ORDERS, ITEMS)
    expect(await catalog.drop(ORDERS, 'orders/9')).toBe(false)
    expect(await catalog.load(ORDERS)).toBe('orders/0')
    expect(await catalog.drop(ORDERS, 'orders/0')).toBe(true)
    const other = await open()
    for (const seen of [catalog, other]) {
      expect(await seen.load(ORDERS)).toBeNull()
      expect(await seen.load(ITEMS)).toBe('items/0')
      expect(await seen.list('public')).toEqual([ITEMS])
    }
    expect(await catalog.drop(ORDERS, 'orders/0')).toBe(false)
    const moved = { table: ORDERS, expected: 'orders/0', next: 'orders/1' }
    expect(await other.swap([moved])).toEqual([ORDERS])
    expect(await other.swap([{ ...moved, expected: null }])).toEqual([])
    expect(await catalog.load(ORDERS)).toBe('orders/1')
    await catalog.close()
    await other.close()
  })
}

function testNames(name: string, openNew: OpenNew): void {
  test(`${name}: of many processes that swap from one place exactly one wins`, async () => {
    const open = await openNew()
    const catalogs = await Promise.all(Array.from({ length: 6 }, () => open()))
    await created(catalogs[0]!, ORDERS)
    let location = 'orders/0'
    for (let round = 1; round <= 10; round++) {
      const results = await Promise.all(
        catalogs.map((catalog, racer) =>
          catalog.swap([{ table: ORDERS, expected: location, next: `orders/${round}-${racer}` }]),
        ),
      )
      const winners = results.flatMap((conflicts, racer) => (conflicts.length === 0 ? [racer] : []))
      expect(winners).toHaveLength(1)
      location = `orders/${round}-${winners[0]}`
      for (const catalog of catalogs) expect(await catalog.load(ORDERS)).toBe(location)
    }
    for (const catalog of catalogs) await catalog.close()
  })

  test(`${name}: a namespace lists its tables, one that is not there lists none`, async () => {
    const catalog = await (await openNew())()
    await created(catalog, ORDERS, ITEMS)
    await catalog.createNamespace('public')
    await catalog.createNamespace('other')
    const names = (await catalog.list('public')).map((table) => table.name)
    expect(names.toSorted()).toEqual(['items', 'orders'])
    expect(await catalog.list('other')).toEqual([])
    expect(await catalog.list('none')).toEqual([])
    await catalog.close()
  })

  test(`${name}: names may hold quotes, dots, spaces and any letters`, async () => {
    const catalog = await (await openNew())()
    for (const text of [`o'b"x`, 'a b', 'a.b', 'Größe', '表', '%_', 'SELECT']) {
      const table = { namespace: text, name: text }
      await catalog.createNamespace(text)
      expect(await catalog.swap([{ table, expected: null, next: text }])).toEqual([])
      expect(await catalog.load(table)).toBe(text)
      expect(await catalog.list(text)).toEqual([table])
    }
    await catalog.close()
  })
}
