// The filter of keys: it knows every key that was added, and few others.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyFilter } from '../../../src/storage/state-db/key-filter.ts'
import { hashOf } from '../../../src/storage/state-db/key-index.ts'

function filterOf(bytes: number, keys: readonly string[]): KeyFilter {
  const filter = new KeyFilter(bytes)
  for (const key of keys) filter.add(hashOf(key))
  filter.complete()
  return filter
}

const names = (prefix: string): string[] => Array.from({ length: 10_000 }, (_, nth) => `${prefix}/${nth}`)

describe('the filter of keys', () => {
  it('knows every key that was added, in any number of bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.array(fc.string(), { maxLength: 500 }), (bytes, keys) => {
        const filter = filterOf(bytes, keys)
        expect(keys.filter((key) => !filter.mayHold(hashOf(key)))).toEqual([])
      }),
    )
  })

  it('takes one in fifty of the others for one of them, at ten bits a key', () => {
    const filter = filterOf(12_500, names('there'))
    expect(names('elsewhere').filter((key) => filter.mayHold(hashOf(key))).length).toBeLessThan(200)
  })

  it('rules nothing out before it is complete', () => {
    const filter = new KeyFilter(1_000)
    expect(filter.mayHold(hashOf('a'))).toBe(true)
    filter.complete()
    expect(filter.mayHold(hashOf('a'))).toBe(false)
  })
})
