// The pace of long walks: they rest about as long as they work, all together; short ones never wait.
import { describe, expect, it } from 'vitest'
import { Pace, Walker } from '../../../src/storage/state-db/pace.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

interface Road {
  readonly clock: VirtualClock
  readonly pace: Pace
  /** Begins a turn that takes so long; the list tells of its end. */
  readonly turn: (walker: Walker, tookMs: number, ended?: string[], name?: string) => Promise<void>
}

function road(): Road {
  const clock = new VirtualClock()
  const turn: Road['turn'] = async (walker, tookMs, ended = [], name = '') => {
    await walker.turn(async () => clock.stall(tookMs))
    ended.push(name)
  }
  return { clock, pace: new Pace(clock), turn }
}

/** A walker that has gone so far that it rests. */
async function longWalker({ pace, turn }: Road): Promise<Walker> {
  const walker = new Walker(pace)
  for (let turns = 0; turns < 60; turns++) await turn(walker, 0.5)
  return walker
}

describe('the pace of walks', () => {
  it('lets a short walk go as fast as it can', async () => {
    const way = road()
    await longWalker(way)
    expect(way.clock.timerCount).toBe(0)
    expect(way.clock.now()).toBe(30)
  })

  it('has a long walk rest for as long as it worked', async () => {
    const way = road()
    const walker = await longWalker(way)
    const ended: string[] = []
    for (const _ of [1, 2]) await way.turn(walker, 0.5)
    expect(way.clock.timerCount).toBe(1)
    const next = way.turn(walker, 0.5, ended, 'next')
    await way.clock.drain()
    expect(ended).toEqual([])
    way.clock.advance(0.9)
    await way.clock.drain()
    expect(ended).toEqual([])
    way.clock.advance(0.1)
    await next
    expect(ended).toEqual(['next'])
  })

  it('has all long walks rest at the same time, for what they did together, and no short one', async () => {
    const way = road()
    const [one, other, short] = [await longWalker(way), await longWalker(way), new Walker(way.pace)]
    await way.turn(one, 0.5)
    await way.turn(other, 0.5)
    const ended: string[] = []
    const both = [way.turn(one, 0.1, ended, 'one'), way.turn(other, 0.1, ended, 'other')]
    await way.turn(short, 0.1, ended, 'short')
    await way.clock.drain()
    expect(ended).toEqual(['short'])
    way.clock.advance(1)
    await Promise.all(both)
    expect(ended).toEqual(['short', 'one', 'other'])
  })

  it('does not count what a turn waited for the disk', async () => {
    const way = road()
    const walker = await longWalker(way)
    await way.turn(walker, 400)
    expect(way.clock.timerCount).toBe(0)
    await way.turn(walker, 400)
    const next = way.turn(walker, 0)
    way.clock.advance(1)
    await next
  })

  it('hands on what a turn fails with', async () => {
    const walker = await longWalker(road())
    await expect(walker.turn(async () => await Promise.reject(new Error('damaged')))).rejects.toThrow('damaged')
  })
})
