// The replicated state machine (design, section 7): a deterministic function from the log to the state, in etcd's data model.
// It has no clock, no chance and no I/O: time comes stamped in the batch, and whatever it reads was fetched before.
import type { EntryBatch } from '../api/commands.ts'
import { assert } from '../lib/assert.ts'
import { ZERO_DIGEST } from './digest.ts'
import { EntryExecution } from './entry-execution.ts'
import { SideTables } from './side-tables.ts'
import type { AppliedId, Execution, KvMeta, KvState, RowKey, SideState } from './types.ts'

/** The state before the first entry, equal on all founding members. */
export function initialMeta(): KvMeta {
  return {
    term: 0,
    index: 0,
    clusterTimeMs: 0,
    revision: 1,
    compactRevision: 0,
    clusterVersion: 1,
    digest: ZERO_DIGEST,
    liveKeys: 0,
    lastToken: 0,
  }
}

/**
 * Applies entries strictly one after another. The state must show a change to `pointer` and `latestRecord` as soon as it was
 * `put`: later commands of the same entry build on it.
 */
export class KvStateMachine {
  #meta: KvMeta
  readonly #tables: SideTables

  /** `rows` are all that the state of that metadata has. */
  constructor(meta: KvMeta, rows: ReadonlyMap<RowKey, Uint8Array>) {
    this.#meta = meta
    this.#tables = new SideTables(rows)
  }

  /** After the last entry applied. */
  get meta(): KvMeta {
    return this.#meta
  }

  /** Leases, sessions and locks, for the node to look at between entries. */
  get side(): SideState {
    return this.#tables
  }

  /** Begins one `normal` entry. A refusal is a result; anything thrown is a broken invariant, and the node must stop. */
  begin(batch: EntryBatch, id: AppliedId, state: KvState): Execution {
    const before = this.#metaAt(id, batch.clusterTimeMs)
    const onFinish = (meta: KvMeta): void => {
      this.#meta = meta
    }
    return new EntryExecution({ batch, before, state, tables: this.#tables, onFinish })
  }

  /** A no-op or configuration entry changes nothing here, but it has a place in the order like any other. */
  applyNonNormal(id: AppliedId): KvMeta {
    this.#meta = this.#metaAt(id, 0)
    return this.#meta
  }

  #metaAt(id: AppliedId, stampMs: number): KvMeta {
    const before = this.#meta
    if (id.index !== before.index + 1) assert(false, `entry ${id.index} cannot follow entry ${before.index}`)
    if (id.term < before.term)
      assert(false, `entry ${id.index} of term ${id.term} cannot follow one of term ${before.term}`)
    // Written out: a spread is slow (decisions/callbacks-on-the-hot-path.md).
    return {
      term: id.term,
      index: id.index,
      clusterTimeMs: Math.max(before.clusterTimeMs, stampMs),
      revision: before.revision,
      compactRevision: before.compactRevision,
      clusterVersion: before.clusterVersion,
      digest: before.digest,
      liveKeys: before.liveKeys,
      lastToken: before.lastToken,
    }
  }
}
