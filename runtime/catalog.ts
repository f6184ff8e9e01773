// The port of an Iceberg catalog: where the current metadata file of each table is, and the
// compare-and-swap that moves it.

export interface CatalogTable {
  readonly namespace: string
  readonly name: string
}

export interface CatalogSwap {
  readonly table: CatalogTable
  /** Location that must still be current; `null`: the table must not exist. */
  readonly expected: string | null
  readonly next: string
}

export interface Catalog {
  /** @returns location of the table's metadata file; `null` when there is no such table */
  load(table: CatalogTable): Promise<string | null>
  /** All tables of a namespace; [] when it does not exist. */
  list(namespace: string): Promise<readonly CatalogTable[]>
  createNamespace(namespace: string): Promise<void>
  /**
   * Moves all tables together or none.
   *
   * @returns the tables whose expected location was not current; [] when all were moved; `busy` when
   *          somebody else holds the catalog: nothing was changed
   * @throws PipelineError CATALOG_UNAVAILABLE when the outcome is unknown
   */
  swap(swaps: readonly CatalogSwap[]): Promise<readonly CatalogTable[] | 'busy'>
  /**
   * Takes a table out of the catalog; its files stay.
   *
   * @param expected  location that must still be current
   * @returns false when it was not: nothing is changed then
   * @throws PipelineError CATALOG_UNAVAILABLE when the outcome is unknown or nothing happened
   */
  drop(table: CatalogTable, expected: string): Promise<boolean>
  close(): Promise<void>
}
