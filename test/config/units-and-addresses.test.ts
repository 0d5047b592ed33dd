// Sizes, durations and addresses are read strictly: what is not meant is not guessed.
import { describe, expect, it } from 'vitest'
import { AddressError, formatAddress, isLoopback, parseAddress } from '../../src/config/addresses.ts'
import { parseDuration, parseMilliseconds, parseNumber, parseSize, showQuantity } from '../../src/config/units.ts'

describe('units', () => {
  it('reads sizes', () => {
    expect(parseSize('0')).toEqual({ value: 0 })
    expect(parseSize('512B')).toEqual({ value: 512 })
    expect(parseSize('16MiB')).toEqual({ value: 16_777_216 })
    expect(parseSize('2TiB')).toEqual({ value: 2 * 2 ** 40 })
  })

  it('reads durations', () => {
    expect(parseDuration('300ms')).toEqual({ value: 300 })
    expect(parseDuration('7d')).toEqual({ value: 604_800_000 })
    expect(parseMilliseconds('300')).toEqual({ value: 300 })
    expect(parseMilliseconds('2s')).toEqual({ value: 2_000 })
  })

  it.each(['', ' 1', '1 ', '-1', '+1', '1.5', '1e3', '0x10', '１', '1 MiB', 'MiB', '1mib', '1MB', '1toString'])(
    'refuses %j',
    (text) => {
      for (const parse of [parseSize, parseDuration, parseMilliseconds, parseNumber]) {
        expect(parse(text)).toHaveProperty('problem')
      }
    },
  )

  it('refuses what is not exact', () => {
    expect(parseSize('999999999999TiB')).toEqual({ problem: 'is too large' })
    expect(parseNumber('9'.repeat(16))).toHaveProperty('problem')
    expect(parseDuration('5')).toHaveProperty('problem')
  })

  it('shows a quantity in the largest unit that divides it', () => {
    expect(showQuantity('size', 64 * 2 ** 20)).toBe('64MiB')
    expect(showQuantity('size', 1_025)).toBe('1025')
    expect(showQuantity('duration', 90 * 60_000)).toBe('90m')
    expect(showQuantity('number', 100_000)).toBe('100000')
  })
})

const parse = (text: string): unknown => parseAddress(text, { allowsPortZero: false })

describe('addresses', () => {
  it('reads names, IPv4 and bracketed IPv6, in one spelling', () => {
    expect(parse('Node-1.example.com:7700')).toEqual({ host: 'node-1.example.com', port: 7700 })
    expect(parse('10.0.0.1:1')).toEqual({ host: '10.0.0.1', port: 1 })
    expect(formatAddress(parseAddress('[FE80::1]:7700', { allowsPortZero: false }))).toBe('[fe80::1]:7700')
    expect(parseAddress('127.0.0.1:0', { allowsPortZero: true }).port).toBe(0)
  })

  it.each([
    '',
    'h',
    'h:',
    ':1',
    'h:0',
    'h:65536',
    '::1',
    '::1:7700',
    '[::1]',
    '[h]:1',
    '1.2.3:1',
    '1.2.3.256:1',
    'a b:1',
    'h:1 ',
    '-h:1',
    'h..x:1',
    'http://h:1',
    'h:+1',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(AddressError)
  })

  it('tells an IPv6 address without brackets how to write it', () => {
    expect(() => parse('::1')).toThrow('needs brackets and a port, such as [::1]:7700')
  })

  it('knows loopback', () => {
    expect(['localhost', '127.0.0.1', '127.255.0.9', '::1'].every(isLoopback)).toBe(true)
    expect(['0.0.0.0', '::', '10.0.0.1', '127.example.com', 'localhost.example.com'].some(isLoopback)).toBe(false)
  })
})
