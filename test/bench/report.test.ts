// The report: tables that stay tables whatever is in their cells, and verdicts in words.
import { expect, test } from 'vitest'
import { GOALS, aimRows, verdictOn } from '../../scripts/bench/aims.ts'
import type { AimId } from '../../scripts/bench/aims.ts'
import { markdown, markdownTable } from '../../scripts/bench/report.ts'

test('a cell cannot break its table', () => {
  expect(markdownTable({ head: ['a', 'b'], rows: [['x|y', 'two\nlines']] })).toBe(
    '| a | b |\n| --- | --- |\n| x\\|y | two lines |',
  )
})

const verdicts = (id: AimId, values: readonly number[]): string[] => values.map((value) => verdictOn({ id, value }))

test('a row of aims is judged where more is better, and where less is', () => {
  expect(verdicts('http-put', [1.9, 2, 2.9, 3])).toEqual(['missed', 'reached', 'reached', 'moonshot'])
  expect(verdicts('disk-128', [9, 8, 6])).toEqual(['missed', 'reached', 'moonshot'])
})

test('the table of aims has a row for each, measured or not', () => {
  const rows = aimRows([{ id: 'ceiling', value: 0.6, text: '0.60' }])
  expect(rows).toHaveLength(Object.keys(GOALS).length)
  expect(rows.filter((row) => row.at(-1) !== 'not measured')).toEqual([
    [GOALS.ceiling.workload, '0.5', '0.8', '0.60', 'reached'],
  ])
})

test('each part has its tables, charts and notes; all aims come last', () => {
  const text = markdown(
    { machine: 'A machine.', systems: ['One 1.0: nothing.'], settings: '3 rounds', tookMinutes: 2 },
    [
      {
        part: 'one',
        result: {
          title: 'Part one',
          tables: [{ title: 'Numbers', head: ['n'], rows: [['1']] }],
          charts: [
            {
              name: 'curve',
              chart: { title: 'A curve', xLabel: 'x', yLabel: 'y', series: [{ name: 's', points: [[1, 1]] }] },
            },
          ],
          aims: [{ id: 'http-put', value: 2.5, text: '2.50x' }],
          notes: ['mind this'],
          raw: undefined,
        },
      },
    ],
  )
  expect(text).toContain(`| ${GOALS['http-put'].workload} | 2x | 3x | 2.50x | reached |`)
  expect(text.indexOf('## Part one')).toBeLessThan(text.indexOf('## What was reached'))
  expect(text).toContain('### Numbers\n\n| n |\n| --- |\n| 1 |')
  expect(text).toContain('![A curve](curve.svg)\n\n- mind this')
})

test('a run in which something failed says so first', () => {
  const failed = { title: 'one', tables: [], charts: [], aims: [], notes: [], failures: ['it broke'], raw: undefined }
  const run = { machine: 'A machine.', systems: [], settings: '', tookMinutes: 1 }
  const text = markdown(run, [{ part: 'one', result: failed }])
  expect(text).toContain('**This run is not whole.**\n\n- one: it broke')
})
