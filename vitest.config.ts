// How the tests run: units in parallel, tests of whole clusters one file after another, and the exploration of the core with
// its private fields opened. Last comes the zoo, which starts a process for each of its bugs, as many at a time as there are cores.
// QUORATE_ZOO=id plants that bug into the sources first (test/zoo).
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { openPrivates } from './test/support/open-privates.ts'
import { plantBug } from './test/zoo/plant.ts'

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [plantBug()],
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**', 'test/raft/exploration/**', 'test/zoo/**'],
          testTimeout: 30_000,
        },
      },
      {
        plugins: [plantBug(), openPrivates('/src/raft/', '/test/raft/support/')],
        test: {
          name: 'exploration',
          include: ['test/raft/exploration/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'zoo',
          include: ['test/zoo/**/*.test.ts'],
          maxConcurrency: availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
