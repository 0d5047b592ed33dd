// Assertions and the deferred promise: small, and everything leans on them.
import { describe, expect, test } from 'vitest'
import { assert, AssertionError, present, unreachable } from '../../src/lib/assert.ts'
import { deferred } from '../../src/lib/deferred.ts'

describe('an assertion', () => {
  test('that fails names what was claimed', () => {
    expect(() => assert(false, 'index 4 follows 2')).toThrow(new AssertionError('index 4 follows 2'))
    expect(() => assert(true, 'never seen')).not.toThrow()
  })

  test('of presence gives the value, falsy ones too', () => {
    expect([present(0, 'zero'), present('', 'text'), present(null, 'null')]).toEqual([0, '', null])
    expect(() => present(undefined, 'the leader')).toThrow('the leader is missing')
  })

  test('of a forgotten case shows it', () => {
    expect(() => unreachable({ kind: 'new' } as never)).toThrow('unreachable case: {"kind":"new"}')
  })
})

describe('a deferred promise', () => {
  test('resolves from outside, once', async () => {
    const answer = deferred<number>()
    answer.resolve(1)
    answer.resolve(2)
    answer.reject(new Error('too late'))
    expect(await answer.promise).toBe(1)
  })

  test('rejects from outside', async () => {
    const answer = deferred<void>()
    answer.reject(new Error('no'))
    await expect(answer.promise).rejects.toThrow('no')
  })
})
