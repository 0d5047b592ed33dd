// Streams a state as of a completed batch, out of a LevelDB snapshot: later writes do not reach it, and its index is what the
// metadata says when read through the same snapshot. Every value's checksum is verified on the way out, so that a damaged state
// is found here and not handed on. One piece is read at a time, when the receiver asks for it, and with a rest after each: who is far
// behind can wait a little longer, and all who ask this node should not notice.
import { ByteWriter, DecodeError } from '../../lib/bytes.ts'
import type { Clock, StateSnapshot } from '../../node/ports.ts'
import type { SnapshotMeta } from '../../raft/types.ts'
import type { Engine, EngineRow, EngineSnapshot } from './engine.ts'
import { StateClosedError, StateCorruptionError } from './errors.ts'
import { KEYSPACE, describeKey, keyspaceRange, recordsAfter } from './keys.ts'
import {
  FRAME_BYTES,
  FRAME_KIND,
  STREAMED_KEYSPACES,
  encodeFrame,
  encodeHeader,
  encodeTrailer,
} from './snapshot-format.ts'
import { openValue } from './stored-value.ts'
import { readStoredMeta } from './stored-state.ts'
import type { StoredMeta } from './stored-state.ts'

const ROWS_PER_CALL = 512
/** How long it rests for the time that a piece took. */
const RESTS = 2
/** A disk that hangs must not be followed by a rest that the transfer is given up for. */
const REST_MS_MAX = 1_000

export interface SnapshotSource {
  readonly engine: Engine
  /** For messages: where this state is. */
  readonly where: string
  /** Runs a call of the engine; any error in it stops the store. */
  readonly run: <T>(call: () => Promise<T>) => Promise<T>
  readonly clock: Clock
  readonly onClosed: (snapshot: StateSnapshot) => void
}

export async function openStateSnapshot(source: SnapshotSource): Promise<StateSnapshot> {
  const pinned = source.engine.snapshot()
  try {
    const stored = await readStoredMeta(source.engine, source.where, pinned)
    return new SnapshotSender(source, pinned, stored)
  } catch (error) {
    await pinned.close()
    throw error
  }
}

class SnapshotSender implements StateSnapshot {
  readonly meta: SnapshotMeta
  readonly #source: SnapshotSource
  readonly #pinned: EngineSnapshot
  readonly #stored: StoredMeta
  #closing: Promise<void> | undefined
  /** The read under way: the snapshot is not closed below it. */
  #reading: Promise<unknown> | undefined

  constructor(source: SnapshotSource, pinned: EngineSnapshot, stored: StoredMeta) {
    this.#source = source
    this.#pinned = pinned
    this.#stored = stored
    const { term, index } = stored.meta
    this.meta = { term, index, confState: stored.configuration.confState }
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const { meta, configuration } = this.#stored
    let number = 0
    yield encodeFrame(FRAME_KIND.header, number++, encodeHeader({ meta, configuration }))
    const trailer = { pointers: 0, records: 0, rows: 0, metas: 0, live: meta.digest.live }
    for (const [prefix, counted] of STREAMED_KEYSPACES) {
      for await (const rows of this.#pieces(prefix)) {
        trailer[counted] += rows.length
        for (const payload of packRows(rows)) yield encodeFrame(FRAME_KIND.rows, number++, payload)
      }
    }
    yield encodeFrame(FRAME_KIND.trailer, number++, encodeTrailer(trailer))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.allSettled([this.#reading])
    await this.#pinned.close()
    this.#source.onClosed(this)
  }

  /** The rows of one keyspace, verified. */
  async *#pieces(prefix: number): AsyncGenerator<readonly EngineRow[]> {
    const { engine, run, clock } = this.#source
    if (this.#closing !== undefined) throw new StateClosedError()
    // The batch after the one that is sent may have brought its records already, and not the rest.
    const { gte, lt } = keyspaceRange(prefix)
    const end = prefix === KEYSPACE.records ? recordsAfter(this.#stored.meta.revision).gte : lt
    const range = engine.range({ gte, lt: end, snapshot: this.#pinned })
    try {
      for (;;) {
        if (this.#closing !== undefined) throw new StateClosedError()
        const startedMs = clock.now()
        const reading = run(async () => {
          const rows = await range.next(ROWS_PER_CALL)
          for (const row of rows) this.#verify(row)
          return rows
        })
        this.#reading = reading
        const rows = await reading
        if (rows.length === 0) return
        const restMs = Math.min(RESTS * (clock.now() - startedMs), REST_MS_MAX)
        yield rows
        await new Promise<void>((resolve) => clock.after(restMs, resolve))
      }
    } finally {
      await range.close()
    }
  }

  #verify([key, stored]: EngineRow): void {
    try {
      openValue(key, stored)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      throw new StateCorruptionError(this.#source.where, `${describeKey(key)}: ${error.message}`, error)
    }
  }
}

/** Packs rows into payloads of about {@link FRAME_BYTES}. */
function* packRows(rows: readonly EngineRow[]): Generator<Uint8Array> {
  let writer = new ByteWriter(FRAME_BYTES)
  for (const [key, stored] of rows) {
    writer.varint(key.length).varint(stored.length).bytes(key).bytes(stored)
    if (writer.length < FRAME_BYTES) continue
    yield writer.finish()
    writer = new ByteWriter(FRAME_BYTES)
  }
  if (writer.length > 0) yield writer.finish()
}
