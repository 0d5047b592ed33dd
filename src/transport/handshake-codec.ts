// The five messages of a handshake, byte by byte. Written and read by hand, not with msgpack: they come from strangers.
// Their layout must stay readable by every later version, so that a refusal can still say why; later fields go at the end.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { ByteReader, ByteWriter, DecodeError } from '../lib/bytes.ts'
import type { PeerHello, PeerRefusal } from '../node/ports.ts'
import type { NodeId } from '../raft/types.ts'
import { isNodeId } from './header.ts'

/** What a connection is for: bulk never delays a heartbeat. The position is the number on the wire. */
export const CHANNELS = ['raft', 'forward', 'snapshot'] as const
export type Channel = (typeof CHANNELS)[number]

/** Every version from `min` to `max` is understood. */
export interface VersionRange {
  readonly min: number
  readonly max: number
}

export const NONCE_BYTES = 32
const MAC_BYTES = 32
const BOOT_MAX = 2 ** 48 - 1

/** Caller to callee: who calls whom, for what. */
export interface Hello {
  readonly versions: VersionRange
  readonly clusterId: string
  readonly hasSecret: boolean
  readonly nonce: Uint8Array
  readonly caller: PeerHello
  readonly channel: Channel
  readonly callee: { readonly id: NodeId; readonly name: string }
}

/** Callee to caller: who answers. The caller is to prove that it knows the secret. */
export interface Challenge {
  readonly versions: VersionRange
  readonly clusterId: string
  readonly hasSecret: boolean
  readonly nonce: Uint8Array
  readonly callee: PeerHello
}

export interface Refusal {
  readonly code: string
  readonly detail: string
}

const REFUSALS: readonly string[] = [
  'cluster-id',
  'not-a-member',
  'secret',
  'protocol-version',
  'incarnation',
  'wrong-node',
] satisfies PeerRefusal[]

export const isPeerRefusal = (code: string): code is PeerRefusal => REFUSALS.includes(code)

const DETAIL_LENGTH_MAX = 1_024
const CODE_LENGTH_MAX = 64

const NAME = /^[A-Za-z0-9._-]{1,64}$/
const INCARNATION = /^[0-9a-f]{32}$/
const URL_TEXT = /^[\x21-\x7e]{0,2048}$/
const VERSION_TEXT = /^[\x21-\x7e]{1,64}$/

export function encodeHello(hello: Hello): Buffer {
  const writer = writeOpening(hello)
  writeIdentity(writer, hello.caller)
  writer.uint8(CHANNELS.indexOf(hello.channel))
  writeText(writer, hello.callee.id)
  writeText(writer, hello.callee.name)
  return writer.finish()
}

export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new ByteReader(bytes)
  const opening = readOpening(reader)
  const caller = readIdentity(reader)
  const channel = CHANNELS[reader.uint8()]
  if (channel === undefined) throw new DecodeError('hello: an unknown kind of connection')
  const callee = { id: readNodeId(reader), name: readText(reader, NAME, 'name') }
  return { ...opening, caller, channel, callee }
}

/** Of a hello in any version: all that is needed to refuse one that is too old or too new. */
export function decodeVersions(bytes: Uint8Array): VersionRange {
  return readVersions(new ByteReader(bytes))
}

export function encodeChallenge(challenge: Challenge): Buffer {
  const writer = writeOpening(challenge)
  writeIdentity(writer, challenge.callee)
  return writer.finish()
}

export function decodeChallenge(bytes: Uint8Array): Challenge {
  const reader = new ByteReader(bytes)
  return { ...readOpening(reader), callee: readIdentity(reader) }
}

/** The caller's proof is a MAC alone. A verdict is the callee's proof over the answer that follows it. */
export function decodeProof(bytes: Uint8Array): Buffer {
  return new ByteReader(bytes).bytes(MAC_BYTES)
}

/** What a verdict's MAC covers: undefined accepts. */
export function encodeAnswer(refusal: Refusal | undefined): Buffer {
  return refusal === undefined ? Buffer.of(1) : Buffer.concat([Buffer.of(0), encodeRefusal(refusal)])
}

export function decodeVerdict(bytes: Uint8Array): { mac: Buffer; answer: Buffer; refusal: Refusal | undefined } {
  const reader = new ByteReader(bytes)
  const mac = reader.bytes(MAC_BYTES)
  const answer = reader.bytes(reader.remaining)
  const answered = new ByteReader(answer)
  const isAccepted = answered.uint8()
  if (isAccepted > 1) throw new DecodeError(`verdict: ${isAccepted} is neither yes nor no`)
  const refusal = isAccepted === 1 ? undefined : decodeRefusal(answer.subarray(answered.offset))
  return { mac, answer, refusal }
}

export function encodeRefusal(refusal: Refusal): Buffer {
  const writer = new ByteWriter()
  writeText(writer, refusal.code)
  writeText(writer, printable(refusal.detail))
  return writer.finish()
}

export function decodeRefusal(bytes: Uint8Array): Refusal {
  const reader = new ByteReader(bytes)
  const code = reader.latin1(length(reader, CODE_LENGTH_MAX, 'code'))
  return { code: printable(code), detail: printable(reader.latin1(length(reader, DETAIL_LENGTH_MAX, 'detail'))) }
}

export type Side = 'caller' | 'callee'

/**
 * Proves knowledge of the secret to whoever sent the nonces in `transcript`. The side is part of what is signed: a proof
 * cannot be reflected. Without a secret the key is empty, and the MAC guards against mistakes only.
 */
export function proofOf(secret: string | undefined, side: Side, transcript: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', secret ?? '').update(`quorate peer protocol, ${side}\0`)
  for (const message of transcript) {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(message.length)
    hmac.update(size).update(message)
  }
  return hmac.digest()
}

export const isEqualProof = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

/** Throws unless a peer can read this identity as it was meant: a mistake of the caller, found before anything is sent. */
export function checkIdentity(identity: PeerHello): void {
  const writer = new ByteWriter()
  writeIdentity(writer, identity)
  const read = readIdentity(new ByteReader(writer.finish()))
  for (const field of ['id', 'name', 'boot', 'incarnation', 'url', 'version'] as const)
    if (read[field] !== identity[field])
      throw new RangeError(`the ${field} "${identity[field]}" cannot be sent to peers`)
}

// ------------------------------------------------------------------------------------------------------------- helpers

type Opening = Pick<Hello, 'versions' | 'clusterId' | 'hasSecret' | 'nonce'>

function writeOpening(opening: Opening): ByteWriter {
  const writer = new ByteWriter().varint(opening.versions.min).varint(opening.versions.max)
  writeText(writer, opening.clusterId)
  return writer.uint8(opening.hasSecret ? 1 : 0).bytes(opening.nonce)
}

function readVersions(reader: ByteReader): VersionRange {
  const versions = { min: reader.varint(), max: reader.varint() }
  if (versions.min > versions.max) throw new DecodeError(`the versions ${versions.min} to ${versions.max} are no range`)
  return versions
}

function readOpening(reader: ByteReader): Opening {
  const versions = readVersions(reader)
  const clusterId = readNodeId(reader)
  const hasSecret = reader.uint8()
  if (hasSecret > 1) throw new DecodeError(`${hasSecret} is neither yes nor no`)
  return { versions, clusterId, hasSecret: hasSecret === 1, nonce: reader.bytes(NONCE_BYTES) }
}

function writeIdentity(writer: ByteWriter, identity: PeerHello): void {
  writeText(writer, identity.id)
  writeText(writer, identity.name)
  writer.varint(identity.boot)
  writeText(writer, identity.incarnation)
  writeText(writer, identity.url)
  writeText(writer, identity.version)
}

function readIdentity(reader: ByteReader): PeerHello {
  const id = readNodeId(reader)
  const name = readText(reader, NAME, 'name')
  const boot = reader.varint()
  if (boot > BOOT_MAX) throw new DecodeError('a boot is above 2^48 - 1')
  return {
    id,
    name,
    boot,
    incarnation: readText(reader, INCARNATION, 'incarnation'),
    url: readText(reader, URL_TEXT, 'URL'),
    version: readText(reader, VERSION_TEXT, 'version'),
  }
}

/** Cluster ids look like node ids. */
function readNodeId(reader: ByteReader): NodeId {
  const id = reader.latin1(length(reader, 16, 'id'))
  if (!isNodeId(id)) throw new DecodeError('an id must be 16 hex digits')
  return id
}

function writeText(writer: ByteWriter, text: string): void {
  writer.varint(text.length).latin1(text)
}

function readText(reader: ByteReader, pattern: RegExp, what: string): string {
  const text = reader.latin1(length(reader, DETAIL_LENGTH_MAX * 2, what))
  if (!pattern.test(text)) throw new DecodeError(`a ${what} is not well formed`)
  return text
}

function length(reader: ByteReader, max: number, what: string): number {
  const value = reader.varint()
  if (value > max) throw new DecodeError(`a ${what} of ${value} bytes is too long`)
  return value
}

/** It ends up in logs: no control characters, nothing long. */
const printable = (text: string): string => text.slice(0, DETAIL_LENGTH_MAX).replace(/[^\x20-\x7e]/g, '?')
