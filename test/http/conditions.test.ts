// Conditions of writes and reads: one on a write, lists on a read, and malformed tags refused on both.
import { describe, expect, it } from 'vitest'
import { checkReadConditions, readVerdict, writeCondition } from '../../src/http/conditions.ts'

const badRequest = expect.objectContaining({ code: 'BAD_REQUEST' }) as Error
const MALFORMED = [
  '17',
  '"17 "',
  '',
  '"17',
  '17"',
  "'17'",
  'w/"17"',
  'W/17',
  '"a" "b"',
  '"1",',
  ',"1"',
  '"1",,"2"',
  '"\u007f"',
  '**',
]

describe('the condition of a write', () => {
  it('is none without a header or parameter', () => {
    expect(writeCondition({}, undefined)).toEqual({ kind: 'none' })
  })

  it('is the revision in an entity tag or in cas', () => {
    expect(writeCondition({ 'if-match': '"17"' }, undefined)).toEqual({ kind: 'revision', revision: 17 })
    expect(writeCondition({}, 17)).toEqual({ kind: 'revision', revision: 17 })
  })

  it('is that the key exists, or that it does not', () => {
    expect(writeCondition({ 'if-match': '*' }, undefined)).toEqual({ kind: 'exists' })
    expect(writeCondition({ 'if-none-match': '*' }, undefined)).toEqual({ kind: 'revision', revision: 0 })
    expect(writeCondition({}, 0)).toEqual({ kind: 'revision', revision: 0 })
  })

  it('never holds for a well-formed tag that no revision has', () => {
    for (const tag of ['"a"', '""', 'W/"17"', '"0"', '"017"', '"1234567890123456"', '"1,2"', '"\xff"', '"-1"'])
      expect(writeCondition({ 'if-match': tag }, undefined)).toEqual({ kind: 'never' })
  })

  it('is refused when malformed, a list, or one of two', () => {
    for (const tag of [...MALFORMED, '"1", "2"', '"17", *'])
      expect(() => writeCondition({ 'if-match': tag }, undefined)).toThrow(badRequest)
    for (const tag of ['"17"', '', '17', '*, *', '"a", *'])
      expect(() => writeCondition({ 'if-none-match': tag }, undefined)).toThrow(badRequest)
    expect(() => writeCondition({ 'if-match': '"1"', 'if-none-match': '*' }, undefined)).toThrow(badRequest)
    expect(() => writeCondition({ 'if-match': '"1"' }, 1)).toThrow(badRequest)
    expect(() => writeCondition({ 'if-none-match': '*' }, 0)).toThrow(badRequest)
  })
})

describe('the verdict on a read', () => {
  it('follows If-None-Match by weak comparison', () => {
    for (const tags of ['"17"', 'W/"17"', '"1", "17"', '"a,b" ,\t"17"', '*'])
      expect(readVerdict({ 'if-none-match': tags }, 17)).toBe('not-modified')
    for (const tags of ['"16"', '"1", "2"', '"\'17\'"']) expect(readVerdict({ 'if-none-match': tags }, 17)).toBe('send')
  })

  it('follows If-Match by strong comparison, and first', () => {
    for (const tags of ['"17"', '"1","17"', '*']) expect(readVerdict({ 'if-match': tags }, 17)).toBe('send')
    for (const tags of ['"16"', 'W/"17"']) expect(readVerdict({ 'if-match': tags }, 17)).toBe('precondition-failed')
    expect(readVerdict({ 'if-match': '"1"', 'if-none-match': '"17"' }, 17)).toBe('precondition-failed')
    expect(readVerdict({ 'if-match': '"17"', 'if-none-match': '"17"' }, 17)).toBe('not-modified')
  })

  it('is refused for malformed tags, whether or not the key exists', () => {
    for (const tags of MALFORMED) {
      expect(() => checkReadConditions({ 'if-match': tags })).toThrow(badRequest)
      expect(() => checkReadConditions({ 'if-none-match': tags })).toThrow(badRequest)
    }
  })
})
