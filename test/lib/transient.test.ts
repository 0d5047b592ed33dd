// What comes and goes: the set and the map hold what Set and Map would, whatever happens to them.
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import { TransientMap, TransientSet } from '../../src/lib/transient.ts'

const SEEDS = [1, 2, 3]

describe('A transient set', () => {
  test.each(SEEDS)('holds what a Set would (seed %i)', (seed) => {
    const random = new Prng(seed)
    const items = Array.from({ length: 50 }, (_, number) => ({ number, place: -1 }))
    const set = new TransientSet<(typeof items)[number]>()
    const model = new Set<(typeof items)[number]>()
    for (let step = 0; step < 2_000; step++) {
      const item = items[random.below(items.length)]!
      if (random.below(2) === 0) {
        set.add(item)
        model.add(item)
      } else {
        set.delete(item)
        model.delete(item)
      }
      expect(set.size).toBe(model.size)
      expect(set.has(item)).toBe(model.has(item))
    }
    expect(new Set(set.values())).toEqual(model)
  })

  test('lets things go and come while its values are looked at', () => {
    const items = Array.from({ length: 5 }, () => ({ place: -1 }))
    const set = new TransientSet<{ place: number }>()
    for (const item of items) set.add(item)
    const seen: unknown[] = []
    for (const item of set.values()) {
      seen.push(item)
      set.delete(item)
      set.add({ place: -1 })
    }
    expect(seen).toEqual(items)
    expect(set.size).toBe(5)
  })

  test('does not take a thing of another set for its own', () => {
    const [one, other] = [new TransientSet<{ place: number }>(), new TransientSet<{ place: number }>()]
    const mine = { place: -1 }
    one.add(mine)
    const foreign = { place: 0 }
    other.delete(foreign)
    one.delete(foreign)
    expect(one.values()).toEqual([mine])
  })
})

describe('A transient map', () => {
  test.each(SEEDS)('holds what a Map would, in its order (seed %i)', (seed) => {
    const random = new Prng(seed)
    const map = new TransientMap<string>()
    const model = new Map<number, string>()
    for (let step = 0; step < 2_000; step++) {
      const number = random.below(40)
      if (random.below(2) === 0) {
        map.set(number, `item ${step}`)
        model.set(number, `item ${step}`)
      } else {
        expect(map.delete(number)).toBe(model.get(number))
        model.delete(number)
      }
      expect(map.size).toBe(model.size)
      expect(map.get(number)).toBe(model.get(number))
      expect(map.has(number)).toBe(model.has(number))
    }
    expect(map.entries()).toEqual([...model])
    expect(map.values()).toEqual([...model.values()])
    map.clear()
    expect(map.entries()).toEqual([])
  })
})
