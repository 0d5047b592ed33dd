// Exactly once (thesis §6.3): a repeated write is known as such, and is answered what the first one was. Everything that decides
// this is in the replicated tables, so that it holds across leaders, restarts and snapshots.
import type { CommandResult, Once, RefusalReason } from '../api/commands.ts'
import { decodeResult } from '../api/result-codec.ts'
import { assert, present } from '../lib/assert.ts'
import type { Moment } from './key-commands.ts'
import { KV_LIMITS } from './limits.ts'
import type { RowWriter } from './rows.ts'
import type { SideTables } from './side-tables.ts'

/** What is said of a command without executing it. */
export type EarlyAnswer =
  | { readonly kind: 'replayed'; readonly result: CommandResult }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }

export class OnceGuard {
  readonly #tables: SideTables
  readonly #moment: Moment
  readonly #writer: RowWriter
  #idempotencyKeys = 0

  constructor(tables: SideTables, moment: Moment, writer: RowWriter) {
    this.#tables = tables
    this.#moment = moment
    this.#writer = writer
  }

  /** The answer to a repeat, or to what can no longer be told from one; undefined when it is to be executed, now and only now. */
  answer(once: Once): EarlyAnswer | undefined {
    return once.kind === 'session' ? this.#ofSession(once) : this.#ofKey(once)
  }

  /** The result of the command that `answer` let pass. Refusals are results too: a repeat must not succeed where they told no. */
  remember(once: Once, result: Uint8Array): void {
    if (result.length > KV_LIMITS.resultBytesMax)
      assert(false, `a result of ${result.length} bytes is too large to remember`)
    const { sessions, idempotency } = this.#tables
    if (once.kind === 'session') {
      const session = present(sessions.get(once.session), 'the session of a command that was executed')
      return sessions.remember(session, once.sequence, result, this.#writer)
    }
    const { index, clusterTimeMs } = this.#moment
    const { key, fingerprint } = once
    const expiresAtMs = clusterTimeMs + KV_LIMITS.idempotencyMs
    const ordinal = this.#idempotencyKeys++
    idempotency.remember(key, { fingerprint, expiresAtMs, index, ordinal, result }, this.#writer)
  }

  #ofSession({ session: id, sequence, acknowledgedBelow }: Once & { kind: 'session' }): EarlyAnswer | undefined {
    const { sessions } = this.#tables
    const session = sessions.get(id)
    if (session === undefined) return refused('session-gone')
    sessions.touch(session, this.#moment.clusterTimeMs)
    sessions.acknowledge(session, acknowledgedBelow, this.#writer)
    if (sequence < session.acknowledgedBelow) return refused('sequence-forgotten')
    const remembered = session.results.get(sequence)
    if (remembered !== undefined) return { kind: 'replayed', result: decodeResult(remembered.result) }
    const isFull = session.results.size >= KV_LIMITS.sessionResultsMax || this.#isMemoryFull
    return isFull ? refused('too-many-sequences') : undefined
  }

  #ofKey({ key, fingerprint }: Once & { kind: 'key' }): EarlyAnswer | undefined {
    const { idempotency } = this.#tables
    const { clusterTimeMs } = this.#moment
    const found = idempotency.find(key, clusterTimeMs)
    if (found !== undefined) {
      if (found.fingerprint !== fingerprint) return refused('idempotency-mismatch')
      return { kind: 'replayed', result: decodeResult(found.result) }
    }
    idempotency.dropExpired(key, clusterTimeMs, this.#writer)
    return idempotency.isFull || this.#isMemoryFull ? refused('too-many-idempotency-keys') : undefined
  }

  get #isMemoryFull(): boolean {
    return this.#tables.resultBytes >= KV_LIMITS.resultsBytesMax
  }
}

const refused = (reason: RefusalReason): EarlyAnswer => ({ kind: 'refused', reason })
