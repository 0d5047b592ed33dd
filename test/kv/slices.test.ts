// Commands on tens of thousands of keys: one revision, in slices between which others get their turn, and seen by nobody before
// the last one. Whatever the slices, the result is that of the same commands one after another.
import { describe, expect, test } from 'vitest'
import type { Command, Compare, SessionId } from '../../src/api/commands.ts'
import { KEYS_PER_SLICE } from '../../src/kv/slices.ts'
import { put, Replica } from './replica.ts'

const LEASE = '00000000000000a1'
const KEYS = 3 * KEYS_PER_SLICE + 1

const grant: Command = { op: 'lease-grant', lease: LEASE, ttlMs: 1_000 }
const revoke: Command = { op: 'lease-revoke', lease: LEASE }
const everything = { from: '', to: undefined }
const name = (at: number): string => `k${String((at * 7) % KEYS).padStart(6, '0')}`

const txn = (compares: readonly Compare[]): Command => ({ op: 'txn', compares, success: [], failure: [] })

/** A replica with that many keys, all of one lease. */
function filled(): Replica {
  const replica = new Replica()
  replica.entry([grant, ...Array.from({ length: KEYS }, (_, at) => put(name(at), 'v', { lease: LEASE }))], 1)
  return replica
}

/** What the last entry did, by the changes that it made. */
function changesOf(replica: Replica, perform: () => void): { revisions: number; subs: number[]; keys: string[] } {
  const before = replica.changes.length
  perform()
  const made = replica.changes.slice(before).map(({ record }) => record)
  const revisions = new Set(made.map(({ at }) => at.revision)).size
  return { revisions, subs: made.map(({ at }) => at.sub), keys: made.map(({ key }) => key) }
}

describe('a command on many keys', () => {
  test.each<[string, Command]>([
    ['the end of a lease', revoke],
    ['its expiry', { op: 'expire', leases: [LEASE], sessions: [] }],
    ['a deleted range', { op: 'delete-range', range: everything }],
    [
      'a transaction that deletes a range',
      { op: 'txn', compares: [], success: [{ op: 'delete-range', range: everything }], failure: [] },
    ],
  ])('%s gives others a turn after each slice, and takes one revision, in byte order', (_claim, command) => {
    const replica = filled()
    let pauses = 0
    replica.onPause = () => pauses++
    const { revisions, subs, keys } = changesOf(replica, () => replica.entry([command], 5_000))
    expect(pauses).toBeGreaterThanOrEqual(3)
    expect([revisions, keys.length]).toEqual([1, KEYS])
    expect(subs).toEqual([...subs.keys()])
    expect(keys).toEqual([...keys].sort())
    expect(replica.meta.liveKeys).toBe(0)
  })

  test.each<[string, Compare]>([
    ['versions', { range: everything, target: 'version', operator: '=', operand: 1 }],
    ['values', { range: everything, target: 'value', operator: '=', operand: Buffer.from('v') }],
    ['leases', { range: everything, target: 'lease', operator: '=', operand: LEASE }],
  ])('gives others a turn while it compares %s, and comes to the same', (_what, compare) => {
    const replica = filled()
    let pauses = 0
    replica.onPause = () => pauses++
    expect(replica.do(txn([compare]))).toMatchObject({ succeeded: true })
    expect(pauses).toBeGreaterThanOrEqual(3)
    expect(replica.do(txn([compare, { ...compare, operator: '!=' }]))).toMatchObject({ succeeded: false })
  })

  test('that ends a lease fetches a slice at a time, and the lease is whole until it is gone', () => {
    const replica = filled()
    const seen = new Set<number | undefined>()
    replica.onPause = () => seen.add(replica.machine.side.lease(LEASE)?.keyCount)
    replica.do(revoke)
    expect(Math.max(...replica.reads.map(({ pointers }) => pointers.length))).toBe(KEYS_PER_SLICE)
    expect([...seen]).toEqual([KEYS])
    expect(replica.machine.side.lease(LEASE)).toBeUndefined()
  })

  test('leaves the same rows and digest as the keys deleted one by one, also when the entry goes on with the lease', () => {
    const [whole, single] = [filled(), filled()]
    const again = [grant, put('k000000', 'w', { lease: LEASE })]
    const condition = { kind: 'none' } as const
    whole.entry([put('k000001', 'x', { lease: '' }), put('k000001', 'x', { lease: LEASE }), revoke, ...again], 2)
    single.entry(
      [
        put('k000001', 'x', { lease: '' }),
        put('k000001', 'x', { lease: LEASE }),
        ...Array.from({ length: KEYS }, (_, at): Command => ({
          op: 'delete',
          key: name(at),
          condition,
          wantsPrevious: false,
        })),
        revoke,
        ...again,
      ],
      2,
    )
    expect([...whole.state.rowsReversed().keys()].sort()).toEqual([...single.state.rowsReversed().keys()].sort())
    const { digest } = whole.meta
    whole.restart()
    whole.do(revoke)
    single.do(revoke)
    expect(whole.meta.liveKeys).toBe(0)
    // Without keys and leases, `live` is the sum of nothing: no share was forgotten or taken twice.
    expect([whole.meta.digest.live, single.meta.digest.live]).toEqual([
      { hi: 0, lo: 0 },
      { hi: 0, lo: 0 },
    ])
    expect(digest.live).not.toEqual({ hi: 0, lo: 0 })
  })
})

describe('a session that ends', () => {
  const SESSION: SessionId = '00000000000000b1'
  const open: Command = { op: 'session-open', session: SESSION, ttlMs: 1_000 }
  const write = (sequence: number): Command =>
    put('k', String(sequence), { once: { kind: 'session', session: SESSION, sequence, acknowledgedBelow: 1 } })

  test.each<[string, Command]>([
    ['closed', { op: 'session-close', session: SESSION }],
    ['expired', { op: 'expire', leases: [], sessions: [SESSION] }],
  ])('and is %s leaves no row and no share behind, after a restart too', (_how, command) => {
    for (const restarts of [false, true]) {
      const replica = new Replica()
      replica.entry([open, ...Array.from({ length: 1_000 }, (_, at) => write(at + 1))], 1)
      if (restarts) replica.restart()
      replica.entry([command, { op: 'delete-range', range: everything }], 5_000)
      expect(replica.state.rowsReversed().size).toBe(0)
      expect(replica.meta.digest.live).toEqual({ hi: 0, lo: 0 })
    }
  })
})
