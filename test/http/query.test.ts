// Query parameters: only what is known, once, in its exact form.
import { describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { choice, duration, flag, integer, parseQuery, timeoutMs } from '../../src/http/query.ts'

const known = ['a', 'b', 'timeout']
const parse = (query: string) => parseQuery(query, known)
const refused = (run: () => unknown): void => {
  expect(run).toThrow(QuorateError)
  expect(run).toThrow(expect.objectContaining({ code: 'BAD_PARAMETER' }) as Error)
}

describe('a query', () => {
  it('may be absent or empty', () => {
    expect(parseQuery(undefined, known).size).toBe(0)
    expect(parse('').size).toBe(0)
    expect(parse('&').size).toBe(0)
  })

  it('is decoded, with a plus for a space', () => {
    expect(parse('a=x+y%2B%C3%A9').get('a')).toBe('x y+é')
    expect(parse('%61=1').get('a')).toBe('1')
    expect(parse('a=b=c').get('a')).toBe('b=c')
    expect(parse('a').get('a')).toBeNull()
  })

  it('H4: refuses unknown, repeated and malformed parameters', () => {
    for (const bad of ['c', 'c=1', 'A=1', 'a=1&a=1', 'a&b&a', 'a=%', 'a=%zz', 'a=%ff', '=1', '__proto__=1', 'a[]=1'])
      refused(() => parse(bad))
  })
})

describe('a parameter', () => {
  it('that is a flag is bare, true or false', () => {
    for (const [text, value] of [
      ['a', true],
      ['a=true', true],
      ['a=false', false],
      ['', false],
    ] as const)
      expect(flag(parse(text), 'a')).toBe(value)
    for (const bad of ['a=', 'a=1', 'a=0', 'a=yes', 'a=TRUE']) refused(() => flag(parse(bad), 'a'))
  })

  it('H3: that is a number has 1 to 15 decimal digits', () => {
    expect(integer(parse('a=0'), 'a')).toBe(0)
    expect(integer(parse('a=999999999999999'), 'a')).toBe(999_999_999_999_999)
    expect(integer(parse('b=1'), 'a')).toBeUndefined()
    const bad = ['', '=', '=%20', '=1e3', '=0x10', '=12abc', '=-0', '=-1', '=+1', '=NaN', '=Infinity', '=1.0', '=%201']
    for (const text of [...bad, '=9007199254740993', '=1%0a', '=1%00', '=١'])
      refused(() => integer(parse(`a${text}`), 'a'))
  })

  it('that is a duration has a unit or is of seconds', () => {
    for (const [text, ms] of [
      ['500ms', 500],
      ['2s', 2_000],
      ['2', 2_000],
      ['1m', 60_000],
      ['1h', 3.6e6],
      ['1d', 8.64e7],
      ['0', 0],
    ])
      expect(duration(parse(`a=${text}`), 'a')).toBe(ms)
    for (const bad of ['', '=', '=s', '=1.5s', '=-1s', '=1S', '=1 s', '=1sec', '=999999999999999d'])
      refused(() => duration(parse(`a${bad}`), 'a'))
  })

  it('that is a timeout is from 1ms to 60s, and 5s unless given', () => {
    expect(timeoutMs(parse(''))).toBe(5_000)
    expect(timeoutMs(parse('timeout=60s'))).toBe(60_000)
    expect(timeoutMs(parse('timeout=1ms'))).toBe(1)
    for (const bad of ['0', '0ms', '61s', '60001ms']) refused(() => timeoutMs(parse(`timeout=${bad}`)))
  })

  it('that is a choice is one of the words', () => {
    expect(choice(parse('a=x'), 'a', ['x', 'y'])).toBe('x')
    for (const bad of ['a', 'a=', 'a=X', 'a=z']) refused(() => choice(parse(bad), 'a', ['x', 'y']))
  })
})
