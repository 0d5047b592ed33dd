// The command codec: one encoding for each batch, one batch for each encoding, and a DecodeError for everything else.
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCommands, decodeEntry, encodeEntry, encodedCommandLength } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { DeleteCommand, EntryBatch, PutCommand } from '../../src/api/commands.ts'
import { DecodeError } from '../../src/lib/bytes.ts'
import { batch, command, encodeBatch, encodeCommands } from './command-codec-samples.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const put = (fields: Partial<PutCommand> = {}): PutCommand => ({
  op: 'put',
  key: 'k',
  value: Buffer.from('v'),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: false,
  ...fields,
})
const deletion: DeleteCommand = { op: 'delete', key: 'k', condition: NO_CONDITION, wantsPrevious: false }
const example: EntryBatch = {
  clusterTimeMs: 1000,
  groups: [
    {
      tag: { member: '8f3c0000000000a1', boot: 0x010203040506, number: 7 },
      commands: [
        put({
          key: 'a',
          value: Buffer.from('hi'),
          contentType: 'text/plain',
          condition: { kind: 'revision', revision: 17 },
          wantsPrevious: true,
        }),
        { ...deletion, key: 'b' },
      ],
    },
  ],
}

/** The outcome of decoding anything: a batch that encodes to the same bytes, or a DecodeError. Nothing else may happen. */
function expectCanonicalOrRefused(bytes: Uint8Array): void {
  let decoded: EntryBatch
  try {
    decoded = decodeEntry(bytes)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return
  }
  expect(encodeBatch(decoded).equals(bytes)).toBe(true)
}

describe('an entry', () => {
  test('is laid out as FORMAT.md shows', () => {
    const page = readFileSync(new URL('../../src/api/FORMAT.md', import.meta.url), 'utf8')
    const block = /```hex\n([\s\S]*?)```/.exec(page)?.[1]
    const bytes = hex((block ?? '').replaceAll(/ {2,}.*$/gm, '').replaceAll('\n', ''))
    expect(encodeBatch(example).toString('hex')).toBe(bytes.toString('hex'))
    expect(decodeEntry(bytes)).toEqual(example)
  })

  test('decodes to what was encoded', () => {
    fc.assert(
      fc.property(batch, (batch) => {
        expect(decodeEntry(encodeBatch(batch))).toEqual(batch)
      }),
    )
  })

  test('without groups carries the cluster time alone', () => {
    const bytes = encodeEntry({ clusterTimeMs: 5, groups: [] })
    expect(bytes).toEqual(hex('01 05 00'))
    expect(decodeEntry(bytes)).toEqual({ clusterTimeMs: 5, groups: [] })
  })

  test('cut anywhere, or with one byte more, is refused', () => {
    const bytes = encodeBatch(example)
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeEntry(bytes.subarray(0, length)), `cut to ${length}`).toThrow(DecodeError)
    expect(() => decodeEntry(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(/1 bytes too many/)
  })

  test('with any one byte changed to anything is refused or another canonical entry', () => {
    const bytes = encodeBatch(example)
    for (let at = 0; at < bytes.length; at++) {
      for (let value = 0; value < 256; value++) {
        const mutated = Buffer.from(bytes)
        mutated[at] = value
        expectCanonicalOrRefused(mutated)
      }
    }
  })

  test('mutated at random is refused or another canonical entry', () => {
    const edit = fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) })
    fc.assert(
      fc.property(batch, fc.array(edit, { maxLength: 3 }), (batch, edits) => {
        let bytes = encodeBatch(batch)
        for (const { at, remove, insert } of edits) {
          const from = at % (bytes.length + 1)
          bytes = Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(from + remove)])
        }
        expectCanonicalOrRefused(bytes)
      }),
      { numRuns: 500 },
    )
  })

  test('of random bytes is refused or canonical', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((tail) => Buffer.concat([Buffer.of(1), tail]))
    fc.assert(fc.property(bytes, expectCanonicalOrRefused), { numRuns: 1000 })
  })

  test.each([
    ['another format version', '02 00 00', /format version 2/],
    ['no bytes at all', '', /cut short/],
    ['more groups than bytes', '01 00 ff ff ff ff ff ff ff 0f', /cut short/],
    ['A6: a cluster time above 2^53 - 1', '01 80 80 80 80 80 80 80 10 00', /above 2\^53/],
    ['A6: a number longer than it needs to be', '01 80 00 00', /shortest form/],
    ['an endless number', '01 ff ff ff ff ff ff ff ff ff ff 00', /too long|above 2\^53/],
    ['a group without a command', '01 00 01 0000000000000000 000000000000 00 00', /without a command/],
    ['a group longer than the entry', '01 00 01 0000000000000000 000000000000 00 09 0200016b', /cut short/],
  ])('with %s is refused', (_what, bytes, message) => {
    expect(() => decodeEntry(hex(bytes))).toThrow(message)
    expect(() => decodeEntry(hex(bytes))).toThrow(DecodeError)
  })

  test('keeps a boot of 48 bits and a member id of 64', () => {
    const tag = { member: 'ffffffffffffffff', boot: 2 ** 48 - 1, number: Number.MAX_SAFE_INTEGER }
    const batch = { clusterTimeMs: Number.MAX_SAFE_INTEGER, groups: [{ tag, commands: [deletion] }] }
    expect(decodeEntry(encodeBatch(batch))).toEqual(batch)
  })

  test.each([
    ['a member id that is not 16 hex digits', { member: '8f3c', boot: 0, number: 0 }],
    ['a member id of other characters', { member: 'zzzzzzzzzzzzzzzz', boot: 0, number: 0 }],
    ['a boot above 48 bits', { member: '8f3c0000000000a1', boot: 2 ** 48, number: 0 }],
    ['a boot that is no integer', { member: '8f3c0000000000a1', boot: 0.5, number: 0 }],
    ['a negative forward number', { member: '8f3c0000000000a1', boot: 0, number: -1 }],
  ])('is not encoded with %s', (_what, tag) => {
    const body = encodeCommands([deletion])
    expect(() => encodeEntry({ clusterTimeMs: 0, groups: [{ tag, body }] })).toThrow(/^not a/)
  })

  test.each([0.5, -1, Number.NaN, 2 ** 53])('A6: is not encoded at cluster time %d', (clusterTimeMs) => {
    expect(() => encodeEntry({ clusterTimeMs, groups: [] })).toThrow(/^not a cluster time/)
  })

  test('is not encoded with a group without a command', () => {
    const tag = { member: '8f3c0000000000a1', boot: 0, number: 0 }
    expect(() => encodeEntry({ clusterTimeMs: 0, groups: [{ tag, body: Buffer.alloc(0) }] })).toThrow(
      /without a command/,
    )
  })
})

describe('commands', () => {
  test('have exactly the length that is told beforehand', () => {
    fc.assert(fc.property(command, (command) => encodeCommands([command]).length === encodedCommandLength(command)))
  })

  test('have that length also where a length field grows', () => {
    for (const size of [0, 127, 128, 16_383, 16_384, 1_048_576]) {
      const large = put({ key: 'k'.repeat(Math.min(size, 4096) || 1), value: Buffer.alloc(size) })
      expect(encodeCommands([large]).length).toBe(encodedCommandLength(large))
    }
  })

  test('carry values as views of the bytes they came in', () => {
    const bytes = encodeCommands([put({ value: Buffer.from('abc') })])
    const [decoded] = decodeCommands(bytes) as [PutCommand]
    bytes[bytes.length - 1] = 0x7a
    expect(decoded.value.toString()).toBe('abz')
  })

  test('A13: distinguish a condition on absence from no condition', () => {
    const absent = put({ condition: { kind: 'revision', revision: 0 } })
    expect(decodeCommands(encodeCommands([absent, put()]))).toEqual([absent, put()])
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '..', '\0', '\xff\xfe'])(
    'N13: keep the key %j as it is',
    (key) => {
      expect(decodeCommands(encodeCommands([put({ key })]))).toEqual([put({ key })])
    },
  )

  test.each([
    ['operation 0', '00 00 01 6b', /unknown operation 0/],
    ['A9: an operation of a later release', '12 00 01 6b', /unknown operation 18 at offset 0/],
    ['a read outside of a transaction', '11 00 00 00 01', /unknown operation 17/],
    ['a put with a lease of zero', '01 20 01 6b 0000000000000000 00', /lease id of zero/],
    ['a put with both a lease and a time to live', '01 60 01 6b 0000000000000001 05 00', /both a lease and a time/],
    ['a repetition of an unknown kind', '01 10 03', /unknown kind of repetition 3/],
    ['a delete with a lease', '02 20 01 6b', /unknown flags 0x20/],
    ['an add with a previous entry', '05 04 01 6b 0000000000000000', /unknown flags 0x4/],
    ['a put with a condition in a transaction', '06 00 00 01 01 02 01 6b 00 00', /unknown flags 0x2/],
    ['a put with a session in a transaction', '06 00 00 01 01 10', /unknown flags 0x10/],
    ['a fence of a nested transaction', '06 00 00 01 06 80', /unknown flags 0x80/],
    ['a lease in a transaction', '06 00 00 01 07 00', /operation 7 at offset 4 has no place in a transaction/],
    ['a compare of an unknown target', '06 00 01 05 00 00 00', /unknown target/],
    ['a compare with an unknown operator', '06 00 01 00 04 00 00', /unknown operator/],
    ['a read with an unknown flag', '06 00 00 01 11 08', /unknown flags 0x8/],
    ['transactions nested without end', '060000 01'.repeat(70), /nested deeper than 64/],
    ['an owner that is not UTF-8', '0a 00 01 6c 0000000000000001 01 00 01 ff 00', /not UTF-8/],
    ['a lock with an unknown flag', '0a 02', /unknown flags 0x2/],
    ['a session-open with a session', '0d 10', /unknown flags 0x10/],
    ['a delete with a content type', '02 08 01 6b', /unknown flags 0x8/],
    ['a compact with a flag', '03 01 05', /unknown flags 0x1/],
    ['an empty key', '01 00 00 00', /empty key/],
    ['an empty content type', '01 08 01 6b 00 00', /empty content type/],
    ['a value that ends too early', '01 00 01 6b 05 61', /cut short/],
    ['a second command that is cut', '02 00 01 6b 02', /cut short/],
    ['no command', '', /without a command/],
  ])('refuse %s', (_what, bytes, message) => {
    expect(() => decodeCommands(hex(bytes))).toThrow(message)
    expect(() => decodeCommands(hex(bytes))).toThrow(DecodeError)
  })

  test('A6: are not encoded with a revision that is no natural number', () => {
    expect(() => encodeCommands([put({ condition: { kind: 'revision', revision: -1 } })])).toThrow('not a revision: -1')
    expect(() => encodeCommands([{ op: 'compact', revision: 1.5 }])).toThrow('not a revision: 1.5')
  })

  test('are not encoded without a key or with too long a content type', () => {
    expect(() => encodeCommands([put({ key: '' })])).toThrow(/without a key/)
    expect(() => encodeCommands([put({ contentType: 'x'.repeat(256) })])).toThrow(/content type of 256 bytes/)
  })
})
