// The two ends of the handshake as state machines: no sockets, every byte in the test's hands.
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { FrameReader, MAGIC } from '../../src/transport/frame.ts'
import type { OutgoingFrame } from '../../src/transport/frame.ts'
import { CalleeHandshake, CallerHandshake, commonVersion } from '../../src/transport/handshake.ts'
import type { HandshakeContext, HandshakeOutcome } from '../../src/transport/handshake.ts'
import { CLUSTER, helloOf, idOf } from './support/network.ts'

const context = (number: number, extra: Partial<HandshakeContext> = {}): HandshakeContext => ({
  clusterId: CLUSTER,
  self: helloOf(number),
  secret: 'secret',
  versions: { min: 1, max: 1 },
  members: new Map([1, 2].map((one) => [idOf(one), { id: idOf(one), name: `n${one}`, peer: '127.0.0.1:1' }])),
  random: (bytes) => randomBytes(bytes),
  admit: () => undefined,
  ...extra,
})

/** Lets both talk until one is done with the other; `tamper` may change what passes, `extra` who is called. */
function talk(
  tamper: (frame: OutgoingFrame, number: number) => OutgoingFrame,
  extra: Partial<HandshakeContext> = {},
): (HandshakeOutcome | undefined)[] {
  const toCallee: OutgoingFrame[] = []
  const toCaller: OutgoingFrame[] = []
  const caller = new CallerHandshake(context(1), { id: idOf(2), name: 'n2', peer: '' }, 'raft', (frame) =>
    toCallee.push(frame),
  )
  const callee = new CalleeHandshake(context(2, extra), (frame) => toCaller.push(frame))
  const outcomes: (HandshakeOutcome | undefined)[] = [undefined, undefined]
  let passed = 0
  const pass = (frame: OutgoingFrame, end: CallerHandshake | CalleeHandshake, at: number): void => {
    const reader = new FrameReader(10_000)
    const bytes = Buffer.concat([MAGIC, ...tamper(frame, passed++).chunks])
    if (outcomes[at] === undefined) reader.push(bytes, (one) => ((outcomes[at] = end.receive(one)), true))
  }
  while (toCallee.length + toCaller.length > 0) {
    for (const frame of toCallee.splice(0)) pass(frame, callee, 1)
    for (const frame of toCaller.splice(0)) pass(frame, caller, 0)
  }
  return outcomes
}

describe('without sockets', () => {
  test('both accept, and know each other', () => {
    expect(talk((frame) => frame)).toEqual([
      { kind: 'accepted', peer: helloOf(2), channel: 'raft', version: 1 },
      { kind: 'accepted', peer: helloOf(1), channel: 'raft', version: 1 },
    ])
  })

  test('D11: a node of another cluster is refused, and told why', () => {
    const outcomes = talk((frame) => frame, { clusterId: '00000000000000c2' })
    for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: 'refused', code: 'cluster-id' })
  })

  test('every changed byte of the first four messages is noticed by one of them', () => {
    for (let message = 0; message < 4; message++)
      for (let at = 12; at < 200; at += 3) {
        let isChanged = false
        const change = (frame: OutgoingFrame, number: number): OutgoingFrame => {
          const bytes = Buffer.concat(frame.chunks)
          if (number !== message || at >= bytes.length) return frame
          isChanged = true
          bytes[at]! ^= 1
          return { ...frame, chunks: [bytes] }
        }
        try {
          const outcomes = talk(change)
          if (isChanged)
            expect(
              outcomes.every((outcome) => outcome?.kind === 'accepted'),
              `${message}/${at}`,
            ).toBe(false)
        } catch (error) {
          expect((error as Error).name).toBe('DecodeError')
        }
      }
  })

  test.each([
    [{ min: 1, max: 1 }, { min: 1, max: 1 }, 1],
    [{ min: 1, max: 3 }, { min: 2, max: 5 }, 3],
    [{ min: 2, max: 5 }, { min: 1, max: 2 }, 2],
    [{ min: 1, max: 1 }, { min: 2, max: 2 }, undefined],
  ])('the highest common version of %j and %j is %s', (a, b, version) => {
    expect(commonVersion(a, b)).toBe(version)
    expect(commonVersion(b, a)).toBe(version)
  })
})
