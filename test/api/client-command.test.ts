// What a client may ask for: everything within the limits that it is told, and a clear word about everything else.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCommands, decodeClientCommands } from '../../src/api/command-codec.ts'
import { checkClientCommand } from '../../src/api/client-command.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { Command, Compare, PutCommand, TxnCommand, TxnOperation } from '../../src/api/commands.ts'
import { WIRE_LIMITS } from '../../src/api/limits.ts'
import { rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'
import { DecodeError } from '../../src/lib/bytes.ts'
import { encodeCommands, singleCommand } from './command-codec-samples.ts'

const put = (key = 'k', fields: Partial<PutCommand> = {}): PutCommand => ({
  op: 'put',
  key,
  value: Buffer.from('v'),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: false,
  ...fields,
})
const deletion = (key: string): TxnOperation => ({ op: 'delete', key, condition: NO_CONDITION, wantsPrevious: false })
const deleteRange = (prefix: string): TxnOperation => ({ op: 'delete-range', range: rangeOfPrefix(prefix) })
const get = (limit: number): TxnOperation => ({
  op: 'get',
  range: rangeOfPrefix(''),
  limit,
  reverse: false,
  keysOnly: false,
  countOnly: false,
})
const txn = (success: TxnOperation[], failure: TxnOperation[] = [], compares: Compare[] = []): TxnCommand => ({
  op: 'txn',
  compares,
  success,
  failure,
})
const nested = (depth: number): TxnCommand => (depth === 1 ? txn([put()]) : txn([nested(depth - 1)]))
const compare: Compare = { range: rangeOfKey('k'), operator: '=', target: 'version', operand: 0 }
const lock: Command = {
  op: 'lock',
  kind: 'lock',
  name: 'l',
  lease: '0000000000000001',
  ttlMs: 1,
  waitMs: 0,
  owner: '',
  value: Buffer.alloc(0),
}
const session = { kind: 'session', session: '00000000000000a1' } as const

describe('a client’s command', () => {
  test('of any kind passes, and comes through as it was', () => {
    fc.assert(
      fc.property(fc.array(singleCommand, { minLength: 1, maxLength: 5 }), (commands) => {
        expect(decodeClientCommands(encodeCommands(commands))).toEqual(commands)
      }),
    )
  })

  test('expire is the leader’s alone', () => {
    const expire: Command = { op: 'expire', leases: [], sessions: [] }
    expect(decodeCommands(encodeCommands([expire]))).toEqual([expire])
    expect(() => decodeClientCommands(encodeCommands([put(), expire]))).toThrow(/may not send the operation expire/)
  })

  test.each<[string, Command]>([
    ['the longest key and value', put('k'.repeat(4096), { value: Buffer.alloc(WIRE_LIMITS.valueBytesMax) })],
    ['the range of just the longest key', { op: 'delete-range', range: rangeOfKey('k'.repeat(4096)) }],
    ['every key', { op: 'delete-range', range: rangeOfPrefix('') }],
    ['a put that takes the lease off', put('k', { lease: '' })],
    ['the largest lease id', put('k', { lease: '7fffffffffffffff' })],
    ['128 operations', txn(Array.from({ length: 128 }, (_, at) => put(`k${at}`)))],
    ['8 levels', nested(8)],
    ['the same key in both branches', txn([put()], [put()])],
    ['a key deleted twice', txn([deletion('k'), deletion('k'), deleteRange('k')])],
    ['the same key in both branches of a nested one', txn([txn([put()], [put()])])],
    ['a key put beside a range deleted', txn([put('a'), deleteRange('b')])],
  ])('may have %s', (_what, command) => {
    expect(() => checkClientCommand(command)).not.toThrow()
    const bytes = encodeCommands([command])
    expect(encodeCommands(decodeClientCommands(bytes)).equals(bytes)).toBe(true)
  })

  test.each<[string, Command, RegExp]>([
    ['too long a key', put('k'.repeat(4097)), /a key of 4097 bytes; at most 4096/],
    ['too large a value', put('k', { value: Buffer.alloc(1_048_577) }), /a value of 1048577 bytes; at most 1048576/],
    ['too long a bound', { op: 'delete-range', range: { from: 'k'.repeat(4098), to: undefined } }, /bound of a range/],
    ['an empty end of a range', { op: 'delete-range', range: { from: '', to: '' } }, /end of a range is empty/],
    ['a time to live of 0', put('k', { ttlMs: 0 }), /time to live of 0 ms/],
    ['an endless time to live', put('k', { ttlMs: WIRE_LIMITS.ttlMsMax + 1 }), /must be from 1 to 315360000000/],
    ['a lease id that is negative', put('k', { lease: '8000000000000000' }), /not a positive int64/],
    ['a lease id of zero', { op: 'lease-revoke', lease: '0000000000000000' }, /not a positive int64/],
    ['a lease id in capitals', { op: 'lease-revoke', lease: '00000000000000AA' }, /not the id of a lease/],
    ['a session id that is short', { op: 'session-close', session: '1' }, /not the id of a session/],
    ['a session for too long', { op: 'session-open', session: '00000000000000a1', ttlMs: 86_400_001 }, /time to live/],
    ['sequence 0', put('k', { once: { ...session, sequence: 0, acknowledgedBelow: 0 } }), /count from 1/],
    [
      'a future acknowledged',
      put('k', { once: { ...session, sequence: 2, acknowledgedBelow: 3 } }),
      /cannot come with/,
    ],
    [
      'an idempotency key too long',
      put('k', { once: { kind: 'key', key: 'x'.repeat(385), fingerprint: '00000000000000f1' } }),
      /at most 384/,
    ],
    ['a fence without a token', put('k', { fence: { lock: 'l', token: 0 } }), /not a fencing token/],
    ['a lock with a long name', { ...lock, name: 'x'.repeat(1025) }, /name of a lock of 1025 bytes/],
    ['a lock with a value', { ...lock, value: Buffer.from('x') }, /a lock has no value/],
    ['an owner too long', { ...lock, owner: 'ö'.repeat(129) }, /an owner of 258 bytes/],
    ['an owner that is half a character', { ...lock, owner: '\ud800' }, /well-formed Unicode/],
    ['a wait too long', { ...lock, waitMs: 86_400_001 }, /a wait of 86400001 ms/],
    ['a proclamation too large', { op: 'proclaim', name: 'l', token: 1, value: Buffer.alloc(4097) }, /at most 4096/],
    [
      'too many operations',
      txn(
        Array.from({ length: 65 }, () => get(1)),
        Array.from({ length: 64 }, () => get(1)),
      ),
      /at most 128 operations/,
    ],
    [
      'too many compares',
      txn(
        [],
        [],
        Array.from({ length: 129 }, () => compare),
      ),
      /compare at most 128 times/,
    ],
    ['too many levels', nested(9), /nested deeper than 8/],
    ['a key put twice', txn([put(), put()]), /may not write the key "k" twice/],
    ['a key put and deleted', txn([put(), deletion('k')]), /may not write the key "k" twice/],
    ['a key deleted and put', txn([deleteRange(''), put()]), /may not write the key "k" twice/],
    ['a key put inside and outside', txn([txn([], [put()]), put()]), /may not write the key "k" twice/],
    ['a read of no entry', txn([get(0)]), /a limit of 0 entries/],
    ['a read of too many entries', txn([get(1001)]), /from 1 to 1000/],
    ['a condition inside a transaction', txn([put('k', { condition: { kind: 'exists' } })]), /of its own/],
  ])('is refused with %s', (_what, command, message) => {
    expect(() => checkClientCommand(command)).toThrow(message)
    expect(() => checkClientCommand(command)).toThrow(DecodeError)
  })
})
