// The report: tables that stay tables whatever is in their cells, and verdicts in words.
import { expect, test } from 'vitest'
import { aimRow } from '../../scripts/bench/parts/part.ts'
import { markdown, markdownTable } from '../../scripts/bench/report.ts'

test('a cell cannot break its table', () => {
  expect(markdownTable({ head: ['a', 'b'], rows: [['x|y', 'two\nlines']] })).toBe(
    '| a | b |\n| --- | --- |\n| x\\|y | two lines |',
  )
})

test('a row of aims is judged where more is better, and where less is', () => {
  const more = { aim: 2, moonshot: 3, text: ['2x', '3x'] } as const
  expect([1.9, 2, 2.9, 3].map((measured) => aimRow('w', more, measured, '').verdict)).toEqual([
    'missed',
    'reached',
    'reached',
    'moonshot',
  ])
  const less = { aim: -8, moonshot: -6, text: ['8', '6'] } as const
  expect([9, 8, 6].map((measured) => aimRow('w', less, -measured, '').verdict)).toEqual([
    'missed',
    'reached',
    'moonshot',
  ])
})

test('all aims come first, then each part with its tables, charts and notes', () => {
  const goal = { aim: 1, moonshot: 2, text: ['1x', '2x'] } as const
  const text = markdown(
    { machine: 'A machine.', systems: ['One 1.0: nothing.'], settings: '3 rounds', tookMinutes: 2 },
    [
      {
        part: 'one',
        result: {
          title: 'Part one',
          tables: [{ title: 'Numbers', head: ['n'], rows: [['1']] }],
          charts: [{ name: 'curve', chart: { title: 'A curve', xLabel: 'x', yLabel: 'y', series: [] } }],
          aims: [aimRow('work', goal, 1.5, '1.50x')],
          notes: ['mind this'],
          raw: undefined,
        },
      },
    ],
  )
  expect(text).toContain('| work | 1x | 2x | 1.50x | reached |')
  expect(text.indexOf('What was to be reached')).toBeLessThan(text.indexOf('## Part one'))
  expect(text).toContain('### Numbers\n\n| n |\n| --- |\n| 1 |')
  expect(text).toContain('![A curve](curve.svg)\n\n- mind this')
})
