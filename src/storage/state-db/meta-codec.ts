// The bytes of what the database remembers beside the keys: the applied metadata, the configuration, the digests at their
// checkpoints, and this node's own notes.
import { ByteReader, DecodeError } from '../../lib/bytes.ts'
import type { ByteWriter } from '../../lib/bytes.ts'
import type { Hash64 } from '../../lib/hash.ts'
import type { Digest, KvMeta, RevisionId } from '../../kv/types.ts'
import type { ClusterConfiguration, MemberInfo } from '../../node/ports.ts'
import type { ConfState, SnapshotMeta } from '../../raft/types.ts'
import { readText, writeText } from './record-codec.ts'

/** The layout of the database as a whole. A database of another one is refused, not migrated. */
export const STATE_FORMAT = 5

export function writeMeta(writer: ByteWriter, meta: KvMeta): void {
  writer.varint(meta.term).varint(meta.index).varint(meta.clusterTimeMs).varint(meta.revision)
  writer.varint(meta.compactRevision).varint(meta.clusterVersion).varint(meta.liveKeys).varint(meta.lastToken)
  writeDigest(writer, meta.digest)
}

export function readMeta(reader: ByteReader): KvMeta {
  return {
    term: reader.varint(),
    index: reader.varint(),
    clusterTimeMs: reader.varint(),
    revision: reader.varint(),
    compactRevision: reader.varint(),
    clusterVersion: reader.varint(),
    liveKeys: reader.varint(),
    lastToken: reader.varint(),
    digest: readDigest(reader),
  }
}

function writeDigest(writer: ByteWriter, digest: Digest): void {
  writeHash(writer, digest.live)
  writeHash(writer, digest.history)
}

const readDigest = (reader: ByteReader): Digest => ({ live: readHash(reader), history: readHash(reader) })

function writeHash(writer: ByteWriter, hash: Hash64): void {
  writer.int32(hash.hi).int32(hash.lo)
}

const readHash = (reader: ByteReader): Hash64 => ({ hi: reader.int32(), lo: reader.int32() })

export function writeConfiguration(writer: ByteWriter, configuration: ClusterConfiguration): void {
  writeConfState(writer, configuration.confState)
  writeList(writer, configuration.members, (member) => {
    writeText(writer, member.id)
    writeText(writer, member.name)
    writeText(writer, member.peer)
  })
}

export function readConfiguration(reader: ByteReader): ClusterConfiguration {
  const confState = readConfState(reader)
  const members = readList(reader, (): MemberInfo => ({
    id: readNodeId(reader),
    name: readText(reader),
    peer: readText(reader),
  }))
  return { confState, members }
}

function writeConfState(writer: ByteWriter, confState: ConfState): void {
  for (const list of [confState.voters, confState.votersOutgoing, confState.learners, confState.learnersNext]) {
    writeList(writer, list, (id) => writeText(writer, id))
  }
  writer.uint8(confState.autoLeave ? 1 : 0)
}

function readConfState(reader: ByteReader): ConfState {
  const ids = (): readonly string[] => readList(reader, () => readNodeId(reader))
  return {
    voters: ids(),
    votersOutgoing: ids(),
    learners: ids(),
    learnersNext: ids(),
    autoLeave: readFlag(reader),
  }
}

export function writeSnapshotMeta(writer: ByteWriter, meta: SnapshotMeta): void {
  writer.varint(meta.term).varint(meta.index)
  writeConfState(writer, meta.confState)
}

export const readSnapshotMeta = (reader: ByteReader): SnapshotMeta => ({
  term: reader.varint(),
  index: reader.varint(),
  confState: readConfState(reader),
})

/** The digest as it was after one entry: what members compare. */
export interface DigestCheckpoint {
  readonly index: number
  readonly digest: Digest
}

export function writeCheckpoints(writer: ByteWriter, checkpoints: readonly DigestCheckpoint[]): void {
  writeList(writer, checkpoints, (checkpoint) => {
    writer.varint(checkpoint.index)
    writeDigest(writer, checkpoint.digest)
  })
}

export const readCheckpoints = (reader: ByteReader): readonly DigestCheckpoint[] =>
  readList(reader, () => ({ index: reader.varint(), digest: readDigest(reader) }))

/** The first change that the removal of history has not looked at yet. */
export function writeRevisionId(writer: ByteWriter, at: RevisionId): void {
  writer.varint(at.revision).varint(at.sub)
}

export const readRevisionId = (reader: ByteReader): RevisionId => ({
  revision: reader.varint(),
  sub: reader.varint(),
})

function writeList<T>(writer: ByteWriter, items: readonly T[], writeItem: (item: T) => void): void {
  writer.varint(items.length)
  for (const item of items) writeItem(item)
}

function readList<T>(reader: ByteReader, readItem: () => T): readonly T[] {
  const count = reader.varint()
  if (count > reader.remaining) throw new DecodeError(`${count} items in ${reader.remaining} bytes`)
  const items: T[] = []
  for (let item = 0; item < count; item++) items.push(readItem())
  return items
}

function readNodeId(reader: ByteReader): string {
  const id = readText(reader)
  if (!/^[0-9a-f]{16}$/.test(id)) throw new DecodeError('a node id is not 16 hex digits')
  return id
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.uint8()
  if (flag > 1) throw new DecodeError(`a flag of ${flag}`)
  return flag === 1
}
