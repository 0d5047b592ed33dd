// The oracle must not be blind: an answer that the log does not bear out, a change that no command asked for, a repeat that is
// executed, a lease that dies early; each is noticed.
import { describe, expect, it } from 'vitest'
import { encodeCommand, encodeEntry } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { Command, CommandResult, PutCommand } from '../../src/api/commands.ts'
import { initialMeta } from '../../src/kv/index.ts'
import type { KvMeta } from '../../src/kv/types.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { Oracle } from './oracle.ts'
import { Situations } from './situations.ts'
import { World } from './world.ts'

const put = (key: string, value: string): PutCommand => ({
  op: 'put',
  key,
  value: Buffer.from(value),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: false,
})

function observed() {
  const world = new World()
  const situations = new Situations()
  const oracle = new Oracle(world, situations)
  let index = 0
  /** One entry, of which the node that applies it says what the model says, or something else. */
  const apply = (commands: readonly Command[], clusterTimeMs = 0, said: Partial<KvMeta> = {}): void => {
    const body = new ByteWriter()
    for (const command of commands) encodeCommand(body, command)
    const tag = { member: '0000000000000001', boot: 1, number: 0 }
    const data = encodeEntry({ clusterTimeMs, groups: [{ tag, body: body.finish() }] })
    index++
    oracle.onEntry({ index, term: 1, kind: 'normal', data })
    const { revision, lastToken, live } = new Twin(oracle, commands, clusterTimeMs)
    const meta = { ...initialMeta(), term: 1, index, clusterTimeMs, revision, lastToken, liveKeys: live, ...said }
    oracle.onFirstApplied('n1', meta, undefined)
  }
  return { world, situations, oracle, apply }
}

/** What the state will be, found out on a copy. */
class Twin {
  readonly revision: number
  readonly lastToken: number
  readonly live: number

  constructor(oracle: Oracle, commands: readonly Command[], clusterTimeMs: number) {
    const { model } = oracle
    const before = { ...model.state }
    // The model replaces what it changes, so that what it was can be put back.
    model.entry(commands, clusterTimeMs)
    this.revision = model.revision
    this.lastToken = model.state.lastToken
    this.live = model.live.size
    model.state = before
  }
}

const created = (revision: number): CommandResult => ({ kind: 'put', revision, isCreated: true, previous: undefined })

describe('the oracle', () => {
  it('agrees with answers that the log bears out', () => {
    const { world, oracle, apply } = observed()
    apply([put('a', 'v1')])
    oracle.onResult(put('a', 'v1'), created(2), 0)
    oracle.onRead('n1', 'a', oracle.model.live.get('a'), 2)
    expect(oracle.changesOf(2).map(({ key }) => key)).toEqual(['a'])
    expect(world.violation).toBe(undefined)
  })

  it('notices an answer of another revision, and one from before the call', () => {
    for (const [revision, after] of [
      [3, 0],
      [2, 1],
    ] as const) {
      const { world, oracle, apply } = observed()
      apply([put('a', 'v1')])
      oracle.onResult(put('a', 'v1'), created(revision), after)
      expect(world.violation?.message).toContain('the log has 1:')
    }
  })

  it('notices a write that its caller was told is not applied, before and after', () => {
    const early = observed()
    early.apply([put('a', 'v1')])
    early.oracle.onRefused(put('a', 'v1'), 'NO_LEADER')
    expect(early.world.violation?.message).toContain('told that it is not applied')
    const late = observed()
    late.oracle.onRefused(put('a', 'v1'), 'NO_LEADER')
    late.apply([put('a', 'v1')])
    expect(late.world.violation?.message).toContain('told that it is not')
  })

  it('A2: notices a write that is applied twice, and knows a repeat', () => {
    const session = '00000000000000aa'
    const once = { kind: 'session', session, sequence: 1, acknowledgedBelow: 1 } as const
    const good = observed()
    good.apply([{ op: 'session-open', session, ttlMs: 1_000 }])
    good.apply([
      { ...put('a', 'v1'), once },
      { ...put('a', 'v1'), once },
    ])
    expect(good.world.violation).toBe(undefined)
    expect(good.situations.counts.replay).toBe(1)
    const bad = observed()
    bad.apply([put('a', 'v1'), put('a', 'v1')])
    expect(bad.world.violation?.message).toContain('applied before')
  })

  it('notices a node whose revision, tokens or keys are not those of the log', () => {
    for (const said of [{ revision: 3 }, { lastToken: 1 }, { liveKeys: 0 }]) {
      const { world, apply } = observed()
      apply([put('a', 'v1')], 0, said)
      expect(world.violation?.message).toContain('and the model at')
    }
  })

  it('notices a read that shows what was not there', () => {
    const { world, oracle, apply } = observed()
    apply([put('a', 'v1')])
    oracle.onRead('n1', 'a', undefined, 2)
    expect(world.violation?.message).toContain('reads a at revision 2 as absent')
  })

  it('A7: notices cluster time that overtakes all clocks', () => {
    const { world, apply } = observed()
    apply([put('a', 'v1')], 60_000)
    expect(world.violation?.message).toContain('overtaken')
  })

  it('notices a lock that is told to be held and never was', () => {
    const { world, oracle, apply } = observed()
    const lock = {
      op: 'lock',
      kind: 'lock',
      name: 'l',
      ttlMs: 1_000,
      waitMs: 0,
      owner: '',
      value: new Uint8Array(0),
    } as const
    apply([{ ...lock, lease: '0000000000000001' }])
    oracle.onHeld(1)
    expect(world.violation).toBe(undefined)
    oracle.onHeld(2)
    expect(world.violation?.message).toContain('never did')
  })
})
