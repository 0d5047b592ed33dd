// The replicated state machine (design, section 7): a deterministic function from the log to the state, in etcd's data model.
// It has no clock, no chance and no I/O: time comes stamped in the batch, and whatever it reads was fetched before.
import type { ClientCommand, Command, CompactCommand, DeleteCommand, PutCommand } from '../api/commands.ts'
import type { CommandResult, Condition, EntryBatch, KeyEntry } from '../api/commands.ts'
import { assert, present, unreachable } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { ZERO_HASH } from '../lib/hash.ts'
import { digestAfter, recordShare, ZERO_DIGEST } from './digest.ts'
import { nextSkips } from './skip-list.ts'
import type { Change, KeyPointer, KeyRecord, KvMeta, KvState, RevisionId } from './types.ts'

/** Names the entry that is being applied. */
export interface AppliedId {
  readonly term: number
  readonly index: number
}

/** What one entry did. */
export interface Applied {
  /** For each group, for each of its commands. */
  readonly results: readonly (readonly CommandResult[])[]
  /** All changes in the order they were made: what watchers see, and what history grows by. */
  readonly changes: readonly Change[]
  readonly meta: KvMeta
}

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
  }
}

/** What a put or a delete leaves behind, besides what every change has. */
interface Content {
  readonly key: KeyString
  readonly value: Uint8Array | undefined
  readonly contentType: string
}

/**
 * Applies entries strictly one after another. The state must show a change to `pointer` and `latestRecord` as soon as it was
 * `put`: later commands of the same entry build on it.
 */
export class KvStateMachine {
  #meta: KvMeta

  constructor(meta: KvMeta) {
    this.#meta = meta
  }

  /** After the last entry applied. */
  get meta(): KvMeta {
    return this.#meta
  }

  /** Applies one `normal` entry. A refusal is a result; anything thrown is a broken invariant, and the node must stop. */
  apply(batch: EntryBatch, id: AppliedId, state: KvState): Applied {
    const execution = new Execution(this.#metaAt(id, batch.clusterTimeMs), state)
    const results = batch.groups.map((group) => group.commands.map((command) => execution.execute(command)))
    this.#meta = execution.meta()
    return { results, changes: execution.changes, meta: this.#meta }
  }

  /** A no-op or configuration entry changes nothing here, but it has a place in the order like any other. */
  applyNonNormal(id: AppliedId): KvMeta {
    this.#meta = this.#metaAt(id, 0)
    return this.#meta
  }

  #metaAt(id: AppliedId, stampMs: number): KvMeta {
    const { term, index, clusterTimeMs } = this.#meta
    assert(id.index === index + 1, `entry ${id.index} cannot follow entry ${index}`)
    assert(id.term >= term, `entry ${id.index} of term ${id.term} cannot follow one of term ${term}`)
    return { ...this.#meta, term: id.term, index: id.index, clusterTimeMs: Math.max(clusterTimeMs, stampMs) }
  }
}

/** The execution of one entry: the state's counters while they change. */
class Execution {
  readonly changes: Change[] = []
  readonly #before: KvMeta
  readonly #state: KvState
  #revision: number
  #compactRevision: number
  #digest: KvMeta['digest']
  #liveKeys: number

  constructor(before: KvMeta, state: KvState) {
    this.#before = before
    this.#state = state
    this.#revision = before.revision
    this.#compactRevision = before.compactRevision
    this.#digest = before.digest
    this.#liveKeys = before.liveKeys
  }

  meta(): KvMeta {
    return {
      ...this.#before,
      revision: this.#revision,
      compactRevision: this.#compactRevision,
      digest: this.#digest,
      liveKeys: this.#liveKeys,
    }
  }

  execute(command: Command): CommandResult {
    switch (command.op) {
      case 'put':
        return this.#put(command)
      case 'delete':
        return this.#delete(command)
      case 'compact':
        return this.#compact(command)
      default:
        return unreachable(command)
    }
  }

  #put(command: PutCommand): CommandResult {
    const last = this.#lastChange(command.key)
    const current = living(last)
    if (!holds(command.condition, current)) return this.#refusal(current)
    const previous = this.#previous(command, current)
    this.#change(last, command)
    return { kind: 'put', revision: this.#revision, isCreated: current === undefined, previous }
  }

  #delete(command: DeleteCommand): CommandResult {
    const last = this.#lastChange(command.key)
    const current = living(last)
    if (!holds(command.condition, current)) return this.#refusal(current)
    const previous = this.#previous(command, current)
    if (current !== undefined) this.#change(last, { key: command.key, value: undefined, contentType: '' })
    return { kind: 'deleted', revision: this.#revision, count: current === undefined ? 0 : 1, previous }
  }

  /** Sets the mark and nothing else: which records are still on disk below it differs from node to node. */
  #compact(command: CompactCommand): CommandResult {
    const { revision } = command
    if (revision > this.#compactRevision && revision <= this.#revision) this.#compactRevision = revision
    return { kind: 'compacted', revision: this.#compactRevision }
  }

  /**
   * The key's latest change, as far as history reaches. A tombstone below the compact revision counts as absent whether or
   * not this node has removed it already: else the next record would differ between nodes.
   */
  #lastChange(key: KeyString): KeyPointer | undefined {
    const pointer = this.#state.pointer(key)
    if (pointer === undefined) return undefined
    return pointer.isTombstone && pointer.at.revision < this.#compactRevision ? undefined : pointer
  }

  #previous(command: ClientCommand, current: KeyPointer | undefined): KeyEntry | undefined {
    if (!command.wantsPrevious || current === undefined) return undefined
    const record = present(this.#state.latestRecord(command.key), 'the record that a pointer names')
    const { at, value } = record
    assert(value !== undefined, `the record at revision ${at.revision} is a deletion, its pointer is not`)
    assert(at.revision === current.at.revision, `record ${at.revision} where ${current.at.revision} was named`)
    return {
      key: record.key,
      value,
      contentType: record.contentType,
      createRevision: record.createRevision,
      modRevision: at.revision,
      version: record.version,
      lease: record.lease,
    }
  }

  #refusal(current: KeyPointer | undefined): CommandResult {
    return { kind: 'precondition-failed', revision: this.#revision, currentRevision: current?.at.revision ?? 0 }
  }

  /** Writes the next revision: a put, or a deletion when there is no value. */
  #change(last: KeyPointer | undefined, content: Content): void {
    this.#revision += 1
    const at: RevisionId = { revision: this.#revision, sub: 0 }
    const current = living(last)
    const isTombstone = content.value === undefined
    const createRevision = isTombstone ? 0 : (current?.createRevision ?? at.revision)
    const version = isTombstone ? 0 : (current?.version ?? 0) + 1
    const skips = nextSkips(last)
    const record: KeyRecord = {
      at,
      key: content.key,
      value: content.value,
      contentType: content.contentType,
      createRevision,
      version,
      lease: '',
      predecessor: last && { ...last.at, isTombstone: last.isTombstone },
      skip: skips[0],
    }
    const share = recordShare(record)
    const pointer: KeyPointer = {
      at,
      createRevision,
      version,
      changes: (last?.changes ?? 0) + 1,
      isTombstone,
      skips,
      digest: isTombstone ? ZERO_HASH : share,
    }
    const change: Change = { pointer, record }
    this.#digest = digestAfter(this.#digest, change, share, last)
    this.#liveKeys += (isTombstone ? 0 : 1) - (current === undefined ? 0 : 1)
    this.#state.put(change)
    this.changes.push(change)
  }
}

/** The pointer, if the key exists. */
function living(pointer: KeyPointer | undefined): KeyPointer | undefined {
  return pointer?.isTombstone === true ? undefined : pointer
}

function holds(condition: Condition, current: KeyPointer | undefined): boolean {
  switch (condition.kind) {
    case 'none':
      return true
    case 'revision':
      return condition.revision === (current?.at.revision ?? 0)
    case 'exists':
      return current !== undefined
    case 'never':
      return false
    default:
      return unreachable(condition)
  }
}
