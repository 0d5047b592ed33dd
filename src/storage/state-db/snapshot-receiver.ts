// Receives a streamed state into a fresh database that nothing points at yet, and believes none of it: every frame and value has
// a checksum, keys must ascend, counts must agree, and in the end every live key is read back, its record's share of the digest
// computed anew, and the sum compared with what the replicated metadata says.
import { assert } from '../../lib/assert.ts'
import { ByteWriter, DecodeError } from '../../lib/bytes.ts'
import type { ByteReader } from '../../lib/bytes.ts'
import { ZERO_HASH, addHash, equalHash, hashToHex } from '../../lib/hash.ts'
import type { Hash64 } from '../../lib/hash.ts'
import type { KeyRecord, KvMeta } from '../../kv/types.ts'
import type { ReceivedSnapshot, SnapshotReceiver } from '../../node/ports.ts'
import type { SnapshotMeta } from '../../raft/types.ts'
import { asError } from '../errors.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine, EngineBatch, EngineRow, EngineStore } from './engine.ts'
import { SnapshotStreamError } from './errors.ts'
import {
  KEYSPACE,
  META_KEY,
  ROW_KEYSPACES,
  isRecordKey,
  keyspaceRange,
  recordKey,
  revisionOf,
  userKeyOf,
} from './keys.ts'
import { PurgeListWriter } from './purge-list.ts'
import { decodePointer, decodeRecord, readPurgeItem } from './record-codec.ts'
import { decodeRow, readRows } from './rows.ts'
import type { RowDigest } from './rows.ts'
import {
  FRAME_KIND,
  FrameReader,
  STREAMED_KEYSPACES,
  compareTrailers,
  decodeHeader,
  decodeTrailer,
} from './snapshot-format.ts'
import type { Frame, SnapshotHeader, SnapshotTrailer } from './snapshot-format.ts'
import { openValue, payloadOf } from './stored-value.ts'
import { readTrustedMeta } from './stored-state.ts'
import { NO_WITNESSES, addWitness } from './witness.ts'
import type { BatchRecords } from './witness.ts'

/** Each batch is synced: a later sync would not cover it. */
const BATCH_BYTES = 4 * 1024 * 1024
const ROWS_PER_CALL = 256

/** A live record's share of the digest; defined by the state machine. */
export type RecordDigest = (record: KeyRecord) => Hash64

export interface ReceiverOptions {
  readonly store: EngineStore
  readonly number: number
  readonly gate: CallGate
  readonly recordDigest: RecordDigest
  readonly rowDigest: RowDigest
}

/** A verified state, durable under its number, closed. */
export class ReceivedState implements ReceivedSnapshot {
  readonly meta: SnapshotMeta
  readonly number: number
  readonly #store: EngineStore

  constructor(store: EngineStore, number: number, meta: SnapshotMeta) {
    this.#store = store
    this.number = number
    this.meta = meta
  }

  async discard(): Promise<void> {
    await this.#store.remove(this.number)
  }
}

export class StateReceiver implements SnapshotReceiver {
  readonly #options: ReceiverOptions
  readonly #engine: Engine
  readonly #frames = new FrameReader()
  readonly #writer = new ByteWriter()
  #header: SnapshotHeader | undefined
  #trailer: SnapshotTrailer | undefined
  readonly #counts = { pointers: 0, records: 0, rows: 0, metas: 0 }
  /** Its place among {@link STREAMED_KEYSPACES}. */
  #keyspace = 0
  #lastKey: Buffer = Buffer.alloc(0)
  readonly #purgeLists = new PurgeListWriter()
  #batch: EngineBatch
  #batchBytes = 0
  #batchRecords: BatchRecords | undefined
  #witnesses = NO_WITNESSES
  #status: 'receiving' | 'finished' | 'aborted' = 'receiving'
  #busy: Promise<unknown> = Promise.resolve()

  constructor(options: ReceiverOptions, engine: Engine) {
    this.#options = options
    this.#engine = engine
    this.#batch = engine.batch()
  }

  get isOver(): boolean {
    return this.#status !== 'receiving'
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#exclusively(async () => {
      for (const frame of this.#frames.push(chunk)) {
        this.#accept(frame)
        if (this.#batchBytes >= BATCH_BYTES) await this.#writeBatch()
      }
    })
  }

  async finish(): Promise<ReceivedSnapshot> {
    const { store, number } = this.#options
    try {
      return await this.#exclusively(async () => {
        const { meta, configuration } = this.#checkComplete()
        await this.#writeBatch()
        await this.#verify(meta)
        await this.#engine.close()
        await store.sync(number)
        this.#status = 'finished'
        const { term, index } = meta
        return new ReceivedState(store, number, { term, index, confState: configuration.confState })
      })
    } catch (error) {
      await this.abort()
      throw error
    }
  }

  async abort(): Promise<void> {
    if (this.#status !== 'receiving') return
    this.#status = 'aborted'
    await Promise.allSettled([this.#busy])
    await this.#engine.close()
    await this.#options.store.remove(this.#options.number)
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#status !== 'receiving') throw new SnapshotStreamError(`this receiver has ${this.#status} already`)
    const running = work()
    this.#busy = running
    try {
      return await running
    } catch (error) {
      throw error instanceof DecodeError ? new SnapshotStreamError(error.message, { cause: error }) : asError(error)
    }
  }

  #accept({ kind, payload }: Frame): void {
    if (this.#trailer !== undefined) throw new SnapshotStreamError('the stream goes on after its trailer')
    if ((kind === FRAME_KIND.header) !== (this.#header === undefined)) {
      throw new SnapshotStreamError('the stream does not begin with its header, or has two of them')
    }
    if (kind === FRAME_KIND.header) this.#header = decodeHeader(payload)
    else if (kind === FRAME_KIND.trailer) this.#trailer = decodeTrailer(payload)
    else this.#acceptRows(payload)
  }

  #acceptRows(payload: ByteReader): void {
    while (payload.remaining > 0) {
      const keyLength = payload.varint()
      const storedLength = payload.varint()
      const key = payload.bytes(keyLength)
      const stored = payload.bytes(storedLength)
      this.#acceptOrder(key)
      acceptValue(key, stored)
      this.#batch.put(key, stored)
      if (isRecordKey(key)) this.#noteRecord(key, stored)
      this.#batchBytes += key.length + stored.length
    }
  }

  #noteRecord(key: Buffer, stored: Buffer): void {
    const item = readPurgeItem(payloadOf(stored, 0, stored.length), revisionOf(key))
    this.#purgeLists.add(item, this.#batch)
    this.#batchRecords = { last: item.at, bytes: (this.#batchRecords?.bytes ?? 0) + key.length + stored.length }
  }

  #acceptOrder(key: Buffer): void {
    const keyspace = STREAMED_KEYSPACES.findIndex(([prefix]) => prefix === key[0])
    const streamed = STREAMED_KEYSPACES[keyspace]
    if (streamed === undefined || keyspace < this.#keyspace)
      throw new SnapshotStreamError(`keyspace ${key[0]} is unknown or out of order`)
    if (keyspace === this.#keyspace && Buffer.compare(this.#lastKey, key) >= 0) {
      throw new SnapshotStreamError('keys do not ascend')
    }
    this.#keyspace = keyspace
    this.#lastKey = Buffer.from(key)
    this.#counts[streamed[1]]++
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#batch
    this.#purgeLists.finish(batch)
    this.#witnesses = addWitness(batch, this.#writer, this.#witnesses, this.#batchRecords)
    this.#batchRecords = undefined
    this.#batch = this.#engine.batch()
    this.#batchBytes = 0
    await this.#options.gate.run(() => batch.write())
  }

  #checkComplete(): SnapshotHeader {
    this.#frames.end()
    const header = this.#header
    if (header === undefined || this.#trailer === undefined) {
      throw new SnapshotStreamError('the stream ends before its trailer')
    }
    const received = { ...this.#counts, live: header.meta.digest.live }
    const difference = compareTrailers(this.#trailer, received)
    if (difference !== undefined) throw new SnapshotStreamError(difference)
    return header
  }

  /** Reads back what was written, as recovery would, and sums up the live keys and the rows. */
  async #verify(meta: KvMeta): Promise<void> {
    const { store, number, gate } = this.#options
    const stored = await readTrustedMeta(this.#engine, gate, store.describe(number))
    if (stored.meta.index !== meta.index || stored.meta.term !== meta.term) {
      throw new SnapshotStreamError(`the header names entry ${meta.index}, the state itself entry ${stored.meta.index}`)
    }
    const { keys, live: ofKeys } = await this.#sumLive()
    const live = await this.#addRows(ofKeys)
    if (keys !== stored.meta.liveKeys || !equalHash(live, stored.meta.digest.live)) {
      throw new SnapshotStreamError(
        `the state says ${stored.meta.liveKeys} keys with digest ${hashToHex(stored.meta.digest.live)}, ` +
          `its records and rows add up to ${keys} keys with digest ${hashToHex(live)}`,
      )
    }
  }

  async #addRows(live: Hash64): Promise<Hash64> {
    const { store, number, gate, rowDigest } = this.#options
    let sum = live
    for await (const rows of readRows(this.#engine, gate, store.describe(number))) {
      for (const [key, value] of rows) sum = addHash(sum, rowDigest(key, value))
    }
    return sum
  }

  async #sumLive(): Promise<{ keys: number; live: Hash64 }> {
    const range = this.#engine.range({ ...keyspaceRange(KEYSPACE.pointers), snapshot: undefined })
    let keys = 0
    let live = ZERO_HASH
    try {
      for (;;) {
        const rows = await this.#options.gate.run(() => range.next(ROWS_PER_CALL))
        if (rows.length === 0) return { keys, live }
        for (const digest of await this.#digestsOf(rows)) {
          keys++
          live = addHash(live, digest)
        }
      }
    } finally {
      await range.close()
    }
  }

  /** The shares of those that live. */
  async #digestsOf(rows: readonly EngineRow[]): Promise<readonly Hash64[]> {
    const pointers = rows.map(([key, stored]) => decodePointer(key, stored))
    const recordKeys = pointers.map((pointer) => recordKey(pointer.at))
    const stored = await this.#options.gate.run(() => this.#engine.getMany(recordKeys))
    const digests: Hash64[] = []
    for (const [index, pointer] of pointers.entries()) {
      const key = userKeyOf(rows[index]![0])
      const found = stored[index]
      if (found === undefined) throw new SnapshotStreamError('the record of the latest change of a key is missing')
      const record = decodeRecord(recordKeys[index]!, found)
      if (record.key !== key || (record.value === undefined) !== pointer.isTombstone) {
        throw new SnapshotStreamError('a pointer and its record contradict each other')
      }
      if (pointer.isTombstone) continue
      const digest = this.#options.recordDigest(record)
      if (!equalHash(digest, pointer.digest)) {
        throw new SnapshotStreamError('a record does not have the digest that the pointer to it names')
      }
      digests.push(digest)
    }
    return digests
  }
}

/** Well formed, whatever it says. */
function acceptValue(key: Buffer, stored: Buffer): void {
  assert(key.length > 0, 'the keyspace was checked before')
  if (key[0] === KEYSPACE.pointers) decodePointer(key, stored)
  else if (isRecordKey(key)) decodeRecord(key, stored)
  else if (ROW_KEYSPACES.includes(key[0]!)) decodeRow(key, stored)
  else if (!Object.values(META_KEY).some((known) => known.equals(key))) {
    throw new SnapshotStreamError(`unknown metadata ${key.toString('latin1').slice(0, 64)}`)
  } else openValue(key, stored)
}
