// What the log asks of the disk: one durable write an append, files that are used again, room for the largest write; and what
// it does when the disk fails.
import { describe, expect, test } from 'vitest'

import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import type { Fault, FileOperation } from '../../../src/storage/simulated-file-system.ts'
import { contentOf, describeEntry, entries, hardState, marker, NODE_A, openOn, withLog, write } from '../support.ts'

const options = { segmentBytes: 8 * 1024 }
const logWrites = (disk: SimulatedFileSystem): number => disk.count('durable-write')

describe('one append', () => {
  test('D1: is one durable write, however many entries it has', async () => {
    const disk = new SimulatedFileSystem()
    await withLog(disk, async (log) => {
      const before = logWrites(disk)
      await log.append(write({ entries: entries(1, 1, 1) }))
      expect(logWrites(disk) - before).toBe(1)
      await log.append(write({ entries: entries(2, 60, 1), hardState: hardState(0, undefined, 1) }))
      expect(logWrites(disk) - before).toBe(2)
    })
  })

  test('E1: takes one more, in the vote file, when term or vote changes', async () => {
    const disk = new SimulatedFileSystem()
    await withLog(disk, async (log) => {
      const before = logWrites(disk)
      await log.append(write({ hardState: hardState(1, NODE_A), entries: entries(1, 1, 1) }))
      expect(logWrites(disk) - before).toBe(2)
    })
  })

  test('onto a new segment is one write as well, once the file is ready', async () => {
    const disk = new SimulatedFileSystem()
    await withLog(
      disk,
      async (log) => {
        const before = logWrites(disk)
        for (let index = 1; index <= 40; index++)
          await log.append(write({ entries: entries(index, index, 1, { bytes: 900 }) }))
        expect(logWrites(disk) - before).toBe(40)
        expect(disk.paths().filter((path) => path.startsWith('/log/')).length).toBeGreaterThan(5)
      },
      options,
    )
  })

  test('with nothing to make durable touches no disk', async () => {
    const disk = new SimulatedFileSystem()
    await withLog(disk, async (log) => {
      const before = logWrites(disk)
      await log.append(write({}))
      expect(logWrites(disk)).toBe(before)
    })
  })
})

describe('segments', () => {
  test('D17: are used again after compaction, so the disk stays bounded', async () => {
    const disk = new SimulatedFileSystem()
    await withLog(
      disk,
      async (log) => {
        for (let index = 1; index <= 400; index++) {
          await log.append(write({ entries: entries(index, index, 1, { bytes: 900 }) }))
          if (index % 10 === 0) log.compactTo(marker(index, 1))
        }
        expect(disk.paths().filter((path) => path.startsWith('/log/')).length).toBeLessThan(12)
        expect(log.sizeBytes).toBeLessThan(4 * 8 * 1024)
        expect(disk.count('rename')).toBeGreaterThan(20)
      },
      options,
    )
    const content = await withLog(disk, contentOf, options)
    expect(content.first).toBe(391)
  })

  test('a write larger than a segment gets one of its own, which goes when it is compacted', async () => {
    const disk = new SimulatedFileSystem()
    const large = entries(2, 5, 1, { bytes: 20_000 })
    await withLog(
      disk,
      async (log) => {
        await log.append(write({ entries: entries(1, 1, 1) }))
        await log.append(write({ entries: large }))
        await log.append(write({ entries: entries(6, 6, 1) }))
      },
      options,
    )
    const content = await withLog(disk, contentOf, options)
    expect(content.entries).toEqual([...entries(1, 1, 1), ...large, ...entries(6, 6, 1)].map(describeEntry))
    await withLog(
      disk,
      async (log) => {
        log.compactTo(marker(5, 1))
        await log.append(write({ entries: entries(7, 7, 1) }))
      },
      options,
    )
    for (const path of disk.paths().filter((name) => name.startsWith('/log/'))) {
      expect(disk.content(path).length, path).toBe(8 * 1024)
    }
  })

  test('another segment size at the next start is fine, and old spares go', async () => {
    const disk = new SimulatedFileSystem()
    await withLog(disk, (log) => log.append(write({ entries: entries(1, 9, 1, { bytes: 700 }) })), options)
    await withLog(disk, (log) => log.append(write({ entries: entries(10, 12, 1, { bytes: 9000 }) })), {
      segmentBytes: 64 * 1024,
    })
    expect((await withLog(disk, contentOf, options)).entries).toHaveLength(12)
  })

  test('a read pins what it reads, while the log is compacted and written over beneath it', async () => {
    const disk = new SimulatedFileSystem()
    const log = await openOn(disk, options)
    for (let index = 1; index <= 20; index++)
      await log.append(write({ entries: entries(index, index, 1, { bytes: 900 }) }))
    let release!: () => void
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    disk.configure({ delay: ({ kind }) => (kind === 'read' ? gate : Promise.resolve()) })
    const reading = log.read({ first: 1, last: 9, bytesMax: Infinity })
    log.compactTo(marker(20, 1))
    for (let index = 21; index <= 80; index++) {
      await log.append(write({ entries: entries(index, index, 1, { bytes: 900 }) }))
      log.compactTo(marker(index, 1))
    }
    release()
    expect((await reading)?.entries.map(describeEntry)).toEqual(entries(1, 9, 1, { bytes: 900 }).map(describeEntry))
    await log.close()
  })
})

describe('D3, D8: a failing disk', () => {
  const faults: readonly [string, Fault][] = [
    ['a failed write (EIO)', { kind: 'error', code: 'EIO' }],
    ['a full disk (ENOSPC)', { kind: 'error', code: 'ENOSPC' }],
    ['a short write', { kind: 'short', bytes: 100 }],
  ]
  test.each(faults)('%s fails the append and everything after it; nothing is retried', async (_, fault) => {
    const disk = new SimulatedFileSystem()
    const log = await openOn(disk)
    await log.append(write({ entries: entries(1, 2, 1) }))
    let faults = 0
    disk.configure({
      fault: ({ kind, path }: FileOperation) =>
        kind === 'durable-write' && path !== '/vote' && faults++ === 0 ? fault : undefined,
    })
    await expect(log.append(write({ entries: entries(3, 3, 1) }))).rejects.toMatchObject({ code: 'LOG_FAILED' })
    const operations = disk.count()
    await expect(log.append(write({ entries: entries(3, 3, 1) }))).rejects.toThrow(/earlier failure/)
    await expect(log.read({ first: 1, last: 2, bytesMax: 100 })).rejects.toThrow(/earlier failure/)
    log.compactTo(marker(1, 1))
    expect(disk.count()).toBe(operations)
    await log.close()
    const content = await withLog(
      disk.crash({ keep: 'random', prng: new (await import('../../../src/lib/prng.ts')).Prng(1) }),
      contentOf,
    )
    expect(content.entries.slice(0, 2)).toEqual(entries(1, 2, 1).map(describeEntry))
  })

  test('a vote file that cannot be written fails the append, although the log has the vote', async () => {
    const disk = new SimulatedFileSystem()
    const log = await openOn(disk)
    disk.configure({ fault: ({ path }) => (path === '/vote' ? { kind: 'error', code: 'EIO' } : undefined) })
    await expect(log.append(write({ hardState: hardState(1, NODE_A) }))).rejects.toThrow(/EIO/)
    await log.close()
  })

  test('a segment that cannot be made ready fails the log at the next append', async () => {
    const disk = new SimulatedFileSystem()
    const log = await openOn(disk, options)
    disk.configure({ capacityBytes: 30_000 })
    const appended = (async () => {
      for (let index = 1; index <= 40; index++)
        await log.append(write({ entries: entries(index, index, 1, { bytes: 900 }) }))
    })()
    await expect(appended).rejects.toThrow(/ENOSPC/)
    await log.close()
  })
})
