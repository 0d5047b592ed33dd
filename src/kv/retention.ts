// How much history to keep: by age, by number of revisions and by bytes, whichever leaves least. It looks at what was applied
// and proposes a revision to compact at; only the `compact` command, which goes through the log, changes anything.
import type { Change, KvMeta, Revision } from './types.ts'

export interface RetentionLimits {
  /** Of cluster time. Milliseconds. */
  readonly ageMs: number
  readonly revisions: number
  /** Of keys and values written, live ones included. */
  readonly bytes: number
}

export const DEFAULT_RETENTION: RetentionLimits = {
  ageMs: 60 * 60 * 1000,
  revisions: 1_000_000,
  bytes: 512 * 1024 * 1024,
}

/** Samples a limit: a proposal comes each time another such part of it has passed, so none is late by more. */
const SAMPLES_A_LIMIT = 256
/** What a record costs besides its key and value: counters, references, checksums. Roughly. */
const RECORD_OVERHEAD_BYTES = 64

/** `revision` was the latest when cluster time and bytes were these. */
interface Sample {
  readonly clusterTimeMs: number
  readonly revision: Revision
  /** Written since this node began to look. */
  readonly bytes: number
}

/**
 * Each node keeps its own, so that a new leader knows the past. A restart forgets it: what was written before counts as written
 * at the restart, and for as long as the limits take to pass again there may be up to twice the history.
 */
export class Retention {
  readonly #limits: RetentionLimits
  /** Oldest first. Those past a limit are dropped but for the newest, so there are at most 3 * (SAMPLES_A_LIMIT + 1) + 1. */
  #samples: Sample[]
  #now: Sample
  #compactRevision: Revision

  constructor(limits: RetentionLimits, meta: KvMeta) {
    this.#limits = limits
    this.#now = { clusterTimeMs: meta.clusterTimeMs, revision: meta.revision, bytes: 0 }
    this.#samples = [this.#now]
    this.#compactRevision = meta.compactRevision
  }

  /** How many samples are kept; bounded, whatever is written. */
  get sampleCount(): number {
    return this.#samples.length
  }

  /** Takes note of an applied entry. */
  observe(meta: KvMeta, changes: readonly Change[]): void {
    let { bytes } = this.#now
    for (const { record } of changes) {
      bytes += RECORD_OVERHEAD_BYTES + record.key.length + record.contentType.length + (record.value?.length ?? 0)
    }
    this.#now = { clusterTimeMs: meta.clusterTimeMs, revision: meta.revision, bytes }
    this.#compactRevision = meta.compactRevision
    const last = this.#samples.at(-1)
    if (last === undefined || this.#isFar(last)) this.#samples.push(this.#now)
    this.#forget()
  }

  /** Where to compact now, or undefined when that would change nothing. */
  compactTarget(): Revision | undefined {
    const oldest = this.#samples[0]
    if (oldest === undefined || !this.#isPast(oldest, 1)) return undefined
    return oldest.revision > this.#compactRevision ? oldest.revision : undefined
  }

  /** Of the samples past a limit only the newest can be proposed. */
  #forget(): void {
    const recent = this.#samples.findIndex((sample) => !this.#isPast(sample, 1))
    const past = recent === -1 ? this.#samples.length : recent
    if (past > 1) this.#samples.splice(0, past - 1)
  }

  /** Worth a sample of its own: something was written since `last`, and a part of a limit has passed. */
  #isFar(last: Sample): boolean {
    return this.#now.revision > last.revision && this.#isPast(last, SAMPLES_A_LIMIT)
  }

  /** One of the limits, divided by `parts`, has passed since the sample. */
  #isPast(sample: Sample, parts: number): boolean {
    const { ageMs, revisions, bytes } = this.#limits
    return (
      (this.#now.clusterTimeMs - sample.clusterTimeMs) * parts >= ageMs ||
      (this.#now.revision - sample.revision) * parts >= revisions ||
      (this.#now.bytes - sample.bytes) * parts >= bytes
    )
  }
}
