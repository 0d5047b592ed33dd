// Charts: every point lies in the plot where its value belongs, whatever the axis, and names cannot break the document.
import { expect, test } from 'vitest'
import { lineChart } from '../../scripts/bench/chart.ts'

const base = { title: 'a < b & c', xLabel: 'keys', yLabel: 'a second' }

const pointsOf = (svg: string): number[][][] =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
    points!.split(' ').map((point) => point.split(',').map(Number)),
  )

test('on a logarithmic axis tenfold steps are equally wide', () => {
  const points = [10, 100, 1_000].map((x) => [x, 1] as const)
  const [line] = pointsOf(lineChart({ ...base, isLogX: true, series: [{ name: 's', points }] }))
  const [first, second, third] = line!.map(([x]) => x!)
  expect(second! - first!).toBeCloseTo(third! - second!, 0)
})

test('a linear y axis begins at zero, and more is higher', () => {
  const series = [{ name: 's', points: [[0, 50] as const, [1, 100] as const] }]
  const [line] = pointsOf(lineChart({ ...base, series }))
  const [half, whole] = line!.map(([, y]) => y!)
  const bottom = half! + (half! - whole!)
  expect(half!).toBeGreaterThan(whole!)
  // Half the value is half as high above the axis.
  expect(bottom).toBeCloseTo(420 - 52, 0)
})

test('all values equal, a single point, and a mark beyond the points stay inside', () => {
  const series = [{ name: 's', points: [[5, 0] as const] }]
  const svg = lineChart({ ...base, series, marks: [{ x: 9, name: 'restart' }] })
  expect(svg).not.toContain('NaN')
  expect(svg).not.toContain('Infinity')
  expect(svg).toContain('restart')
})

test('names are escaped', () => {
  const svg = lineChart({ ...base, series: [{ name: '<p99>', points: [[1, 1]] }] })
  expect(svg).toContain('a &lt; b &amp; c')
  expect(svg).toContain('&lt;p99&gt;')
})

test('nothing to draw, and zero on a logarithmic axis, are refused', () => {
  expect(() => lineChart({ ...base, series: [] })).toThrow(/nothing to draw/)
  expect(() => lineChart({ ...base, isLogY: true, series: [{ name: 's', points: [[1, 0]] }] })).toThrow(/logarithmic/)
})
