// How the tests run, in three parts that follow each other: units, together with the exploration of the core with its private fields
// opened; the zoo, which hunts its bugs in processes of its own; whole clusters. The first has a worker for each core: left to itself,
// vitest keeps one core back, which is half of a small machine. Of the clusters, two files run side by side: they mostly wait, for
// elections and time-outs, and more of them would make each other's elections late.
// QUORATE_ZOO=id plants that bug into the sources first (test/zoo).
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { LongFirst } from './test/support/long-first.ts'
import { openPrivates } from './test/support/open-privates.ts'
import { plantBug } from './test/zoo/plant.ts'

const CORES = availableParallelism()

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      {
        plugins: [plantBug()],
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**', 'test/raft/exploration/**', 'test/zoo/**'],
          maxWorkers: CORES,
          testTimeout: 60_000,
        },
      },
      {
        plugins: [plantBug(), openPrivates('/src/raft/', '/test/raft/support/')],
        test: {
          name: 'exploration',
          include: ['test/raft/exploration/**/*.test.ts'],
          maxWorkers: CORES,
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'zoo',
          include: ['test/zoo/**/*.test.ts'],
          maxConcurrency: CORES,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
