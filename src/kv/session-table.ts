// Sessions (thesis §6.3): which sequences of a client were executed, and with what result. Sequences are remembered one by one,
// not as a maximum: a client has many under way, and they may arrive in any order. In memory and bounded.
import type { SessionId } from '../api/commands.ts'
import { assert } from '../lib/assert.ts'
import { TransientMap } from '../lib/transient.ts'
import { ExpiryQueue } from './expiry-queue.ts'
import type { Expiring } from './expiry-queue.ts'
import { KV_LIMITS } from './limits.ts'
import { encodeSession, resultRow, rowOf, sessionRow } from './rows.ts'
import type { Row, RowWriter, SessionFields } from './rows.ts'
import { KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'

/** A result, encoded, and its row, whose key and share are needed again to take it off: there may be megabytes when a session ends. */
export interface Remembered extends Row {
  readonly result: Uint8Array
}

export interface Session extends Expiring, SessionFields {
  readonly id: SessionId
  ttlMs: number
  expiresAtMs: number
  acknowledgedBelow: number
  /** By sequence. */
  readonly results: TransientMap<Remembered>
  readonly row: Row
}

export class SessionTable {
  readonly #sessions = new Map<SessionId, Session>()
  readonly #expiries = new ExpiryQueue<Session>()
  readonly #dirty = new Set<Session>()
  #resultBytes = 0

  /** Of all results remembered. */
  get resultBytes(): number {
    return this.#resultBytes
  }

  get isFull(): boolean {
    return this.#sessions.size >= KV_LIMITS.sessionsMax
  }

  get(id: SessionId): Session | undefined {
    return this.#sessions.get(id)
  }

  get nextExpiryMs(): number | undefined {
    return this.#expiries.nextMs
  }

  due(nowMs: number, take: (session: Session) => boolean): void {
    this.#expiries.due(nowMs, take)
  }

  open(id: SessionId, ttlMs: number, nowMs: number): Session {
    const session = this.#insert(id, { ttlMs, expiresAtMs: nowMs + ttlMs, acknowledgedBelow: 0 }, rowOf(sessionRow(id)))
    this.#dirty.add(session)
    return session
  }

  /** Somebody used it: its time begins anew. */
  touch(session: Session, nowMs: number): void {
    const expiresAtMs = nowMs + session.ttlMs
    if (expiresAtMs === session.expiresAtMs) return
    session.expiresAtMs = expiresAtMs
    this.#expiries.track(session)
    this.#dirty.add(session)
  }

  setTtl(session: Session, ttlMs: number): void {
    if (session.ttlMs === ttlMs) return
    session.ttlMs = ttlMs
    this.#dirty.add(session)
  }

  /** The client has heard the results of all sequences below. */
  acknowledge(session: Session, below: number, writer: RowWriter): void {
    if (below <= session.acknowledgedBelow) return
    const { results, acknowledgedBelow } = session
    if (below - acknowledgedBelow <= results.size) {
      for (let sequence = acknowledgedBelow; sequence < below; sequence++) this.#forget(session, sequence, writer)
    } else {
      for (const sequence of results.numbers()) if (sequence < below) this.#forget(session, sequence, writer)
    }
    session.acknowledgedBelow = below
    this.#dirty.add(session)
  }

  remember(session: Session, sequence: number, result: Uint8Array, writer: RowWriter): void {
    if (session.results.has(sequence)) assert(false, `sequence ${sequence} of session ${session.id} was executed twice`)
    const remembered = { key: resultRow(session.id, sequence), notedAt: -1, share: undefined, result }
    writer.write(remembered, result)
    session.results.set(sequence, remembered)
    this.#resultBytes += result.length
  }

  /** In slices. Which of its results are gone is nobody's business until it is gone itself. */
  *close(session: Session, writer: RowWriter): Steps<void> {
    let left = KEYS_PER_SLICE
    for (const sequence of session.results.numbers()) {
      if (left-- === 0) {
        yield 'pause'
        left = KEYS_PER_SLICE - 1
      }
      this.#forget(session, sequence, writer)
    }
    session.isGone = true
    this.#sessions.delete(session.id)
    this.#dirty.add(session)
  }

  /** Ends the entry. */
  writeRows(writer: RowWriter): void {
    for (const session of this.#dirty) writer.write(session.row, session.isGone ? undefined : encodeSession(session))
    this.#dirty.clear()
  }

  /** From a row that the state has. */
  load(row: Row, id: SessionId, fields: SessionFields): void {
    this.#insert(id, fields, row)
  }

  loadResult(id: SessionId, sequence: number, remembered: Remembered): void {
    const session = this.#sessions.get(id)
    assert(session !== undefined, `a row holds a result of session ${id}, which is not there`)
    session.results.set(sequence, remembered)
    this.#resultBytes += remembered.result.length
  }

  #insert(id: SessionId, fields: SessionFields, row: Row): Session {
    const session: Session = { id, ...fields, results: new TransientMap(), isGone: false, queuedAtMs: undefined, row }
    this.#sessions.set(id, session)
    this.#expiries.track(session)
    return session
  }

  #forget(session: Session, sequence: number, writer: RowWriter): void {
    const remembered = session.results.delete(sequence)
    if (remembered === undefined) return
    this.#resultBytes -= remembered.result.length
    writer.write(remembered, undefined)
  }
}
