// Waiting for locks, over a queue that the test moves: who is answered when, and whose place is given back.
import { beforeEach, describe, expect, it } from 'vitest'
import { type ClientCommand, type CommandResult, type LockCommand } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { SideState } from '../../src/kv/index.ts'
import type { LockPlace } from '../../src/node/facade.ts'
import { LIMITS } from '../../src/node/limits.ts'
import { Locks } from '../../src/node/locks.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

type Outcome = CommandResult | QuorateError

interface Submitted {
  readonly command: ClientCommand
  readonly done: (outcome: Outcome) => void
}

const LOCK: LockCommand = {
  op: 'lock',
  kind: 'lock',
  name: 'l',
  lease: '0000000000000001',
  ttlMs: 15_000,
  waitMs: 10_000,
  owner: 'me',
  value: new Uint8Array(0),
}

class Bench {
  readonly clock = new VirtualClock()
  readonly submitted: Submitted[] = []
  queue: LockPlace[] = []
  revision = 7
  readonly locks: Locks

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters of the port read this bench
    const bench = this
    const side: Pick<SideState, 'lock'> = { lock: () => ({ holder: this.queue[0], queue: this.queue.slice(1) }) }
    this.locks = new Locks(this.clock, {
      side: side as SideState,
      get revision() {
        return bench.revision
      },
      writes: { submit: (command, _timeoutMs, done) => void this.submitted.push({ command, done }) },
    })
  }

  acquire(command: Partial<LockCommand> = {}): { heard: Outcome[]; abandon: () => void } {
    const heard: Outcome[] = []
    const acquiring = this.locks.acquire({ ...LOCK, ...command }, 5_000, (outcome) => heard.push(outcome))
    return { heard, abandon: () => acquiring.abandon() }
  }

  /** The queue is now these tokens, by an entry that was applied. */
  move(...tokens: number[]): void {
    this.queue = tokens.map((token) => ({ token, lease: LOCK.lease, owner: 'x', value: new Uint8Array(0) }))
    this.locks.onApplied([{ kind: 'lock', name: 'l' }])
  }

  /** Answers the last command submitted. */
  answer(outcome: Outcome): void {
    this.submitted.at(-1)!.done(outcome)
  }

  place(token: number, isHeld: boolean): void {
    this.answer({ kind: 'lock', revision: 7, token, lease: LOCK.lease, isHeld })
  }
}

const unlockOf = (token: number) => ({ op: 'unlock', kind: 'lock', name: 'l', token })
const leaveOf = (token: number) => ({ ...unlockOf(token), onlyWaiting: true })

describe('acquiring a lock', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
  })

  it('that is free is answered at once', () => {
    const { heard } = bench.acquire()
    bench.move(1)
    bench.place(1, true)
    expect(heard).toMatchObject([{ kind: 'lock', token: 1, isHeld: true }])
    expect(bench.locks.waitingCount).toBe(0)
  })

  it('waits until its place comes first', () => {
    bench.move(1)
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    expect(heard).toEqual([])
    bench.revision = 9
    bench.move(2)
    expect(heard).toMatchObject([{ kind: 'lock', token: 2, isHeld: true, revision: 9 }])
    bench.clock.advance(20_000)
    expect([bench.submitted.length, heard.length]).toEqual([1, 1])
  })

  it('gives its place back when patience ends, and is told that others hold it', () => {
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    bench.clock.advance(9_999)
    expect(bench.submitted.length).toBe(1)
    bench.clock.advance(1)
    expect(bench.submitted.at(-1)!.command).toEqual(leaveOf(2))
    bench.move(1)
    expect(heard).toEqual([])
    bench.answer({ kind: 'unlocked', revision: 8, wasHeld: false })
    expect(heard).toEqual([{ kind: 'refused', revision: 8, reason: 'locked' }])
  })

  it('has the lock when its place came first while patience ended, and takes it from nobody who was told so', () => {
    const once = { kind: 'key', key: 'k', fingerprint: '0'.repeat(16) } as const
    const impatient = bench.acquire({ once, waitMs: 1_000 })
    bench.move(1, 2)
    bench.place(2, false)
    bench.clock.advance(1_000)
    expect(bench.submitted.at(-1)!.command).toEqual(leaveOf(2))
    bench.move(2)
    const leaving = bench.submitted.at(-1)!
    const repeat = bench.acquire({ once, waitMs: 1_000 })
    const result = { kind: 'lock', revision: 7, token: 2, lease: LOCK.lease, isHeld: false } as const
    bench.answer({ kind: 'replayed', revision: 8, result })
    expect(repeat.heard).toMatchObject([{ kind: 'replayed', result: { token: 2, isHeld: true } }])
    leaving.done({ kind: 'refused', revision: 9, reason: 'held' })
    expect(impatient.heard).toMatchObject([{ kind: 'lock', token: 2, isHeld: true }])
    expect([bench.submitted.length, bench.locks.waitingCount]).toEqual([3, 0])
  })

  it('whose caller goes while patience ends is given up, though its place came first', () => {
    const { heard, abandon } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    bench.clock.advance(10_000)
    abandon()
    bench.move(2)
    bench.answer({ kind: 'refused', revision: 9, reason: 'held' })
    expect(bench.submitted.at(-1)!.command).toEqual(unlockOf(2))
    bench.answer({ kind: 'unlocked', revision: 9, wasHeld: true })
    expect([heard, bench.locks.waitingCount]).toEqual([[], 0])
  })

  it('is not held by a repeat whose place has ended since it was told so', () => {
    bench.move(5)
    const { heard } = bench.acquire()
    const result = { kind: 'lock', revision: 3, token: 2, lease: LOCK.lease, isHeld: true } as const
    bench.answer({ kind: 'replayed', revision: 7, result })
    expect(heard).toMatchObject([{ kind: 'replayed', result: { kind: 'refused', reason: 'locked' } }])
    expect([bench.submitted.length, bench.locks.waitingCount]).toEqual([1, 0])
  })

  it('that may be asked for again keeps its place when the caller goes: the repeat may hold it already, by another node', () => {
    const once = { kind: 'key', key: 'k', fingerprint: '0'.repeat(16) } as const
    const waiting = bench.acquire({ once })
    bench.move(1, 2)
    bench.place(2, false)
    waiting.abandon()
    const asking = bench.acquire({ once })
    asking.abandon()
    bench.place(2, false)
    const closing = bench.acquire({ once })
    bench.place(2, false)
    bench.locks.close()
    expect(bench.submitted.map(({ command }) => command.op)).toEqual(['lock', 'lock', 'lock'])
    expect([waiting.heard, asking.heard, bench.locks.waitingCount]).toEqual([[], [], 0])
    expect(closing.heard).toMatchObject([{ code: 'SHUTTING_DOWN', outcome: 'unknown' }])
  })

  it('is told at once when the place that is asked for again is gone', () => {
    bench.move(5)
    const { heard } = bench.acquire()
    const result = { kind: 'lock', revision: 3, token: 2, lease: LOCK.lease, isHeld: false } as const
    bench.answer({ kind: 'replayed', revision: 7, result })
    expect(heard).toMatchObject([{ kind: 'replayed', result: { kind: 'refused', reason: 'locked' } }])
    expect([bench.submitted.length, bench.locks.waitingCount]).toEqual([1, 0])
  })

  it('has the lock after all when giving up certainly failed', () => {
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    bench.clock.advance(10_000)
    bench.move(2)
    bench.answer(new QuorateError('NO_LEADER', 'none'))
    expect(heard).toMatchObject([{ kind: 'lock', token: 2, isHeld: true }])
  })

  it('says so when it is not known whether the place was given back', () => {
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    bench.clock.advance(10_000)
    bench.answer(new QuorateError('LEADERSHIP_LOST', 'lost'))
    expect(heard).toMatchObject([{ code: 'LEADERSHIP_LOST', outcome: 'unknown' }])
  })

  it('passes on what the state machine refuses, and what happens to the write', () => {
    const refused = bench.acquire()
    bench.answer({ kind: 'refused', revision: 7, reason: 'locked' })
    const lost = bench.acquire()
    bench.answer(new QuorateError('LEADERSHIP_LOST', 'lost'))
    expect([refused.heard, lost.heard]).toMatchObject([[{ reason: 'locked' }], [{ code: 'LEADERSHIP_LOST' }]])
    expect(bench.locks.waitingCount).toBe(0)
  })

  it('a repeat of a request goes on waiting in the same place', () => {
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.answer({
      kind: 'replayed',
      revision: 7,
      result: { kind: 'lock', revision: 5, token: 2, lease: LOCK.lease, isHeld: false },
    })
    bench.move(2)
    expect(heard).toMatchObject([{ kind: 'replayed', result: { token: 2, isHeld: true } }])
  })

  it('whose caller has gone gives the place back, however far it is', () => {
    const waiting = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    waiting.abandon()
    expect(bench.submitted.at(-1)!.command).toEqual(unlockOf(2))
    bench.answer({ kind: 'unlocked', revision: 8, wasHeld: false })
    const asking = bench.acquire()
    asking.abandon()
    bench.move(3)
    bench.place(3, true)
    expect(bench.submitted.at(-1)!.command).toEqual(unlockOf(3))
    bench.answer({ kind: 'unlocked', revision: 9, wasHeld: true })
    expect([waiting.heard, asking.heard, bench.locks.waitingCount]).toEqual([[], [], 0])
  })

  it('is not undone by a caller who goes after the answer', () => {
    const { abandon } = bench.acquire()
    bench.move(1)
    bench.place(1, true)
    abandon()
    expect(bench.submitted.length).toBe(1)
  })

  it('ends when the node stops, and the place is given back first', () => {
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    bench.locks.close()
    expect(heard).toEqual([])
    bench.answer({ kind: 'unlocked', revision: 8, wasHeld: false })
    expect(heard).toMatchObject([{ code: 'SHUTTING_DOWN', outcome: 'not-applied' }])
    expect(bench.acquire().heard).toMatchObject([{ code: 'SHUTTING_DOWN' }])
  })

  it('is looked at again when another state takes the place of ours', () => {
    const { heard } = bench.acquire()
    bench.move(1, 2)
    bench.place(2, false)
    bench.queue = bench.queue.slice(1)
    bench.locks.onInstalled()
    expect(heard).toMatchObject([{ token: 2, isHeld: true }])
  })

  it('is refused when too many wait', () => {
    for (let at = 0; at < LIMITS.waitingLocksMax; at++) bench.acquire()
    expect(bench.acquire().heard).toMatchObject([{ code: 'OVERLOADED' }])
  })
})

describe('observing a lock', () => {
  it('tells who holds it, at the beginning and whenever that changes', () => {
    const bench = new Bench()
    bench.move(1)
    const seen: string[] = []
    const observer = bench.locks.observe('lock', 'l', (holder, revision) =>
      seen.push(`${holder?.token ?? 'nobody'} at ${revision}`),
    )
    expect(seen).toEqual([])
    bench.clock.settle()
    bench.revision = 8
    bench.move(1, 2)
    bench.move(2)
    bench.move()
    bench.locks.onInstalled()
    observer.cancel()
    bench.move(3)
    expect(seen).toEqual(['1 at 7', '2 at 8', 'nobody at 8'])
  })

  it('tells what is proclaimed anew', () => {
    const bench = new Bench()
    const seen: string[] = []
    bench.locks.observe('lock', 'l', (holder) => seen.push(Buffer.from(holder?.value ?? []).toString()))
    bench.clock.settle()
    for (const value of ['a', 'a', 'b']) {
      bench.queue = [{ token: 1, lease: LOCK.lease, owner: 'x', value: Buffer.from(value) }]
      bench.locks.onApplied([{ kind: 'lock', name: 'l' }])
    }
    expect(seen).toEqual(['', 'a', 'b'])
  })

  it('is refused when there are too many', () => {
    const bench = new Bench()
    for (let at = 0; at < LIMITS.lockObserversMax; at++) bench.locks.observe('lock', `l${at}`, () => {})
    expect(() => bench.locks.observe('lock', 'l', () => {})).toThrow('Too many')
  })
})
