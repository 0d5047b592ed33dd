// Crashes: at every operation on the disk, with all, none, a random part or a torn end of what was not synced surviving; and
// the last write cut at every byte. What was acknowledged is always there; what was not is there whole, or not at all.
import { beforeAll, describe, expect, test } from 'vitest'

import { Prng } from '../../../src/lib/prng.ts'
import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import type { FileOperation, Survival } from '../../../src/storage/simulated-file-system.ts'
import { contentOf, entries, openOn, withLog, write } from '../support.ts'
import type { Content } from '../support.ts'
import { expectedContents, HISTORY, live, sameLog, sameVote, SEGMENT_BYTES } from './history.ts'

const seed = process.env['SEED'] ?? 'crash'
const options = { segmentBytes: SEGMENT_BYTES, seed: 'epochs' }

let expected: Content[]
beforeAll(async () => {
  expected = await expectedContents()
})

/** Runs the history on a disk whose power goes off at one operation. */
async function crashAt(number: number): Promise<{ disk: SimulatedFileSystem; acknowledged: number }> {
  const fault = (operation: FileOperation): { kind: 'power-off' } | undefined =>
    operation.number === number ? { kind: 'power-off' } : undefined
  const disk = new SimulatedFileSystem({ fault })
  try {
    return { disk, acknowledged: await live(await openOn(disk, options)) }
  } catch {
    return { disk, acknowledged: 0 } // It went off while the log was being opened.
  }
}

/** Recovery must find the state after the acknowledged steps, or after one more. The log must be usable afterwards. */
async function checkSurvivor(disk: SimulatedFileSystem, acknowledged: number, what: string): Promise<void> {
  const found = await withLog(disk, contentOf, options)
  const possible = expected.slice(acknowledged, acknowledged + 2)
  const isKnown = possible.some((state) => sameLog(state, found))
  expect(isKnown, `${what}: ${JSON.stringify(found).slice(0, 500)}`).toBe(true)
  expect(
    possible.some((state) => sameVote(state.hardState, found.hardState)),
    `${what}: ${JSON.stringify(found.hardState)}`,
  ).toBe(true)
  const last = found.first + found.entries.length
  const after = await withLog(
    disk,
    async (log) => {
      await log.append(write({ entries: entries(last, last, 9, { salt: 'after' }) }))
      return log.sizeBytes
    },
    options,
  )
  expect(after).toBeGreaterThan(0)
  const again = await withLog(disk, contentOf, options)
  expect(again.entries.length, what).toBe(found.entries.length + 1)
  expect(again.entries.slice(0, -1), what).toEqual(found.entries)
  expect(sameVote(again.hardState, found.hardState), what).toBe(true)
}

async function operationsOfHistory(): Promise<number> {
  const disk = new SimulatedFileSystem()
  await withLog(disk, (log) => live(log), options)
  return disk.count()
}

describe('E1, D2, L3: a crash at any operation', () => {
  const survivals: readonly [string, () => Survival][] = [
    ['all of what was not synced', () => ({ keep: 'all' })],
    ['nothing of it', () => ({ keep: 'none' })],
    ['a random part of it', () => ({ keep: 'random', prng: new Prng(seed) })],
    ['another random part', () => ({ keep: 'random', prng: new Prng(`${seed}/2`) })],
    ['a torn last write', () => ({ keep: 'torn', bytesOfLastWrite: 700 })],
  ]
  test.each(survivals)('leaves the state before or after a write when %s survives', async (name, survival) => {
    const operations = await operationsOfHistory()
    expect(operations).toBeGreaterThan(50)
    for (let number = 1; number <= operations; number++) {
      const { disk, acknowledged } = await crashAt(number)
      await checkSurvivor(disk.crash(survival()), acknowledged, `SEED=${seed}: ${name}, at operation ${number}`)
    }
  })

  test('and a second crash at any operation of the recovery does the same', async () => {
    const prng = new Prng(`${seed}/double`)
    const operations = await operationsOfHistory()
    for (let number = 3; number <= operations; number += 7) {
      const { disk, acknowledged } = await crashAt(number)
      const survivor = disk.crash({ keep: 'random', prng })
      for (let second = 1; second <= 30; second += 3) {
        const fault = (operation: FileOperation): { kind: 'power-off' } | undefined =>
          operation.number === second ? { kind: 'power-off' } : undefined
        const retried = survivor.clone({ fault })
        await openOn(retried, options).catch(() => {})
        const what = `SEED=${seed}: at operation ${number}, then at ${second}`
        await checkSurvivor(retried.crash({ keep: 'random', prng }), acknowledged, what)
      }
    }
  })
})

describe('D4: the last write cut at every byte', () => {
  test.each(HISTORY.map((step, at) => [step.name, at] as const))(
    '%s: before or after, never between',
    async (_, at) => {
      const disk = new SimulatedFileSystem()
      const log = await openOn(disk, options)
      await live(log, HISTORY.slice(0, at))
      await settled(disk)
      let isOff = false
      disk.configure({
        fault: ({ kind, path }) => {
          if (kind !== 'durable-write' || !path.startsWith('/log/') || isOff) return undefined
          isOff = true
          return { kind: 'power-off' }
        },
      })
      await live(log, HISTORY.slice(at, at + 1))
      expect(isOff).toBe(true)
      let wasAfter = false
      for (let bytes = 0; bytes <= 7168; bytes = bytes < 640 ? bytes + 1 : bytes + 97) {
        const survivor = disk.crash({ keep: 'torn', bytesOfLastWrite: bytes })
        const found = await withLog(survivor, contentOf, options)
        const isAfter = sameLog(found, expected[at + 1]!) && sameVote(found.hardState, expected[at + 1]!.hardState)
        const isBefore = sameLog(found, expected[at]!) && sameVote(found.hardState, expected[at]!.hardState)
        expect(isBefore || isAfter, `${bytes} bytes`).toBe(true)
        if (wasAfter) expect(isAfter, `${bytes} bytes`).toBe(true)
        wasAfter ||= isAfter && !isBefore
      }
      expect(wasAfter).toBe(true)
    },
  )
})

/** Waits until background work on the segments is over: no operation began for many turns. */
async function settled(disk: SimulatedFileSystem): Promise<void> {
  for (let quiet = 0, count = disk.count(); quiet < 20; quiet = disk.count() === count ? quiet + 1 : 0) {
    count = disk.count()
    await Promise.resolve()
  }
}
