// The watcher must not be blind: each promise, broken on purpose, is noticed.
import { describe, expect, it } from 'vitest'
import type { KvMeta } from '../../src/kv/types.ts'
import { initialMeta } from '../../src/kv/index.ts'
import type { LogWrite, RecoveredLog } from '../../src/node/ports.ts'
import type { Entry, HardState, Message } from '../../src/raft/index.ts'
import { Observer } from './observer.ts'
import { Situations } from './situations.ts'
import { World } from './world.ts'

const IDS = ['0000000000000001', '0000000000000002', '0000000000000003'] as const

function observed(): { world: World; observer: Observer; write: (node: number, write: Partial<LogWrite>) => void } {
  const world = new World()
  const members = IDS.map((id, at) => ({ id, name: `n${at + 1}` }))
  const observer = new Observer(world, new Situations(), members)
  const write = (node: number, parts: Partial<LogWrite>): void => {
    const whole: LogWrite = { hardState: undefined, entries: [], snapshot: undefined, ...parts }
    observer.onAppending(node, whole)
    observer.onAppended(node, whole)
  }
  return { world, observer, write }
}

const entry = (index: number, term: number, text = ''): Entry => ({
  index,
  term,
  // What commands do is the oracle's business.
  kind: 'no-op',
  data: Buffer.from(text),
})
const vote = (term: number, votedFor?: string): HardState => ({ term, votedFor, commitIndex: 0 })
const heartbeat = (from: string, to: string, term: number): Message => ({
  type: 'heartbeat',
  from,
  to,
  term,
  commitIndex: 0,
  readRound: 0,
  lastIndex: 0,
})
const meta = (index: number, term: number, more: Partial<KvMeta> = {}): KvMeta => ({
  ...initialMeta(),
  index,
  term,
  ...more,
})
const recovered = (hardState: HardState, entries: Entry[]): RecoveredLog => ({
  hardState,
  marker: undefined,
  tail: { prev: { index: 0, term: 0 }, entries },
})

const append = (term: number, commitIndex: number): Message => ({
  type: 'append-entries',
  from: IDS[0],
  to: IDS[1],
  term,
  prev: { index: 0, term: 0 },
  entries: [],
  commitIndex,
  readRound: 0,
  lastIndex: 2,
})
const refusal = (index: number): Message => ({
  type: 'append-entries-response',
  from: IDS[0],
  to: IDS[1],
  term: 1,
  readRound: 0,
  result: { kind: 'rejected', index, hint: { index: 1, term: 1 } },
  isSpaceLow: false,
})

describe('the observer notices', () => {
  it('two leaders in one term', () => {
    const { world, observer } = observed()
    observer.onSend(0, heartbeat(IDS[0], IDS[1], 4))
    observer.onSend(0, heartbeat(IDS[0], IDS[2], 4))
    expect(world.violation).toBe(undefined)
    observer.onSend(1, heartbeat(IDS[1], IDS[2], 4))
    expect(world.violation?.message).toContain('two leaders in term 4')
  })

  it('E1: a vote that is granted before it is durable, and a second one in the same term', () => {
    const granted = (to: string): Message => ({
      type: 'request-vote-response',
      from: IDS[0],
      to,
      term: 2,
      isGranted: true,
    })
    const early = observed()
    early.observer.onSend(0, granted(IDS[1]))
    expect(early.world.violation?.message).toContain('not durable')
    const twice = observed()
    twice.write(0, { hardState: vote(2, IDS[1]) })
    twice.observer.onSend(0, granted(IDS[1]))
    expect(twice.world.violation).toBe(undefined)
    twice.observer.onSend(0, granted(IDS[2]))
    expect(twice.world.violation?.message).toContain('votes twice')
  })

  it('L1: an entry of an earlier term that is committed by counting its copies', () => {
    const { world, observer, write } = observed()
    for (const node of [0, 1]) write(node, { entries: [entry(1, 1), entry(2, 2)] })
    observer.onSend(0, append(2, 0))
    observer.onSend(0, append(2, 2))
    expect(world.violation).toBe(undefined)
    observer.onSend(0, append(3, 0))
    observer.onSend(0, append(3, 1))
    expect(world.violation?.message).toContain('commits entry 1 of term 1 by counting, in term 3')
  })

  it('L5: an append that is refused although its place is applied', () => {
    const { world, observer, write } = observed()
    for (const node of [0, 1]) write(node, { entries: [entry(1, 1)] })
    observer.onApplied(0, meta(1, 1))
    observer.onSend(0, refusal(2))
    expect(world.violation).toBe(undefined)
    observer.onSend(0, refusal(1))
    expect(world.violation?.message).toContain('which it has applied')
  })

  it('R2: a read that sees less than somebody had reached when it began', () => {
    const { world, observer, write } = observed()
    for (const node of [0, 1]) write(node, { entries: [entry(1, 1)] })
    observer.oracle.model.state.revision = 5
    observer.onApplied(0, meta(1, 1, { revision: 5 }))
    observer.onRead('n2', observer.revisionMax, 5)
    expect(world.violation).toBe(undefined)
    observer.onRead('n2', observer.revisionMax, 4)
    expect(world.violation?.message).toContain('answers a read from revision 4')
  })

  it('an entry that is taken for committed without a majority', () => {
    const { world, observer, write } = observed()
    write(0, { entries: [entry(1, 1)] })
    observer.onApplied(0, meta(1, 1))
    expect(world.violation?.message).toContain('durable only on: n1')
  })

  it('another entry at an applied index, and another state after the same', () => {
    for (const [other, words] of [
      [meta(1, 2), 'where others have term 1'],
      [meta(1, 1, { revision: 9 }), 'another state'],
    ] as const) {
      const { world, observer, write } = observed()
      write(0, { entries: [entry(1, 1)] })
      write(1, { entries: [entry(1, 1)] })
      observer.onApplied(0, meta(1, 1))
      expect(world.violation).toBe(undefined)
      observer.onApplied(1, other)
      expect(world.violation?.message).toContain(words)
    }
  })

  it('two entries of one index and term', () => {
    const { world, write } = observed()
    write(0, { entries: [entry(1, 1, 'one')] })
    write(1, { entries: [entry(1, 1, 'another')] })
    expect(world.violation?.message).toContain('another entry 1')
  })

  it('a log that came back without what was durable, but not the loss of what was not', () => {
    const { world, observer, write } = observed()
    write(0, { hardState: vote(3, IDS[1]), entries: [entry(1, 3)] })
    const pending: LogWrite = { hardState: undefined, entries: [entry(2, 3)], snapshot: undefined }
    observer.onAppending(0, pending)
    observer.onRecovered(0, recovered(vote(3, IDS[1]), [entry(1, 3)]))
    observer.onAppending(0, pending)
    observer.onRecovered(0, recovered(vote(3, IDS[1]), [entry(1, 3), entry(2, 3)]))
    expect(world.violation).toBe(undefined)
    observer.onRecovered(0, recovered(vote(3, IDS[1]), [entry(1, 3)]))
    expect(world.violation?.message).toContain('it lost entry 2')
  })

  it('L3: a half of a write that came back without the other', () => {
    const { world, observer, write } = observed()
    write(0, { hardState: vote(3), entries: [entry(1, 3), entry(2, 3)] })
    const pending: LogWrite = { hardState: vote(4), entries: [entry(2, 4)], snapshot: undefined }
    observer.onAppending(0, pending)
    observer.onRecovered(0, recovered(vote(3), [entry(1, 3), entry(2, 3)]))
    observer.onAppending(0, pending)
    observer.onRecovered(0, recovered(vote(4), [entry(1, 3), entry(2, 4)]))
    expect(world.violation).toBe(undefined)
    observer.onAppending(0, { hardState: vote(5), entries: [entry(2, 5)], snapshot: undefined })
    observer.onRecovered(0, recovered(vote(5), [entry(1, 3), entry(2, 4)]))
    expect(world.violation?.message).toContain('only a part of its last write survived')
  })

  it('H8: a write that is applied although its caller was told that it is not', () => {
    const { world, observer } = observed()
    observer.onRefused('v1', 'NO_LEADER')
    const at = { revision: 2, sub: 0 }
    const record = {
      at,
      key: 'k',
      value: Buffer.from('v1'),
      contentType: '',
      createRevision: 2,
      version: 1,
      lease: '',
      predecessor: undefined,
      skip: undefined,
    }
    const pointer = {
      at,
      createRevision: 2,
      version: 1,
      changes: 1,
      isTombstone: false,
      skips: [],
      digest: { hi: 0, lo: 0 },
    }
    observer.onChange(0, { record, pointer })
    expect(world.violation?.message).toContain('told that it is not')
  })
})
