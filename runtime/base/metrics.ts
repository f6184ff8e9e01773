// Counters and gauges as cells of typed arrays, so that counting costs an addition. prom-client
// sees them only when somebody scrapes: a call of its own for each row would cost 200-700 ns.

import { Counter, Gauge, type Registry } from 'prom-client'

export type MetricKind = 'counter' | 'gauge'

export interface MetricFamily {
  readonly kind: MetricKind
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
}

/** One metric with a value for each combination of labels. */
export class Metric {
  readonly family: MetricFamily
  readonly #cells = new Map<string, number>()
  readonly #labels: (readonly string[])[] = []
  #values = new Float64Array(8)

  constructor(family: MetricFamily) {
    this.family = family
  }

  /**
   * Finds or makes the cell of a combination of labels; look it up once and keep the number.
   *
   * @param labels  values in the order of `labelNames`
   */
  cell(...labels: readonly string[]): number {
    const key = JSON.stringify(labels)
    const known = this.#cells.get(key)
    if (known !== undefined) return known
    const cell = this.#labels.length
    this.#labels.push(labels)
    this.#cells.set(key, cell)
    if (cell === this.#values.length) {
      const larger = new Float64Array(cell * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    return cell
  }

  add(cell: number, amount: number): void {
    this.#values[cell] = (this.#values[cell] ?? 0) + amount
  }

  set(cell: number, value: number): void {
    this.#values[cell] = value
  }

  /** @returns each combination of labels by name, with its value */
  samples(): { readonly labels: Record<string, string>; readonly value: number }[] {
    return this.#labels.map((values, cell) => {
      const named = this.family.labelNames.map((name, index) => [name, values[index] ?? ''])
      return {
        labels: Object.fromEntries(named) as Record<string, string>,
        value: this.value(cell),
      }
    })
  }

  value(cell: number): number {
    return this.#values[cell] ?? 0
  }
}

/** Metrics by name. A name has one kind, one help text and one list of labels. */
export class MetricSet {
  readonly #metrics = new Map<string, Metric>()

  counter(name: string, help: string, labelNames: readonly string[] = []): Metric {
    return this.#metric({ kind: 'counter', name, help, labelNames })
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Metric {
    return this.#metric({ kind: 'gauge', name, help, labelNames })
  }

  all(): readonly Metric[] {
    return [...this.#metrics.values()]
  }

  #metric(family: MetricFamily): Metric {
    const known = this.#metrics.get(family.name)
    if (known !== undefined) return known
    const metric = new Metric(family)
    this.#metrics.set(family.name, metric)
    return metric
  }
}

/** Puts the values of a set into a registry of prom-client, for one scrape. */
export function register(metrics: MetricSet, registry: Registry): void {
  for (const metric of metrics.all()) {
    const { kind, name, help, labelNames } = metric.family
    const options = { name, help, labelNames: [...labelNames], registers: [registry] }
    if (kind === 'counter') {
      const counter = new Counter(options)
      for (const { labels, value } of metric.samples()) counter.inc(labels, value)
    } else {
      const gauge = new Gauge(options)
      for (const { labels, value } of metric.samples()) gauge.set(labels, value)
    }
  }
}
