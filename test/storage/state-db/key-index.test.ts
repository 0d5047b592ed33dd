// The index of the cache: it finds every key that was added and not taken away, however their hashes collide.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyIndex, PLACE_GRAIN } from '../../../src/storage/state-db/key-index.ts'

const SLOTS = 15
const FULL = 12

/** Keys at places; the first character of a key decides its hash, so that many share one, and one is negative. */
class Shelf {
  readonly keys = new Map<number, string>()
  readonly index = new KeyIndex(SLOTS, {
    hashAt: (place) => this.hashOf(this.keys.get(place)!),
    isKeyAt: (place, key) => this.keys.get(place) === key,
  })

  hashOf(key: string): number {
    return key === '' ? -1 : key.charCodeAt(0) << 28
  }

  find(key: string): number | undefined {
    return this.index.find(key, this.hashOf(key))
  }
}

const operation = fc.record({
  kind: fc.constantFrom('add', 'add', 'delete', 'move'),
  key: fc.constantFrom('', 'a1', 'a2', 'a3', 'b1', 'b2', 'c1', 'd1', '\u000f1', '\u000f2', 'p1', 'q1', 'q2'),
  place: fc.nat({ max: 50 }).map((nth) => nth * PLACE_GRAIN),
})

describe('the index of keys', () => {
  it('finds what was added, where it was last, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (steps) => {
        const shelf = new Shelf()
        const model = new Map<string, number>()
        for (const { kind, key, place } of steps) {
          const known = model.get(key)
          const isFree = !shelf.keys.has(place)
          if (kind === 'add' && known === undefined && isFree && !shelf.index.isFull) {
            shelf.keys.set(place, key)
            shelf.index.add(place, shelf.hashOf(key))
            model.set(key, place)
          } else if (kind === 'move' && known !== undefined && isFree) {
            shelf.index.move(shelf.index.slotOf(known)!, place)
            shelf.keys.set(place, key)
            shelf.keys.delete(known)
            model.set(key, place)
          } else if (kind === 'delete' && known !== undefined) {
            shelf.index.delete(shelf.index.slotOf(known)!)
            shelf.keys.delete(known)
            model.delete(key)
          }
          for (const [other, at] of model) expect([other, shelf.find(other)]).toEqual([other, at])
          expect(shelf.find('never')).toBeUndefined()
          if (known === undefined) expect(shelf.find(key)).toBe(model.get(key))
          expect(shelf.index.isFull).toBe(model.size >= FULL)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('knows whether it still finds an entry, once another one took its place', () => {
    const shelf = new Shelf()
    shelf.keys.set(24, 'a').set(32, 'a')
    shelf.index.add(24, shelf.hashOf('a'))
    expect(shelf.index.slotOf(32)).toBeUndefined()
    const slot = shelf.index.slotOf(24)!
    shelf.index.delete(slot)
    expect(shelf.find('a')).toBeUndefined()
    shelf.index.add(32, shelf.hashOf('a'))
    expect([shelf.index.slotOf(24), shelf.index.slotOf(32)]).toEqual([undefined, slot])
  })
})
