// The handshake: who calls, who answers, which protocol version, and that both know the secret. Before any other frame.
//
//   caller  hello      ->           versions, cluster, caller, callee, nonce
//           <- challenge   callee   the same of the callee, or a refusal
//           proof      ->           HMAC over hello and challenge
//           <- verdict     callee   HMAC over all of it and the answer: accepted, or refused and why
//           ready      ->           or a refusal: the caller may have reasons too
//
// Both ends are state machines without a socket: frames in, frames out, at last an outcome. A refusal after the proofs
// (inside the verdict) is authentic; one before them is only as trustworthy as the network, and so is never `incarnation`.
import { unreachable } from '../lib/assert.ts'
import { DecodeError } from '../lib/bytes.ts'
import type { MemberInfo, PeerHello, PeerRefusal } from '../node/ports.ts'
import type { NodeId } from '../raft/types.ts'
import { encodeFrame, FRAME } from './frame.ts'
import type { Frame, FrameType, OutgoingFrame } from './frame.ts'
import {
  decodeChallenge,
  decodeHello,
  decodeProof,
  decodeRefusal,
  decodeVerdict,
  decodeVersions,
  encodeAnswer,
  encodeChallenge,
  encodeHello,
  encodeRefusal,
  isEqualProof,
  NONCE_BYTES,
  proofOf,
} from './handshake-codec.ts'
import type { Channel, Hello, Refusal, VersionRange } from './handshake-codec.ts'

export const PROTOCOL_VERSIONS: VersionRange = { min: 1, max: 1 }

export interface HandshakeContext {
  readonly clusterId: string
  readonly self: PeerHello
  readonly secret: string | undefined
  readonly versions: VersionRange
  readonly members: ReadonlyMap<NodeId, MemberInfo>
  random(bytes: number): Uint8Array
  admit(peer: PeerHello): PeerRefusal | undefined
}

export type HandshakeOutcome =
  | { readonly kind: 'accepted'; readonly peer: PeerHello; readonly channel: Channel; readonly version: number }
  /** `by`: who refuses whom. `isProven`: it came from a node that knows the secret. */
  | {
      readonly kind: 'refused'
      readonly by: 'us' | 'peer'
      readonly code: string
      readonly detail: string
      readonly isProven: boolean
    }

export interface Handshake {
  /** Undefined while it goes on. Throws DecodeError when the frame makes no sense; then the connection must be closed. */
  receive(frame: Frame): HandshakeOutcome | undefined
}

type Send = (frame: OutgoingFrame) => void

/** The caller's end; says hello when it is made. */
export class CallerHandshake implements Handshake {
  readonly #context: HandshakeContext
  readonly #callee: MemberInfo
  readonly #channel: Channel
  readonly #send: Send
  readonly #transcript: Uint8Array[] = []
  #answered: { peer: PeerHello; version: number } | undefined

  constructor(context: HandshakeContext, callee: MemberInfo, channel: Channel, send: Send) {
    this.#context = context
    this.#callee = callee
    this.#channel = channel
    this.#send = send
    const hello = encodeHello({
      ...opening(context),
      caller: context.self,
      channel,
      callee: { id: callee.id, name: callee.name },
    })
    this.#transcript.push(hello)
    send(encodeFrame(FRAME.hello, hello))
  }

  receive(frame: Frame): HandshakeOutcome | undefined {
    if (frame.type === FRAME.refusal) return refusedByPeer(decodeRefusal(frame.header), false)
    return this.#answered === undefined ? this.#challenged(frame) : this.#judged(frame, this.#answered)
  }

  #challenged(frame: Frame): HandshakeOutcome | undefined {
    const bytes = expect(frame, FRAME.challenge, 'a challenge')
    const version = commonVersion(this.#context.versions, decodeVersions(bytes))
    if (version === undefined) return this.#refuse(versionRefusal(this.#context, decodeVersions(bytes)))
    const challenge = decodeChallenge(bytes)
    const { callee } = challenge
    if (challenge.clusterId !== this.#context.clusterId)
      return this.#refuse(clusterRefusal(this.#context, challenge.clusterId))
    if (callee.id !== this.#callee.id || callee.name !== this.#callee.name)
      return this.#refuse(wrongNode(this.#callee, callee))
    const refusal = secretRefusal(this.#context, challenge.hasSecret)
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#transcript.push(Buffer.from(bytes))
    const proof = proofOf(this.#context.secret, 'caller', this.#transcript)
    this.#transcript.push(proof)
    this.#answered = { peer: callee, version }
    this.#send(encodeFrame(FRAME.proof, proof))
    return undefined
  }

  #judged(frame: Frame, answered: { peer: PeerHello; version: number }): HandshakeOutcome {
    const { mac, answer, refusal } = decodeVerdict(expect(frame, FRAME.verdict, 'a verdict'))
    const expected = proofOf(this.#context.secret, 'callee', [...this.#transcript, answer])
    if (!isEqualProof(mac, expected))
      return this.#refuse({ code: 'secret', detail: 'the callee does not know the peer secret of the caller' })
    if (refusal !== undefined) return refusedByPeer(refusal, true)
    const code = this.#context.admit(answered.peer)
    if (code !== undefined) return this.#refuse(admissionRefusal(code, this.#context.self, answered.peer))
    this.#send(encodeFrame(FRAME.ready, Buffer.alloc(0)))
    return { kind: 'accepted', channel: this.#channel, ...answered }
  }

  #refuse(refusal: Refusal): HandshakeOutcome {
    this.#send(encodeFrame(FRAME.refusal, encodeRefusal(refusal)))
    return { kind: 'refused', by: 'us', ...refusal, isProven: false }
  }
}

type CalleeState =
  | { readonly at: 'hello' }
  | {
      readonly at: 'proof'
      readonly hello: Hello
      readonly version: number
      readonly transcript: readonly Uint8Array[]
    }
  | { readonly at: 'ready'; readonly hello: Hello; readonly version: number }

/** The callee's end. */
export class CalleeHandshake implements Handshake {
  readonly #context: HandshakeContext
  readonly #send: Send
  #state: CalleeState = { at: 'hello' }

  constructor(context: HandshakeContext, send: Send) {
    this.#context = context
    this.#send = send
  }

  receive(frame: Frame): HandshakeOutcome | undefined {
    if (frame.type === FRAME.refusal) return refusedByPeer(decodeRefusal(frame.header), false)
    const state = this.#state
    switch (state.at) {
      case 'hello':
        return this.#greeted(frame)
      case 'proof':
        return this.#proven(frame, state)
      case 'ready':
        expect(frame, FRAME.ready, 'ready')
        return { kind: 'accepted', peer: state.hello.caller, channel: state.hello.channel, version: state.version }
      default:
        return unreachable(state)
    }
  }

  #greeted(frame: Frame): HandshakeOutcome | undefined {
    const bytes = Buffer.from(expect(frame, FRAME.hello, 'a hello'))
    const version = commonVersion(this.#context.versions, decodeVersions(bytes))
    if (version === undefined) return this.#refuse(versionRefusal(this.#context, decodeVersions(bytes)))
    const hello = decodeHello(bytes)
    const refusal = this.#refusalOf(hello)
    if (refusal !== undefined) return this.#refuse(refusal)
    const challenge = encodeChallenge({ ...opening(this.#context), callee: this.#context.self })
    this.#state = { at: 'proof', hello, version, transcript: [bytes, challenge] }
    this.#send(encodeFrame(FRAME.challenge, challenge))
    return undefined
  }

  #refusalOf(hello: Hello): Refusal | undefined {
    const { clusterId, self, members } = this.#context
    if (hello.clusterId !== clusterId) return clusterRefusal(this.#context, hello.clusterId)
    if (hello.callee.id !== self.id || hello.callee.name !== self.name) return wrongNode(hello.callee, self)
    const { caller } = hello
    if (members.get(caller.id)?.name !== caller.name)
      return {
        code: 'not-a-member',
        detail: `${caller.name} (${caller.id}) is not among the other members that ${self.name} knows`,
      }
    return secretRefusal(this.#context, hello.hasSecret)
  }

  #proven(frame: Frame, state: CalleeState & { at: 'proof' }): HandshakeOutcome | undefined {
    const proof = Buffer.from(decodeProof(expect(frame, FRAME.proof, 'a proof')))
    const { secret, self } = this.#context
    if (!isEqualProof(proof, proofOf(secret, 'caller', state.transcript)))
      return this.#refuse({ code: 'secret', detail: `the caller does not know the peer secret of ${self.name}` })
    const { caller } = state.hello
    const code = this.#context.admit(caller)
    const refusal = code === undefined ? undefined : admissionRefusal(code, self, caller)
    const answer = encodeAnswer(refusal)
    const mac = proofOf(secret, 'callee', [...state.transcript, proof, answer])
    this.#send(encodeFrame(FRAME.verdict, Buffer.concat([mac, answer])))
    if (refusal !== undefined) return { kind: 'refused', by: 'us', ...refusal, isProven: true }
    this.#state = { at: 'ready', hello: state.hello, version: state.version }
    return undefined
  }

  #refuse(refusal: Refusal): HandshakeOutcome {
    this.#send(encodeFrame(FRAME.refusal, encodeRefusal(refusal)))
    return { kind: 'refused', by: 'us', ...refusal, isProven: false }
  }
}

// ------------------------------------------------------------------------------------------------------------- helpers

const opening = (context: HandshakeContext): Pick<Hello, 'versions' | 'clusterId' | 'hasSecret' | 'nonce'> => ({
  versions: context.versions,
  clusterId: context.clusterId,
  hasSecret: context.secret !== undefined,
  nonce: context.random(NONCE_BYTES),
})

/** The highest version that both understand. */
export function commonVersion(a: VersionRange, b: VersionRange): number | undefined {
  const version = Math.min(a.max, b.max)
  return version >= Math.max(a.min, b.min) ? version : undefined
}

function expect(frame: Frame, type: FrameType, what: string): Uint8Array {
  if (frame.type !== type)
    throw new DecodeError(`${what} was expected in the handshake, not a frame of type 0x${frame.type.toString(16)}`)
  if (frame.body.length > 0) throw new DecodeError(`${what} has a body`)
  return frame.header
}

const refusedByPeer = (refusal: Refusal, isProven: boolean): HandshakeOutcome => ({
  kind: 'refused',
  by: 'peer',
  ...refusal,
  isProven,
})

const rangeText = (range: VersionRange): string =>
  range.min === range.max ? `version ${range.min}` : `versions ${range.min} to ${range.max}`

const versionRefusal = (context: HandshakeContext, theirs: VersionRange): Refusal => ({
  code: 'protocol-version',
  detail: `${context.self.name} speaks ${rangeText(context.versions)} of the peer protocol, the other end ${rangeText(theirs)}`,
})

const clusterRefusal = (context: HandshakeContext, theirs: string): Refusal => ({
  code: 'cluster-id',
  detail:
    `${context.self.name} belongs to cluster ${context.clusterId}, the other end to ${theirs}: ` +
    'they were given different lists of initial members, or different cluster tokens',
})

const wrongNode = (wanted: { id: NodeId; name: string }, found: PeerHello): Refusal => ({
  code: 'wrong-node',
  detail: `this address leads to ${found.name} (${found.id}), not to ${wanted.name} (${wanted.id})`,
})

function secretRefusal(context: HandshakeContext, otherHasSecret: boolean): Refusal | undefined {
  const hasSecret = context.secret !== undefined
  if (hasSecret === otherHasSecret) return undefined
  const detail = hasSecret
    ? `${context.self.name} has a peer secret and the other end has none`
    : `${context.self.name} has no peer secret and the other end has one`
  return { code: 'secret', detail }
}

const admissionRefusal = (code: PeerRefusal, self: PeerHello, peer: PeerHello): Refusal => ({
  code,
  detail:
    code === 'incarnation'
      ? `${self.name} knows another incarnation of ${peer.name} than ${peer.incarnation}: that member has lost its data`
      : `${self.name} does not admit ${peer.name} (${peer.id}): ${code}`,
})
