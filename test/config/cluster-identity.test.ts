// Ids are part of what is on disk and of the handshake: the derivation must never drift.
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { clusterId, memberId } from '../../src/config/index.ts'

const MEMBERS = [
  { name: 'n1', peer: '127.0.0.1:7701' },
  { name: 'n2', peer: '127.0.0.1:7711' },
  { name: 'n3', peer: '127.0.0.1:7721' },
]

it('the ids of the development cluster are pinned', () => {
  expect(clusterId('', MEMBERS)).toBe('510c62ec6ff1bc22')
  expect(memberId('510c62ec6ff1bc22', 'n1')).toBe('b13592f00fc7825b')
})

it('the derivation is the documented text', () => {
  const text = 'quorate-identity-1\ncluster\n"t"\nn1=127.0.0.1:7701\nn2=127.0.0.1:7711\nn3=127.0.0.1:7721'
  expect(clusterId('t', MEMBERS)).toBe(createHash('sha256').update(text).digest('hex').slice(0, 16))
})

it('D11: the order of the list does not matter; a name, an address, a member or the token does', () => {
  const id = clusterId('', MEMBERS)
  expect(clusterId('', MEMBERS.toReversed())).toBe(id)
  const others = [
    clusterId('other', MEMBERS),
    clusterId('', MEMBERS.slice(1)),
    clusterId('', MEMBERS.with(0, { name: 'n0', peer: '127.0.0.1:7701' })),
    clusterId('', MEMBERS.with(0, { name: 'n1', peer: '127.0.0.1:7702' })),
    clusterId('"\nn0=x:1', MEMBERS),
  ]
  expect(new Set([id, ...others]).size).toBe(6)
})

it('members of one cluster differ, and so do equal names in two clusters', () => {
  const ids = ['a', 'b'].flatMap((cluster) => ['n1', 'n2'].map((name) => memberId(cluster, name)))
  expect(new Set(ids).size).toBe(4)
  expect(ids.every((id) => /^[0-9a-f]{16}$/.test(id))).toBe(true)
})
