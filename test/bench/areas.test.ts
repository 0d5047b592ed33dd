// What is made of CPU samples: self times by function and by area, native functions counted to whoever called them.
import { expect, test } from 'vitest'
import { breakdownOf } from '../../scripts/bench/profile/areas.ts'
import type { CallFrame, CpuProfile } from '../../scripts/bench/profile/inspector.ts'

const frame = (functionName: string, url = '', lineNumber = 0): CallFrame => ({ functionName, url, lineNumber })

test('areas and functions by their own time', () => {
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 3, 4, 6] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('(garbage collector)') },
      { id: 4, callFrame: frame('append', 'file:///x/dist/storage/wal/log.js', 9), children: [5] },
      { id: 5, callFrame: frame('writev') },
      { id: 6, callFrame: frame('get', 'file:///x/node_modules/classic-level/index.js'), children: [7] },
      { id: 7, callFrame: frame('append', 'file:///x/dist/storage/wal/log.js', 9) },
    ],
    samples: [2, 3, 4, 5, 5, 6, 7],
    timeDeltas: [107, 10, 20, 30, 5, 40, 2],
  }
  // Half of the time that it seemed to run, others had the core.
  const { areas, functions, busyMicros, idleShare } = breakdownOf(profile, 53.5)
  expect(Object.fromEntries(areas)).toEqual({ 'garbage collection': 5, log: 28.5, LevelDB: 20 })
  expect(functions).toEqual([
    { name: 'get (classic-level/index.js:1)', area: 'LevelDB', micros: 20 },
    { name: 'writev', area: 'log', micros: 17.5 },
    { name: 'append (storage/wal/log.js:10)', area: 'log', micros: 11 },
    { name: '(garbage collector)', area: 'garbage collection', micros: 5 },
  ])
  expect([busyMicros, idleShare]).toEqual([53.5, 0.5])
})
