// The small parts of the driver: cluster time, disk space, what the log may forget, registration, and recovery's verdicts.
import { describe, expect, it } from 'vitest'
import { type ClientCommand, NO_CONDITION, type TxnOperation } from '../../src/api/commands.ts'
import { ZERO_HASH } from '../../src/lib/hash.ts'
import { initialMeta, KvStateMachine } from '../../src/kv/index.ts'
import { ATTACHMENT_VALUE, attachmentRow, encodeLease, leaseRow } from '../../src/kv/rows.ts'
import type { KvMeta } from '../../src/kv/types.ts'
import { ClusterClock } from '../../src/node/cluster-clock.ts'
import { LogCompaction } from '../../src/node/log-compaction.ts'
import type { IncarnationRegistry, Logger, RaftStorage, StateStorage } from '../../src/node/ports.ts'
import { recover } from '../../src/node/recovery.ts'
import { Registration, registrationsNeeded, vouch } from '../../src/node/registration.ts'
import { remainingOf, sideFacts, TimeEstimate } from '../../src/node/side-facts.ts'
import { growthOf, spaceRefusal } from '../../src/node/space-guard.ts'
import type { Entry, EntryId, SnapshotMeta } from '../../src/raft/index.ts'
import { countHeld } from '../support/memory.ts'

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

describe('cluster time', () => {
  it('counts while leading, and a stall counts for no more than its bound', () => {
    const clock = new ClusterClock(300)
    clock.advance(1_000)
    clock.advance(1_010)
    expect(clock.timeMs).toBe(10)
    clock.advance(61_010)
    expect(clock.timeMs).toBe(310)
  })

  it('does not count while somebody else leads, and continues from what the log says', () => {
    const clock = new ClusterClock(300)
    clock.advance(0)
    clock.pause()
    clock.atLeast(5_000)
    clock.advance(9_000)
    expect(clock.timeMs).toBe(5_000)
    clock.atLeast(10)
    clock.advance(9_010)
    expect(clock.timeMs).toBe(5_010)
  })

  it('goes on from what is applied when the node begins to lead, whatever it counted before', () => {
    const clock = new ClusterClock(300)
    clock.advance(0)
    clock.advance(250)
    clock.begin(100)
    clock.advance(10_000)
    clock.advance(10_010)
    expect(clock.timeMs).toBe(110)
  })
})

describe('how long a lease lasts, for display', () => {
  it('counts from the last time that was heard, but not on and on while there is no leader', () => {
    const estimate = new TimeEstimate(1_000, 0)
    expect([estimate.at(500), estimate.at(60_000)]).toEqual([1_500, 7_000])
    estimate.heard(9_000, 60_000)
    estimate.heard(8_000, 61_000)
    expect(estimate.at(61_000)).toBe(10_000)
  })
})

describe('what is said of a lease for each of its keys, or of each lease', () => {
  const lease = '0000000000000001'

  it('does not look at all of its keys each time', () => {
    const rows = new Map([
      [leaseRow(lease), encodeLease({ ttlMs: 100, expiresAtMs: 500, isPrivate: false })],
      ...Array.from({ length: 50_000 }, (_, at) => [attachmentRow(lease, `k${at}`), ATTACHMENT_VALUE] as const),
    ])
    const { side } = new KvStateMachine(initialMeta(), rows)
    expect(remainingOf(side, lease, 100)).toBe(400)
    expect(sideFacts(side, 100).leases('', 100)).toEqual([{ lease, ttlMs: 100, remainingMs: 400, keyCount: 50_000 }])
    const startMs = performance.now()
    for (let asked = 0; asked < 1_000; asked++) remainingOf(side, lease, 100)
    for (let asked = 0; asked < 1_000; asked++) sideFacts(side, 100).leases('', 100)
    expect(performance.now() - startMs).toBeLessThan(4_000)
    expect(sideFacts(side, 100).lease(lease)!.keys).toHaveLength(50_000)
  })
})

describe('a page of the leases', () => {
  it('is the next ones by id, wherever in the table they are', () => {
    const ids = Array.from({ length: 5_000 }, (_, at) => (((at * 7_919) % 5_000) + 1).toString(16).padStart(16, '0'))
    const value = encodeLease({ ttlMs: 100, expiresAtMs: 500, isPrivate: false })
    const { side } = new KvStateMachine(initialMeta(), new Map(ids.map((id) => [leaseRow(id), value])))
    const inOrder = ids.toSorted()
    for (const [from, max] of [
      [0, 1],
      [0, 7],
      [4_990, 100],
      [17, 1_001],
      [5_000, 5],
    ] as const) {
      const page = side.leases(from === 0 ? '' : inOrder[from - 1]!, max).map(({ lease }) => lease)
      expect(page).toEqual(inOrder.slice(from, from + max))
    }
    expect(side.leases()).toHaveLength(5_000)
  })
})

const txn = (success: readonly TxnOperation[], failure: readonly TxnOperation[] = []) =>
  ({ op: 'txn', compares: [], success, failure }) as const

describe('what a command does to the space', () => {
  const put = { op: 'put', key: 'k', value: new Uint8Array(1), contentType: '', condition: NO_CONDITION } as const
  const remove = { op: 'delete', key: 'k', condition: NO_CONDITION, wantsPrevious: false } as const

  it('D8: a transaction adds when anything in it may, however deep', () => {
    const inner = txn([remove], [{ ...put, wantsPrevious: false }])
    expect(growthOf(txn([remove], [inner]))).toBe('adds')
    expect(growthOf(txn([remove], [txn([remove])]))).toBe('removes')
  })

  it('D8: what keeps alive, gives up or compacts goes on whatever the level', () => {
    const lease = '0000000000000001'
    const session = lease
    const commands: ClientCommand[] = [
      { op: 'lease-keep-alive', lease },
      { op: 'lease-revoke', lease },
      { op: 'session-keep-alive', session },
      { op: 'session-close', session },
      { op: 'unlock', kind: 'lock', name: 'l', token: 1 },
      { op: 'compact', revision: 1 },
    ]
    expect(commands.map((command) => spaceRefusal(command, 'critical', true))).toEqual(commands.map(() => undefined))
    expect(spaceRefusal(remove, 'low', true)).toBe(undefined)
    expect(spaceRefusal(remove, 'critical', false)).toMatchObject({ code: 'NO_SPACE' })
    const grant: ClientCommand = { op: 'lease-grant', lease, ttlMs: 1_000 }
    expect(spaceRefusal(grant, 'low', false)).toMatchObject({ code: 'NO_SPACE' })
    expect(spaceRefusal(grant, 'enough', true)).toMatchObject({ code: 'NO_SPACE' })
    expect(spaceRefusal(grant, 'enough', false)).toBe(undefined)
  })
})

function filled(
  entries: number,
  dataBytes: number,
  retain: { retainBytes: number; retainEntries: number },
): LogCompaction {
  const compaction = new LogCompaction(retain)
  for (let index = 1; index <= entries; index++) compaction.onAppended({ term: 1, index }, dataBytes)
  return compaction
}

describe('log compaction', () => {
  it('by count: keeps at least as many entries as asked for', () => {
    const compaction = filled(1_000, 10, { retainBytes: 1e12, retainEntries: 100 })
    const target = compaction.target(1_000)!
    expect(target.index).toBeLessThanOrEqual(900)
    expect(target.index).toBeGreaterThan(850)
    expect(compaction.target(1_000)).toBe(undefined)
  })

  it('by size: keeps at least as many bytes as asked for', () => {
    const target = filled(1_000, 1_000, { retainBytes: 100_000, retainEntries: 1e9 }).target(1_000)!
    expect(1_000 - target.index).toBeGreaterThanOrEqual(93)
    expect(1_000 - target.index).toBeLessThan(120)
  })

  it('S5: never above what the state has made durable, or what a snapshot in transfer needs', () => {
    expect(filled(1_000, 10, { retainBytes: 1e12, retainEntries: 100 }).target(500)!.index).toBeLessThanOrEqual(500)
    expect(filled(1_000, 10, { retainBytes: 1e12, retainEntries: 100 }).target(0)).toBe(undefined)
  })

  it('marks of a superseded suffix are void', () => {
    const compaction = filled(1_000, 10, { retainBytes: 1e12, retainEntries: 100 })
    for (let index = 500; index <= 1_000; index++) compaction.onAppended({ term: 2, index }, 10)
    const target = compaction.target(1_000)!
    expect(target.term).toBe(target.index >= 500 ? 2 : 1)
    expect(target.index).toBeGreaterThanOrEqual(500)
  })
})

describe('the marks of log compaction', () => {
  it('hold no entry: its data may be a part of a whole message', async () => {
    const compaction = new LogCompaction({ retainBytes: 1e12, retainEntries: 100 })
    const references = Array.from({ length: 200 }, (_, nth) => {
      const entry: Entry = { term: 1, index: nth + 1, kind: 'normal', data: Buffer.alloc(100) }
      compaction.onAppended(entry, entry.data.length)
      return new WeakRef(entry.data)
    })
    expect(await countHeld(references)).toBe(0)
    expect(Object.keys(compaction.target(200)!)).toEqual(['term', 'index'])
  })
})

class MemoryRegistry implements IncarnationRegistry {
  readonly own = 'a'.repeat(32)
  isRegistered = false
  readonly known = new Map<string, string>()
  markRegistered(): Promise<void> {
    this.isRegistered = true
    return Promise.resolve()
  }
  get(member: string): string | undefined {
    return this.known.get(member)
  }
  record(member: string, incarnation: string): Promise<void> {
    this.known.set(member, incarnation)
    return Promise.resolve()
  }
}

describe('the incarnation rule', () => {
  it('needs a majority of the others: none of 1 member, one of 1 other, two of 2, three of 4', () => {
    expect([0, 1, 2, 3, 4, 6].map(registrationsNeeded)).toEqual([0, 1, 2, 2, 3, 4])
  })

  it('a member takes part only after enough others have vouched, and notes that durably', async () => {
    const registry = new MemoryRegistry()
    const up = new Set(['n2'])
    const control = (to: string): Promise<unknown> =>
      up.has(to) ? Promise.resolve({ isRegistered: true }) : Promise.reject(new Error('down'))
    const registration = new Registration(registry, ['n2', 'n3'], { control }, silent)
    expect(await registration.ask()).toBe('waiting')
    expect(registry.isRegistered).toBe(false)
    up.delete('n2')
    up.add('n3')
    expect(await registration.ask()).toBe('registered')
    expect(registry.isRegistered).toBe(true)
  })

  it('one refusal is enough', async () => {
    const transport = { control: (to: string) => Promise.resolve({ isRegistered: to !== 'n3' }) }
    expect(await new Registration(new MemoryRegistry(), ['n2', 'n3', 'n4'], transport, silent).ask()).toBe('refused')
  })

  it('vouches for the first incarnation of a member, again for the same, and for no other', async () => {
    const registry = new MemoryRegistry()
    expect(await vouch(registry, 'n2', '1'.repeat(32))).toEqual({ isRegistered: true })
    expect(await vouch(registry, 'n2', '1'.repeat(32))).toEqual({ isRegistered: true })
    expect(await vouch(registry, 'n2', '2'.repeat(32))).toEqual({ isRegistered: false })
    await expect(vouch(registry, 'n2', 'x')).rejects.toThrow('32 hex digits')
  })
})

const entriesAfter = (prev: EntryId, terms: readonly number[]): Entry[] =>
  terms.map((term, at) => ({ term, index: prev.index + at + 1, kind: 'normal', data: new Uint8Array() }))

describe('recovery', () => {
  const confState = { voters: ['n1'], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }
  function verdict(
    log: { prev: EntryId; terms: readonly number[]; term?: number; commitIndex?: number },
    applied: EntryId,
    pending?: EntryId,
    isAmnesiac = false,
  ) {
    const meta: KvMeta = {
      ...applied,
      clusterTimeMs: 0,
      revision: 1,
      compactRevision: 0,
      clusterVersion: 1,
      digest: { live: ZERO_HASH, history: ZERO_HASH },
      liveKeys: 0,
      lastToken: 0,
    }
    const storage = {
      recovered: {
        hardState: { term: log.term ?? 3, votedFor: 'n1', commitIndex: log.commitIndex ?? 0 },
        marker: undefined,
        tail: { prev: log.prev, entries: entriesAfter(log.prev, log.terms) },
      },
    } as unknown as RaftStorage
    const pendingMarker: SnapshotMeta | undefined = pending && { ...pending, confState }
    const states = {
      current: { meta, configuration: { confState, members: [] } },
      pendingMarker,
    } as unknown as StateStorage
    const { init, marker } = recover(storage, states, isAmnesiac, silent)
    return {
      standing: init.standing,
      base: init.base.index,
      kept: init.entries.length,
      commit: init.hardState.commitIndex,
      term: init.hardState.term,
      marker: marker?.index,
    }
  }

  it('a new node starts from nothing', () => {
    expect(verdict({ prev: { term: 0, index: 0 }, terms: [], term: 0 }, { term: 0, index: 0 })).toEqual({
      standing: 'full',
      base: 0,
      kept: 0,
      commit: 0,
      term: 0,
      marker: undefined,
    })
  })

  it('a log that holds the applied entry is whole, and the commit hint never goes past it', () => {
    expect(verdict({ prev: { term: 0, index: 0 }, terms: [1, 1, 2], commitIndex: 9 }, { term: 1, index: 2 })).toEqual({
      standing: 'full',
      base: 0,
      kept: 3,
      commit: 3,
      term: 3,
      marker: undefined,
    })
  })

  it('D6: a log without its witness makes the node an amnesiac, and restarts from the state', () => {
    expect(verdict({ prev: { term: 0, index: 0 }, terms: [1, 1] }, { term: 1, index: 5 })).toEqual({
      standing: 'amnesiac',
      base: 5,
      kept: 0,
      commit: 5,
      term: 3,
      marker: 5,
    })
  })

  it('D6: another term at the applied index is a lost witness as well', () => {
    expect(verdict({ prev: { term: 0, index: 0 }, terms: [1, 1, 1] }, { term: 2, index: 3 }).standing).toBe('amnesiac')
  })

  it('D6: amnesia outlasts a restart, until it is cleared', () => {
    expect(verdict({ prev: { term: 1, index: 5 }, terms: [] }, { term: 1, index: 5 }, undefined, true).standing).toBe(
      'amnesiac',
    )
  })

  it('a swap that a crash cut short is finished, without suspicion', () => {
    expect(
      verdict({ prev: { term: 0, index: 0 }, terms: [1, 1] }, { term: 1, index: 5 }, { term: 1, index: 5 }),
    ).toEqual({ standing: 'full', base: 5, kept: 0, commit: 5, term: 3, marker: 5 })
  })

  it('a state older than the log reaches back is no state', () => {
    expect(verdict({ prev: { term: 2, index: 9 }, terms: [2] }, { term: 1, index: 5 })).toEqual({
      standing: 'stateless',
      base: 9,
      kept: 1,
      commit: 9,
      term: 3,
      marker: undefined,
    })
  })

  it('a state older than the log, of a node whose log has lost entries before, is nothing to start with', () => {
    const log = { prev: { term: 2, index: 9 }, terms: [2] }
    expect(() => verdict(log, { term: 1, index: 5 }, undefined, true)).toThrow('nothing here can be trusted')
  })

  it('the term is at least that of the applied entry', () => {
    expect(verdict({ prev: { term: 0, index: 0 }, terms: [], term: 1 }, { term: 4, index: 5 }).term).toBe(4)
  })
})
