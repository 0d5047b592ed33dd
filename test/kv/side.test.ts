// Leases, locks, sessions and idempotency keys: one claim each, and every refusal. The model test covers their combinations.
import { describe, expect, test } from 'vitest'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { AddCommand, Command, LockCommand, Once, TxnCommand, TxnOperation } from '../../src/api/commands.ts'
import { rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'
import { KV_LIMITS } from '../../src/kv/limits.ts'
import { atRevision, deletion, put, Replica } from './replica.ts'

const LEASE = '0000000000000001'
const OTHER = '0000000000000002'
const SESSION = '00000000000000a1'
const grant = (lease = LEASE, ttlMs = 100): Command => ({ op: 'lease-grant', lease, ttlMs })
const keepAlive: Command = { op: 'lease-keep-alive', lease: LEASE }
const revoke: Command = { op: 'lease-revoke', lease: LEASE }
const lock = (lease: string, fields: Partial<LockCommand> = {}): LockCommand => ({
  op: 'lock',
  kind: 'lock',
  name: 'l',
  lease,
  ttlMs: 100,
  waitMs: 50,
  owner: 'me',
  value: Buffer.alloc(0),
  ...fields,
})
const unlock = (token: number): Command => ({ op: 'unlock', kind: 'lock', name: 'l', token })
const open = (ttlMs = 1000): Command => ({ op: 'session-open', session: SESSION, ttlMs })
const once = (sequence: number, acknowledgedBelow = 1): { once: Once } => ({
  once: { kind: 'session', session: SESSION, sequence, acknowledgedBelow },
})
const byKey = (key: string, fingerprint = '00000000000000f1'): { once: Once } => ({
  once: { kind: 'key', key, fingerprint },
})
const add = (key: string, by: bigint, fields: Partial<AddCommand> = {}): AddCommand => ({
  op: 'add',
  key,
  by,
  condition: NO_CONDITION,
  ...fields,
})
const txn = (...success: TxnOperation[]): TxnCommand => ({ op: 'txn', compares: [], success, failure: [] })
const fenced = (token: number, name = 'l'): Command => put('a', '', { fence: { lock: name, token } })
const proclaim = (token: number): Command => ({ op: 'proclaim', name: 'l', token, value: Buffer.from('b') })
const id = (at: number): string => (at + 1).toString(16).padStart(16, '0')
const refused = (reason: string): object => ({ kind: 'refused', reason })
const due = (replica: Replica, nowMs: number): Command => replica.machine.side.due(nowMs)!
const rowsOf = (replica: Replica): string[] => [...replica.state.rows().keys()]

describe('a lease', () => {
  test('takes its keys with it, in one revision and in byte order, also after a restart', () => {
    for (const isRestarting of [false, true]) {
      const replica = new Replica()
      replica.entry([grant(), put('b', '', { lease: LEASE }), put('a', '', { lease: LEASE }), put('c', '')])
      if (isRestarting) replica.restart()
      expect(replica.do(revoke)).toEqual({ kind: 'lease-revoked', revision: 5, count: 2 })
      expect(replica.changes.slice(3).map(({ record }) => [record.key, record.at])).toEqual([
        ['a', { revision: 5, sub: 0 }],
        ['b', { revision: 5, sub: 1 }],
      ])
      expect(replica.machine.side.leases()).toEqual([])
      expect(rowsOf(replica)).toEqual([])
    }
  })

  test('A7, A8: is due by cluster time alone, and no earlier', () => {
    const replica = new Replica()
    replica.entry([grant(), put('a', '', { lease: LEASE })], 1000)
    expect(replica.machine.side.nextExpiryMs).toBe(1100)
    expect(replica.machine.side.due(1099)).toBeUndefined()
    const expire: Command = { op: 'expire', leases: [LEASE], sessions: [] }
    expect(replica.entry([expire], 1099)).toMatchObject([{ kind: 'expired', count: 0 }])
    expect(due(replica, 1100)).toEqual(expire)
    expect(replica.entry([expire], 1100)).toMatchObject([{ kind: 'expired', count: 1, revision: 3 }])
    expect(replica.state.peek('a')).toMatchObject({ isTombstone: true })
  })

  test('A7: kept alive after its expiry was proposed stays', () => {
    const replica = new Replica()
    replica.entry([grant()], 1000)
    const expire = due(replica, 1100)
    expect(replica.entry([keepAlive, expire], 1100)).toMatchObject([{ kind: 'lease' }, { kind: 'expired', count: 0 }])
    expect(replica.machine.side.lease(LEASE)?.expiresAtMs).toBe(1200)
  })

  test('lets a key go that is deleted, or put again without it', () => {
    const replica = new Replica()
    const mine = { lease: LEASE }
    replica.entry([grant(), put('a', '', mine), put('b', '', mine), put('c', '', mine), put('d', '', mine)])
    replica.entry([put('a', ''), put('b', '', { lease: '' }), deletion('c'), add('e', 1n)])
    expect(replica.machine.side.lease(LEASE)?.keys).toEqual(['d'])
    expect(replica.do(revoke)).toMatchObject({ count: 1 })
  })

  test('stays with a key through an addition', () => {
    const replica = new Replica()
    replica.entry([grant(), put('n', '41', { lease: LEASE, contentType: 'text/plain' }), add('n', 1n)])
    expect(replica.changes.at(-1)?.record).toMatchObject({ lease: LEASE, contentType: 'text/plain', version: 2 })
    expect(replica.machine.side.lease(LEASE)?.keys).toEqual(['n'])
  })

  test('of a key’s own goes with the key, and does not pile up', () => {
    const replica = new Replica()
    for (let round = 0; round < 5; round++) replica.entry([put('a', '', { ttlMs: 50 })], round * 10)
    expect(replica.machine.side.leases()).toMatchObject([{ ttlMs: 50, expiresAtMs: 90, keys: ['a'] }])
    replica.do(deletion('a'))
    expect(replica.machine.side.leases()).toEqual([])
    expect(rowsOf(replica)).toEqual([])
  })

  test.each<[string, Command[], Command, string]>([
    ['granted twice', [grant()], grant(), 'lease-exists'],
    ['kept alive when gone', [], keepAlive, 'lease-not-found'],
    ['revoked when gone', [], revoke, 'lease-not-found'],
    ['put to when gone', [], put('a', '', { lease: LEASE }), 'lease-not-found'],
  ])('%s is refused', (_claim, before, command, reason) => {
    const replica = new Replica()
    replica.entry(before)
    expect(replica.do(command)).toMatchObject(refused(reason))
    expect(replica.changes).toEqual([])
  })

  test('holds so many keys and no more, and one expiry names no more than it may delete', () => {
    const replica = new Replica()
    const max = KV_LIMITS.leaseKeysMax
    const keys = Array.from({ length: max }, (_, at) => put(`k${at}`, '', { lease: LEASE }))
    replica.entry([grant(), grant(OTHER), ...keys, put('x', '', { lease: OTHER })])
    expect(replica.do(put('y', '', { lease: LEASE }))).toMatchObject(refused('lease-full'))
    expect(replica.do(put('k0', '1', { lease: LEASE }))).toMatchObject({ kind: 'put' })
    expect(due(replica, 200)).toMatchObject({ leases: [LEASE] })
    expect(replica.do({ op: 'delete-range', range: rangeOfPrefix('') })).toMatchObject(refused('range-too-large'))
    expect(replica.do(txn({ op: 'delete-range', range: rangeOfPrefix('') }))).toMatchObject(refused('range-too-large'))
    expect(replica.entry([due(replica, 200)], 200)).toMatchObject([{ count: 1 }])
    expect(due(replica, 200)).toMatchObject({ leases: [OTHER] })
  })
})

describe('a lock', () => {
  test('is held first come first served, with tokens that only grow', () => {
    const replica = new Replica()
    expect(replica.entry([lock(LEASE), lock(OTHER)])).toMatchObject([
      { token: 1, isHeld: true },
      { token: 2, isHeld: false },
    ])
    expect(replica.do(unlock(1))).toMatchObject({ kind: 'unlocked', wasHeld: true })
    replica.restart()
    expect(replica.machine.side.lock('lock', 'l')).toMatchObject({ holder: { token: 2, owner: 'me' }, queue: [] })
    expect(replica.do(lock(LEASE))).toMatchObject({ token: 3, isHeld: false })
    expect(replica.lockChanges).toEqual([
      { kind: 'lock', name: 'l' },
      { kind: 'lock', name: 'l' },
    ])
  })

  test('gives who waited the whole time to live from when it is held', () => {
    const replica = new Replica()
    replica.entry([lock(LEASE), lock(OTHER)], 1000)
    expect(replica.machine.side.lease(OTHER)?.expiresAtMs).toBe(1150)
    replica.entry([due(replica, 1100)], 1100)
    expect(replica.machine.side.lock('lock', 'l').holder?.token).toBe(2)
    expect(replica.machine.side.lease(OTHER)?.expiresAtMs).toBe(1200)
  })

  test('is left by who waited too long, and by revoking its lease', () => {
    const replica = new Replica()
    replica.entry([lock(LEASE, { ttlMs: 10_000 }), lock(OTHER)], 1000)
    replica.entry([due(replica, 1150)], 1150)
    expect(replica.machine.side.lock('lock', 'l').queue).toEqual([])
    replica.do(revoke)
    expect(replica.machine.side.lock('lock', 'l').holder).toBeUndefined()
    expect(rowsOf(replica)).toEqual([])
  })

  test('guards what carries its token, and refuses all others', () => {
    const replica = new Replica()
    replica.entry([lock(LEASE), lock(OTHER), lock('00000000000000e1', { kind: 'election', name: 'e' })])
    expect(replica.do(fenced(1))).toMatchObject({ kind: 'put' })
    for (const wrong of [fenced(2), fenced(9), fenced(1, 'other'), fenced(3, 'e')])
      expect(replica.do(wrong)).toMatchObject(refused('fenced'))
    expect(replica.entry([unlock(1), fenced(1), fenced(2)])).toMatchObject([{}, refused('fenced'), { kind: 'put' }])
  })

  test.each<[string, Command, string]>([
    ['that others hold, by who does not wait', lock(OTHER, { waitMs: 0 }), 'locked'],
    ['under a lease that is there', lock(LEASE), 'lease-exists'],
    ['left with an unknown token', unlock(9), 'token-not-found'],
    [
      'proclaimed for by a stranger',
      { op: 'proclaim', name: 'l', token: 1, value: Buffer.alloc(1) },
      'token-not-found',
    ],
  ])('%s is refused', (_claim, command, reason) => {
    const replica = new Replica()
    replica.do(lock(LEASE))
    expect(replica.do(command)).toMatchObject(refused(reason))
  })

  test('lets its queue grow to a limit', () => {
    const replica = new Replica()
    replica.entry(Array.from({ length: KV_LIMITS.lockPlacesMax }, (_, at) => lock(id(at))))
    expect(replica.do(lock(id(5000)))).toMatchObject(refused('queue-full'))
  })

  test('of an election proclaims the holder’s value, and nobody else’s', () => {
    const replica = new Replica()
    const election = { kind: 'election', value: Buffer.from('a') } as const
    replica.entry([lock(LEASE, election), lock(OTHER, election)])
    expect(replica.entry([proclaim(2), proclaim(1)])).toMatchObject([refused('fenced'), { kind: 'proclaimed' }])
    replica.restart()
    expect(replica.machine.side.lock('election', 'l')).toMatchObject({
      holder: { value: Buffer.from('b') },
      queue: [{ value: Buffer.from('a') }],
    })
    expect(replica.lockChanges).toHaveLength(2)
  })
})

describe('a session', () => {
  test('A2: applies a repeated write once, and answers it alike, also after a restart', () => {
    const replica = new Replica()
    replica.do(open())
    const first = replica.do(add('n', 1n, once(1)))
    expect(replica.do(add('n', 1n, once(1)))).toEqual({ kind: 'replayed', revision: 2, result: first })
    replica.restart()
    expect(replica.entry([put('x', ''), add('n', 1n, once(1))])[1]).toEqual({
      kind: 'replayed',
      revision: 3,
      result: first,
    })
    expect(replica.changes).toHaveLength(2)
  })

  test('A2: remembers sequences one by one, in whatever order they arrive', () => {
    const replica = new Replica()
    replica.entry([open(), put('a', '3', once(3)), put('a', '1', once(1)), put('a', '3', once(3))])
    expect(replica.changes.map(({ record }) => String(record.value))).toEqual(['3', '1'])
  })

  test('A2: repeats a refusal too: what was told not to be applied never is', () => {
    const replica = new Replica()
    const write = put('a', '1', { condition: { kind: 'exists' }, ...once(1) })
    const guarded = put('a', '2', { fence: { lock: 'l', token: 1 }, ...once(2) })
    const first = replica.entry([open(), write, guarded]).slice(1)
    replica.entry([put('a', ''), lock(LEASE)])
    expect(replica.entry([write, guarded])).toMatchObject(first.map((result) => ({ kind: 'replayed', result })))
    expect(replica.changes).toHaveLength(1)
  })

  test('A3: that is gone executes nothing, and says so', () => {
    const replica = new Replica()
    expect(replica.do(put('a', '', once(1)))).toMatchObject(refused('session-gone'))
    replica.entry([open()], 0)
    replica.entry([due(replica, 1000)], 1000)
    expect(replica.do(put('a', '', once(1)))).toMatchObject(refused('session-gone'))
    for (const op of ['session-keep-alive', 'session-close'] as const)
      expect(replica.do({ op, session: SESSION })).toMatchObject(refused('session-gone'))
    expect(replica.changes).toEqual([])
    expect(rowsOf(replica)).toEqual([])
  })

  test('A3: lives on with each use, by cluster time', () => {
    const replica = new Replica()
    replica.entry([open()], 0)
    replica.entry([put('a', '', once(1))], 900)
    expect(replica.machine.side.session(SESSION)).toEqual({ expiresAtMs: 1900 })
    expect(replica.machine.side.due(1899)).toBeUndefined()
  })

  test('forgets what was acknowledged, and executes none of it again', () => {
    const replica = new Replica()
    replica.entry([open(), put('a', '', once(1)), put('a', '', once(2)), put('a', '', once(3, 3))])
    expect(rowsOf(replica)).toHaveLength(2)
    expect(replica.do(put('a', '', once(2, 1)))).toMatchObject(refused('sequence-forgotten'))
    expect(replica.changes).toHaveLength(3)
  })

  test('remembers so many results and no more', () => {
    const replica = new Replica()
    const max = KV_LIMITS.sessionResultsMax
    replica.entry([open(), ...Array.from({ length: max }, (_, at) => put('a', '', once(at + 1)))])
    expect(replica.do(put('a', '', once(max + 1)))).toMatchObject(refused('too-many-sequences'))
    expect(replica.do(put('a', '', once(max + 1, 2)))).toMatchObject({ kind: 'put' })
  })

  test('refuses a result too large to remember before it has any effect, and again when repeated', () => {
    const replica = new Replica()
    const large = 'x'.repeat(KV_LIMITS.resultBytesMax)
    const get: TxnOperation = {
      op: 'get',
      range: rangeOfKey('a'),
      limit: 1,
      reverse: false,
      keysOnly: false,
      countOnly: false,
    }
    replica.entry([open(), put('a', large)])
    const writes = [
      put('a', '', { wantsPrevious: true, ...once(1) }),
      deletion('a', { wantsPrevious: true, ...once(2) }),
      { ...txn(put('b', '', { ttlMs: 5 }), get), ...once(3) },
      put('a', '', { wantsPrevious: true, ...byKey('u/1') }),
    ]
    for (const write of writes) expect(replica.do(write)).toMatchObject(refused('result-too-large'))
    expect(replica.changes).toHaveLength(1)
    expect(replica.machine.side.leases()).toEqual([])
    replica.do(put('a', 'small'))
    for (const write of writes)
      expect(replica.do(write)).toMatchObject({ kind: 'replayed', result: refused('result-too-large') })
  })

  test('opened again is the same one', () => {
    const replica = new Replica()
    replica.entry([open(), put('a', '', once(1)), open(5000)])
    expect(replica.do(put('a', '', once(1)))).toMatchObject({ kind: 'replayed' })
    expect(replica.machine.side.session(SESSION)).toEqual({ expiresAtMs: 5000 })
  })

  test('is one of a limited number', () => {
    const replica = new Replica()
    const sessions = Array.from(
      { length: KV_LIMITS.sessionsMax },
      (_, at): Command => ({ ...open(), session: id(at) }) as Command,
    )
    replica.entry(sessions)
    expect(replica.do({ ...open(), session: id(sessions.length) } as Command)).toMatchObject(
      refused('too-many-sessions'),
    )
    expect(due(replica, 1000)).toMatchObject({ sessions: { length: KV_LIMITS.expireMax } })
  })
})

describe('an idempotency key', () => {
  test('A2: applies a write once for ten minutes of cluster time', () => {
    const replica = new Replica()
    const write = put('a', '', byKey('u/1'))
    const [first] = replica.entry([write], 0)
    expect(replica.entry([write], KV_LIMITS.idempotencyMs - 1)).toMatchObject([{ kind: 'replayed', result: first }])
    replica.restart()
    expect(replica.entry([write], KV_LIMITS.idempotencyMs)).toMatchObject([{ kind: 'put', isCreated: false }])
    expect(rowsOf(replica)).toHaveLength(1)
  })

  test('used for another request is refused', () => {
    const replica = new Replica()
    replica.do(put('a', '', byKey('u/1')))
    expect(replica.do(put('a', 'x', byKey('u/1', '00000000000000f2')))).toMatchObject(refused('idempotency-mismatch'))
  })

  test('too many is refused rather than one forgotten early; expired ones make room', () => {
    const replica = new Replica()
    const max = KV_LIMITS.idempotencyKeysMax
    replica.entry(Array.from({ length: max }, (_, at) => deletion('a', byKey(`u/${at}`))))
    expect(replica.do(deletion('a', byKey('u/x')))).toMatchObject(refused('too-many-idempotency-keys'))
    replica.entry([deletion('a', byKey('u/x'))], KV_LIMITS.idempotencyMs)
    expect(replica.state.rows().size).toBe(max - 3)
  })

  test.each(['__proto__', 'constructor', 'hasOwnProperty'])('N13: may be %s', (key) => {
    const replica = new Replica()
    expect(replica.do(put(key, '', byKey(key)))).toMatchObject({ kind: 'put' })
    expect(replica.do(put(key, '', byKey(key)))).toMatchObject({ kind: 'replayed' })
  })
})

describe('an addition', () => {
  test('counts from 0, in decimal, in 64 bits', () => {
    const replica = new Replica()
    const max = 2n ** 63n - 1n
    expect(replica.entry([add('n', 5n), add('n', -7n), add('n', max), add('m', -max - 1n)])).toMatchObject([
      { value: 5n, revision: 2 },
      { value: -2n },
      { value: max - 2n },
      { value: -(2n ** 63n) },
    ])
    expect(String(replica.changes[1]?.record.value)).toBe('-2')
    expect(replica.do(add('n', 3n))).toMatchObject(refused('not-a-number'))
  })

  test.each([
    '',
    'x',
    '1.0',
    ' 1',
    '1\n',
    '+1',
    '01',
    '-0',
    '1e3',
    '0x10',
    '9223372036854775808',
    '12345678901234567890123',
  ])('A6: to %j is refused', (value) => {
    const replica = new Replica()
    replica.do(put('n', value))
    expect(replica.do(add('n', 1n))).toMatchObject(refused('not-a-number'))
    expect(replica.do(add('n', 1n, { condition: atRevision(9) }))).toMatchObject({ kind: 'precondition-failed' })
  })
})
