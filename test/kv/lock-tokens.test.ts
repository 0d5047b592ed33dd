// Fencing tokens: one sequence over all locks and elections, that no release, expiry or restart ever takes back. And places that are
// left only while they wait.
import { describe, expect, test } from 'vitest'
import type { Command, LockKind } from '../../src/api/commands.ts'
import { Replica } from './replica.ts'

let leases = 0

function lock(name: string, kind: LockKind = 'lock'): Command {
  const lease = (++leases).toString(16).padStart(16, '0')
  const value = new Uint8Array(0)
  return { op: 'lock', kind, name, lease, ttlMs: 100, waitMs: 100, owner: '', value }
}

function tokenOf(replica: Replica, command: Command): number {
  const result = replica.do(command)
  if (result.kind !== 'lock') throw new Error(`a lock was answered ${result.kind}`)
  return result.token
}

describe('a fencing token', () => {
  test('is larger than all before it, of whichever lock, though the lock was free in between', () => {
    const replica = new Replica()
    const tokens: number[] = []
    for (const name of ['a', 'a', 'b', 'a']) {
      const token = tokenOf(replica, lock(name))
      tokens.push(token)
      replica.do({ op: 'unlock', kind: 'lock', name, token })
    }
    tokens.push(tokenOf(replica, lock('a', 'election')))
    expect(tokens).toEqual([1, 2, 3, 4, 5])
  })

  test('is larger also after all leases have expired, and after a restart', () => {
    const replica = new Replica()
    const first = tokenOf(replica, lock('a'))
    replica.entry([replica.machine.side.due(1_000)!], 1_000)
    expect(replica.machine.side.lock('lock', 'a').holder).toBe(undefined)
    replica.restart()
    expect(tokenOf(replica, lock('a'))).toBe(first + 1)
  })
})

const leave = (token: number): Command => ({ op: 'unlock', kind: 'lock', name: 'l', token, onlyWaiting: true })

describe('a place left only while it waits', () => {
  test('goes while it waits, and stays once it has come first', () => {
    const replica = new Replica()
    for (const name of ['l', 'l', 'l']) tokenOf(replica, lock(name))
    expect(replica.do(leave(3))).toMatchObject({ kind: 'unlocked', wasHeld: false })
    expect(replica.do(leave(1))).toMatchObject({ kind: 'refused', reason: 'held' })
    // The lock passes on in the entry of the leaving: it was first by then.
    const release: Command = { op: 'unlock', kind: 'lock', name: 'l', token: 1 }
    expect(replica.entry([release, leave(2)])).toMatchObject([{ wasHeld: true }, { reason: 'held' }])
    expect(replica.machine.side.lock('lock', 'l')).toMatchObject({ holder: { token: 2 }, queue: [] })
  })
})
