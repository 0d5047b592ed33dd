// One read of a key that waits for its answer.
import type { BatchRead, BatchReadAnswer } from '../api/batch-reads.ts'
import { asBuffer } from '../lib/bytes.ts'
import type { CallContext } from './call.ts'
import { GetResult, OCTET_STREAM } from './entry.ts'
import { keyString } from './key-path.ts'
import type { Key } from './key-path.ts'
import { checkFreshness } from './option-checks.ts'
import type { GetOptions } from './options.ts'
import { PendingCall } from './pending-call.ts'
import type { Gatherer } from './pending-call.ts'

export class PendingRead extends PendingCall<GetResult | undefined> {
  readonly item: BatchRead
  protected readonly kind = 'read'
  /** Nothing was changed, whatever went wrong. */
  protected readonly outcome = 'not-applied'
  readonly #key: Key
  #gatherer: Gatherer<PendingRead> | undefined

  constructor(key: Key, options: GetOptions, timeoutMs: number, context: CallContext) {
    const { consistency, maxStaleMs, minRevision, signal } = options
    checkFreshness(options)
    const isStale = consistency === 'stale' || maxStaleMs !== undefined
    super({ name: 'get', timeoutMs, signal }, context)
    this.#key = key
    this.item = {
      op: 'read',
      key: keyString(key),
      consistency: isStale ? 'stale' : 'linearizable',
      maxStaleMs,
      minRevision,
    }
    this.listen(context)
  }

  /** From now on it waits with the others. */
  join(gatherer: Gatherer<PendingRead>): void {
    this.#gatherer = gatherer
  }

  found({ revision, stalenessMs, entry, ttlMs }: BatchReadAnswer): void {
    if (entry === undefined) return this.resolve(undefined)
    const { value, contentType, createRevision, modRevision, version, lease } = entry
    const facts = {
      key: this.#key,
      // A small value must not hold the whole answer in memory that it came in.
      value: value.length < COPIED_BYTES_MAX ? Buffer.from(value) : asBuffer(value),
      contentType: contentType === '' ? OCTET_STREAM : contentType,
      revision: modRevision,
      createRevision,
      version,
      lease: lease === '' ? undefined : lease,
      ttlMs,
    }
    this.resolve(new GetResult(facts, { storeRevision: revision, stalenessMs }))
  }

  protected leave(): void {
    this.#gatherer?.settled(this)
  }
}

/** A larger one is worth its own part of an answer, which is bounded. */
const COPIED_BYTES_MAX = 65_536
