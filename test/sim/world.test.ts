// The simulated world's own rules: time, order, and what a process that is dead or stands still gets to see.
import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import { Host } from './host.ts'
import { World } from './world.ts'

const hostOf = (world: World, ratePerMille = 1_000): Host =>
  new Host({ world, prng: new Prng(1), index: 0, ratePerMille, lateMsMax: 0 })

describe('the world', () => {
  it('lets events happen by their time, and in the order of planning at the same time', async () => {
    const world = new World()
    const seen: string[] = []
    world.after(5, () => seen.push('later'))
    world.after(1, () => seen.push('first'))
    world.after(1, () => seen.push('second'))
    await world.run(10)
    expect(seen).toEqual(['first', 'second', 'later'])
    expect(world.nowMs).toBe(10)
  })

  it('lets promise chains end before the next event', async () => {
    const world = new World()
    const seen: string[] = []
    const chain = async (): Promise<void> => {
      for (let step = 0; step < 50; step++) await Promise.resolve()
      seen.push('end of the chain')
    }
    world.after(1, () => void chain())
    world.after(1, () => seen.push('next event'))
    await world.run(2)
    expect(seen).toEqual(['end of the chain', 'next event'])
  })

  it('keeps a heap in order, whatever is planned when', async () => {
    const world = new World()
    const prng = new Prng('heap')
    const seen: number[] = []
    for (let count = 0; count < 500; count++) world.after(prng.below(100), () => seen.push(world.nowMs))
    await world.run(100)
    expect(seen).toHaveLength(500)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  })

  it('stops at the first violation, and takes an exception for one', async () => {
    const world = new World()
    const seen: string[] = []
    world.after(1, () => {
      throw new Error('a broken claim')
    })
    world.after(2, () => seen.push('must not happen'))
    expect(await world.run(10)).toBe(false)
    expect(world.violation?.message).toContain('a broken claim')
    expect(seen).toEqual([])
  })

  it('does not run what was cancelled', async () => {
    const world = new World()
    const seen: string[] = []
    world.after(1, () => seen.push('cancelled')).callback = undefined
    await world.run(2)
    expect(seen).toEqual([])
  })
})

describe('a process', () => {
  it('gets nothing after its death: no timer, no input', async () => {
    const world = new World()
    const host = hostOf(world)
    const seen: string[] = []
    host.clock.after(1, () => seen.push('timer'))
    host.clock.soon(() => seen.push('soon'))
    host.kill()
    host.input(() => seen.push('input'))
    await world.run(5)
    expect(seen).toEqual([])
  })

  it('N1: that stood still finds late timers first, then its input, then what the timers put off', async () => {
    const world = new World()
    const host = hostOf(world)
    const seen: string[] = []
    host.clock.after(2, () => {
      seen.push('timer')
      host.clock.soon(() => seen.push('soon'))
    })
    world.after(1, () => host.pause())
    world.after(3, () => host.input(() => seen.push('input')))
    world.after(9, () => host.resume())
    await world.run(8)
    expect(seen).toEqual([])
    await world.run(5)
    expect(seen).toEqual(['timer', 'input', 'soon'])
  })

  it('has a clock of its own speed, by which timers are never early', async () => {
    for (const ratePerMille of [950, 1_000, 1_050]) {
      const world = new World()
      const host = hostOf(world, ratePerMille)
      const startMs = host.clock.now()
      let firedMs = 0
      host.clock.after(100, () => (firedMs = host.clock.now() - startMs))
      await world.run(200)
      expect(firedMs).toBeGreaterThanOrEqual(100)
      expect(firedMs).toBeLessThan(101)
    }
  })
})
