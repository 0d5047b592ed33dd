// Line charts as SVG, small enough to be read as text: axes linear or logarithmic, a legend, and marks for events.

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Chart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: readonly Series[]
  readonly isLogX?: boolean
  readonly isLogY?: boolean
  /** Events on the x axis, each a dashed line with its name. */
  readonly marks?: readonly { readonly x: number; readonly name: string }[]
}

const [WIDTH, HEIGHT] = [820, 420]
const PLOT = { left: 80, right: WIDTH - 170, top: 44, bottom: HEIGHT - 52 }
/** Distinguishable also without the difference of red and green (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000']

interface Axis {
  readonly ticks: readonly number[]
  at(value: number): number
}

export function lineChart(chart: Chart): string {
  const points = chart.series.flatMap((series) => series.points)
  if (points.length === 0) throw new RangeError(`there is nothing to draw in "${chart.title}"`)
  const marks = chart.marks ?? []
  const xs = [...points.map(([x]) => x), ...marks.map(({ x }) => x)]
  const x = axis(xs, chart.isLogX === true, false, [PLOT.left, PLOT.right])
  const ys = points.map(([, y]) => y)
  const y = axis(ys, chart.isLogY === true, true, [PLOT.bottom, PLOT.top])
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(PLOT.left, 24, chart.title, 'font-size="15" font-weight="600"'),
    text((PLOT.left + PLOT.right) / 2, HEIGHT - 14, chart.xLabel, 'text-anchor="middle"'),
    text(
      18,
      (PLOT.top + PLOT.bottom) / 2,
      chart.yLabel,
      `text-anchor="middle" transform="rotate(-90 18 ${(PLOT.top + PLOT.bottom) / 2})"`,
    ),
    ...x.ticks.flatMap((tick) => [
      line(x.at(tick), PLOT.top, x.at(tick), PLOT.bottom, '#e4e4e4'),
      text(x.at(tick), PLOT.bottom + 18, shorten(tick), 'text-anchor="middle"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      line(PLOT.left, y.at(tick), PLOT.right, y.at(tick), '#e4e4e4'),
      text(PLOT.left - 8, y.at(tick) + 4, shorten(tick), 'text-anchor="end"'),
    ]),
    ...marks.flatMap((mark, order) => [
      line(x.at(mark.x), PLOT.top, x.at(mark.x), PLOT.bottom, '#999', 'stroke-dasharray="4 3"'),
      text(x.at(mark.x) + 3, PLOT.top + 10 + (order % 6) * 12, mark.name, 'font-size="9" fill="#555"'),
    ]),
    ...chart.series.flatMap((series, order) => drawSeries(series, order, x, y)),
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#222">\n${parts.join('\n')}\n</svg>\n`
}

function drawSeries({ name, points }: Series, order: number, x: Axis, y: Axis): string[] {
  const colour = COLOURS[order % COLOURS.length]!
  const path = points.map(([px, py]) => `${round(x.at(px))},${round(y.at(py))}`).join(' ')
  const legendY = PLOT.top + 12 + order * 18
  // Dots show where something was measured, unless there are so many that they would be the line.
  const dots =
    points.length > 60
      ? []
      : points.map(([px, py]) => `<circle cx="${round(x.at(px))}" cy="${round(y.at(py))}" r="3" fill="${colour}"/>`)
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${points.length > 60 ? 1 : 1.8}"/>`,
    ...dots,
    line(PLOT.right + 12, legendY, PLOT.right + 32, legendY, colour, 'stroke-width="2"'),
    text(PLOT.right + 38, legendY + 4, name),
  ]
}

function axis(
  values: readonly number[],
  isLog: boolean,
  isFromZero: boolean,
  [from, to]: readonly [number, number],
): Axis {
  const lowest = values.reduce((a, b) => Math.min(a, b), Infinity)
  const highest = values.reduce((a, b) => Math.max(a, b), -Infinity)
  if (isLog) {
    if (!(lowest > 0)) throw new RangeError(`a logarithmic axis cannot show ${lowest}`)
    const low = Math.floor(Math.log10(lowest))
    const high = Math.max(Math.ceil(Math.log10(highest)), low + 1)
    const ticks = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at))
    return { ticks, at: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from) }
  }
  const start = isFromZero ? Math.min(0, lowest) : lowest
  const step = niceStep((highest - start) / 6)
  const low = Math.floor(start / step) * step
  const high = Math.max(Math.ceil(highest / step) * step, low + step)
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, at) => low + at * step)
  return { ticks, at: (value) => from + ((value - low) / (high - low)) * (to - from) }
}

/** The next of 1, 2, 5 times a power of ten. */
function niceStep(atLeast: number): number {
  if (!(atLeast > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(atLeast))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= atLeast * 0.999)!
}

/** 20000 reads 20k. */
function shorten(value: number): string {
  const [divisor, unit] = Math.abs(value) >= 1e6 ? [1e6, 'M'] : Math.abs(value) >= 1e3 ? [1e3, 'k'] : [1, '']
  return `${Number((value / divisor).toPrecision(4))}${unit}`
}

const round = (value: number): string => value.toFixed(1)

const line = (x1: number, y1: number, x2: number, y2: number, colour: string, more = ''): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}" ${more}/>`

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${round(x)}" y="${round(y)}" ${more}>${escape(content)}</text>`

const escape = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
