// JSON requests: what is ambiguous or meant to hurt is refused before a schema sees it.
import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/http/json.ts'

const parse = (text: string): unknown => parseJson(Buffer.from(text))
const badRequest = expect.objectContaining({ code: 'BAD_REQUEST' }) as Error

describe('a JSON body', () => {
  it('is parsed, and is an empty object when empty', () => {
    expect(parse('')).toEqual({})
    expect(parse('{"a":[1,{"b":":"}],"c":"\\":{"}')).toEqual({ a: [1, { b: ':' }], c: '":{' })
    expect(parse('{"a":{"x":1},"b":{"x":1}}')).toEqual({ a: { x: 1 }, b: { x: 1 } })
  })

  it('H13: is refused with a member twice, __proto__ included', () => {
    for (const text of ['{"a":1,"a":2}', '{"a":1,"\\u0061":1}', '[{"__proto__":1,"__proto__":{}}]'])
      expect(() => parse(text)).toThrow(badRequest)
  })

  it('H13: keeps __proto__ an ordinary member, for the schema to refuse', () => {
    const document = parse('{"__proto__":{"to":"n2"}}') as object
    expect(Object.keys(document)).toEqual(['__proto__'])
    expect('to' in document).toBe(false)
  })

  it('H13: is refused with a byte order mark, invalid UTF-8, invalid JSON or too much depth', () => {
    for (const text of ['\ufeff{}', '{', 'NaN', "{'a':1}", '{"a":1}x', '[1,]'])
      expect(() => parse(text)).toThrow(badRequest)
    expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow(badRequest)
    expect(() => parse('['.repeat(30_000))).toThrow(badRequest)
    expect(() => parse('['.repeat(33) + ']'.repeat(33))).toThrow(badRequest)
    expect(parse('['.repeat(32) + ']'.repeat(32))).toBeInstanceOf(Array)
  })
})
