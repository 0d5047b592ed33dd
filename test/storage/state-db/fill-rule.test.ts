// The race between a read of the disk and a commit: whatever the disk brings late must never hide what was committed since,
// neither in the answer nor in the cache. The engine here answers when it is told to.
import { describe, expect, it } from 'vitest'
import { deferred } from '../../../src/lib/deferred.ts'
import type { StateStore } from '../../../src/node/ports.ts'
import { ENGINE_CALLS_MAX } from '../../../src/storage/state-db/call-gate.ts'
import { Writer, censusOver, memoryHome, textOf, until } from './support.ts'
import type { OpenStateOptions } from '../../../src/storage/state-db/index.ts'
import type { MemoryHome } from './support.ts'

interface Held {
  readonly home: MemoryHome
  /** Reads look at the disk at once, and answer only when this is called. */
  release(): void
  hold(): void
  readonly waiting: () => number
}

async function heldHome(): Promise<Held> {
  let isHeld = false
  let gates: (() => void)[] = []
  const home = await memoryHome(async (kind, work) => {
    await Promise.resolve()
    const result = work()
    if (kind === 'read' && isHeld) {
      const gate = deferred<void>()
      gates.push(() => gate.resolve())
      await gate.promise
    }
    return result
  })
  return {
    home,
    hold: () => void (isHeld = true),
    release() {
      isHeld = false
      for (const gate of gates) gate()
      gates = []
    },
    waiting: () => gates.length,
  }
}

const bytes = (text: string): Buffer => Buffer.from(text)

/** A store that has these keys on disk and none of them in memory. */
async function storeOf(
  { home }: Held,
  keys: readonly string[],
  options: Partial<OpenStateOptions> = {},
): Promise<StateStore> {
  const first = await home.open()
  await new Writer(first.current).entry(keys.map((key) => [key, bytes('old')]))
  await first.current.close()
  const { current: store } = await home.open(options)
  await censusOver(store)
  return store
}

describe('a read of the disk that a commit overtakes', () => {
  it.each([
    ['while the commit is in the table', false],
    ['when the commit has been written and has left the table', true],
  ])('answers with, and caches, what was committed: %s', async (_name, isWritten) => {
    const held = await heldHome()
    // So small a cache that a commit's write-through is soon gone again.
    const options = { cacheBytesMax: 2_000, batchDelayMs: 0 }
    const store = await storeOf(held, ['a'], options)
    held.hold()
    const read = store.get('a')
    await until(() => held.waiting() === 1)
    // The writer knows the pointer from elsewhere: it is the second change of the key.
    const pointer = { ...pointerOfFirst(), at: { revision: 3, sub: 0 }, version: 2, changes: 2 }
    store.put({ pointer, record: { ...recordOf('a', 'new'), at: pointer.at, version: 2 } })
    store.commitEntry({ ...store.meta, index: 2, revision: 3 })
    if (isWritten) {
      await store.drain()
      pushOutOfCache(store)
      await store.drain()
    }
    held.release()
    expect(textOf(await read)).toBe('new')
    expect(textOf(await store.get('a'))).toBe('new')
    expect(store.prefetch({ pointers: ['a'], records: [], ranges: [] })).toBeUndefined()
    expect(store.pointer('a')?.version).toBe(2)
    await store.close()
  })

  it('is remembered in the bound of the table: applying waits rather than remember without end', async () => {
    const held = await heldHome()
    const store = await storeOf(held, ['z'], { tableBytesMax: 20_000, batchDelayMs: 0 })
    const writer = new Writer(store)
    await store.prefetch({ pointers: ['a'], records: [], ranges: [] })
    held.hold()
    const read = store.get('z')
    await until(() => held.waiting() === 1)
    for (let entry = 0; entry < 5; entry++) {
      writer.entryNow([['a', Buffer.alloc(5_000)]])
      await store.drain()
    }
    expect(store.stats().tableBytes).toBeGreaterThan(20_000)
    const room = store.room()
    expect(room).toBeInstanceOf(Promise)
    held.release()
    await read
    await room
    expect(store.stats().tableBytes).toBe(0)
    await store.close()
  })

  it('shares calls: many reads of one turn are one call, and never more than three run', async () => {
    const held = await heldHome()
    const waves = Array.from({ length: 6 }, (_, wave) =>
      Array.from({ length: 20 }, (_key, key) => `key-${wave}-${key}`),
    )
    const store = await storeOf(held, waves.flat())
    held.hold()
    const reads = []
    for (const keys of waves) {
      for (const key of keys) reads.push(Promise.resolve(store.get(key)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(held.waiting()).toBe(ENGINE_CALLS_MAX)
    held.release()
    expect((await Promise.all(reads)).map(textOf)).toEqual(reads.map(() => 'old'))
    await store.close()
  })
})

/** Writes other keys until the small cache has let everything else go. */
function pushOutOfCache(store: StateStore): void {
  for (const key of 'bcdefgh') {
    const { index, revision } = store.meta
    const at = { revision: revision + 1, sub: 0 }
    store.put({ pointer: { ...pointerOfFirst(), at }, record: { ...recordOf(key, 'other'), at, version: 1 } })
    store.commitEntry({ ...store.meta, index: index + 1, revision: at.revision })
  }
}

function pointerOfFirst() {
  return {
    at: { revision: 2, sub: 0 },
    createRevision: 2,
    version: 1,
    changes: 1,
    isTombstone: false,
    skips: [],
    digest: { hi: 0, lo: 0 },
  }
}

function recordOf(key: string, value: string) {
  return {
    key,
    value: bytes(value),
    contentType: '',
    createRevision: 2,
    lease: '',
    predecessor: { revision: 2, sub: 0, isTombstone: false },
    skip: undefined,
  }
}
