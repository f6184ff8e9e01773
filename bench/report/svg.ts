// Plots as SVG text: bars beside each other, bars in parts, lines over a grid. No scripts and no
// colours of their own: classes that the page's style gives colours to, light and dark. Every mark
// has a title, which browsers show under the pointer. Text is escaped here and nowhere else.

const WIDTH = 760
const LABEL_WIDTH = 236
const VALUE_WIDTH = 128
const ROW_HEIGHT = 30
const BAR_HEIGHT = 18
const LEFT = 64
const RIGHT = 16
const TOP = 12
const BOTTOM = 40
const LINES_HEIGHT = 260
const TICKS = 5

export interface Bar {
  readonly label: string
  readonly value: number
  /** Slowest and fastest run. */
  readonly range: readonly [number, number]
  /** As it stands behind the bar. */
  readonly text: string
  /** Class of the bar. */
  readonly look: string
}

export interface PartedBar {
  readonly label: string
  readonly text: string
  readonly parts: readonly {
    readonly name: string
    readonly value: number
    readonly look: string
  }[]
}

export interface Axis {
  readonly label: string
  readonly ticks: readonly { readonly at: number; readonly text: string }[]
}

export interface Line {
  readonly name: string
  readonly look: string
  /** In the order of x. */
  readonly points: readonly { readonly x: number; readonly y: number; readonly title: string }[]
}

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** Bars from zero, a whisker from the slowest to the fastest run over each. */
export function barPlot(title: string, bars: readonly Bar[]): string {
  const scale = barScale(bars.map(({ value, range }) => Math.max(value, range[1])))
  const rows = bars.map(({ label, value, range, text, look }, at) => {
    const y = at * ROW_HEIGHT + TOP
    const end = Math.max(scale(value), scale(range[1]))
    const middle = y + BAR_HEIGHT / 2
    const [low, high] = range.map((each) => fixed(LABEL_WIDTH + scale(each)))
    const whisker =
      range[0] === range[1] ? '' : `<path class="whisker" d="M${low} ${middle}H${high}"/>`
    return (
      rowLabel(label, y) +
      `<rect class="${look}" x="${LABEL_WIDTH}" y="${y}" width="${fixed(scale(value))}" ` +
      `height="${BAR_HEIGHT}" rx="2"><title>${escaped(`${label}: ${text}`)}</title></rect>` +
      whisker +
      valueText(text, end, y)
    )
  })
  return svg(title, bars.length * ROW_HEIGHT + TOP, rows.join(''))
}

/** Bars from zero, each a row of parts. */
export function partedPlot(title: string, bars: readonly PartedBar[]): string {
  const totals = bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0))
  const scale = barScale(totals)
  const rows = bars.map(({ label, text, parts }, at) => {
    const y = at * ROW_HEIGHT + TOP
    let before = 0
    const marks = parts.map(({ name, value, look }) => {
      const x = LABEL_WIDTH + scale(before)
      before += value
      const shown = escaped(`${label}, ${name}: ${value.toFixed(2)}`)
      return (
        `<rect class="${look}" x="${fixed(x)}" y="${y}" width="${fixed(scale(value))}" ` +
        `height="${BAR_HEIGHT}"><title>${shown}</title></rect>`
      )
    })
    return rowLabel(label, y) + marks.join('') + valueText(text, scale(totals[at] ?? 0), y)
  })
  return svg(title, bars.length * ROW_HEIGHT + TOP, rows.join(''))
}

/** Lines over a grid; the axes begin and end with their first and last tick. */
export function linePlot(title: string, x: Axis, y: Axis, lines: readonly Line[]): string {
  const width = WIDTH - LEFT - RIGHT
  const height = LINES_HEIGHT - TOP - BOTTOM
  const toX = axisScale(x, LEFT, LEFT + width)
  const toY = axisScale(y, TOP + height, TOP)
  const bottom = TOP + height
  const grid = [
    ...y.ticks.map(({ at, text }) => {
      const place = fixed(toY(at))
      return (
        `<path class="grid" d="M${LEFT} ${place}H${LEFT + width}"/>` +
        `<text class="tick end" x="${LEFT - 8}" y="${place}" dy="0.35em">${escaped(text)}</text>`
      )
    }),
    ...x.ticks.map(
      ({ at, text }) =>
        `<path class="grid" d="M${fixed(toX(at))} ${bottom}v5"/>` +
        `<text class="tick middle" x="${fixed(toX(at))}" y="${bottom + 18}">${escaped(text)}</text>`,
    ),
    `<text class="axis end" x="${LEFT + width}" y="${LINES_HEIGHT - 4}">${escaped(x.label)}</text>`,
    `<text class="axis" x="${LEFT + 6}" y="${TOP + 12}">${escaped(y.label)}</text>`,
  ]
  const drawn = lines.map(({ name, look, points }) => {
    const path = points.map((point) => `${fixed(toX(point.x))} ${fixed(toY(point.y))}`).join('L')
    const dots = points.map(
      (point) =>
        `<circle class="${look} dot" cx="${fixed(toX(point.x))}" cy="${fixed(toY(point.y))}" ` +
        `r="${points.length > 20 ? 1 : 3}"><title>${escaped(point.title)}</title></circle>`,
    )
    const line = `<path class="${look} line" d="M${path}"><title>${escaped(name)}</title></path>`
    return points.length === 0 ? '' : line + dots.join('')
  })
  return svg(title, LINES_HEIGHT, [...grid, ...drawn].join(''))
}

/** Round numbers from 0 to one that is not below `max`. */
export function niceTicks(max: number): number[] {
  const rough = max > 0 && Number.isFinite(max) ? max / TICKS : 1 / TICKS
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 2.5, 5, 10].find((each) => each * power >= rough) ?? 10)
  const count = Math.max(1, Math.ceil((max / step) * (1 - 1e-9)))
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(12)))
}

function barScale(values: readonly number[]): (value: number) => number {
  const largest = Math.max(...values, Number.MIN_VALUE)
  return (value) => (value / largest) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)
}

function axisScale({ ticks }: Axis, start: number, end: number): (value: number) => number {
  const first = ticks[0]?.at ?? 0
  const last = ticks.at(-1)?.at ?? 1
  return (value) => start + ((value - first) / (last - first || 1)) * (end - start)
}

function rowLabel(label: string, y: number): string {
  const x = LABEL_WIDTH - 10
  return `<text class="end" x="${x}" y="${y + BAR_HEIGHT / 2}" dy="0.35em">${escaped(label)}</text>`
}

function valueText(text: string, end: number, y: number): string {
  const x = fixed(LABEL_WIDTH + end + 8)
  return `<text class="value" x="${x}" y="${y + BAR_HEIGHT / 2}" dy="0.35em">${escaped(text)}</text>`
}

function svg(title: string, height: number, content: string): string {
  return (
    `<svg role="img" aria-label="${escaped(title)}" viewBox="0 0 ${WIDTH} ${height}" ` +
    `width="${WIDTH}" height="${height}">${content}</svg>`
  )
}

function fixed(value: number): string {
  return String(Number(value.toFixed(1)))
}
