// The state at one revision, held while somebody reads it in pages. If a received state takes the place of ours meanwhile, the
// same revision is read from that one: a revision means the same everywhere, as long as its history is kept.
import { QuorateError } from '../api/errors.ts'
import type { Revision } from '../kv/types.ts'
import type { StateStore, StateView } from './ports.ts'

export interface PinPort {
  /** The current one. */
  readonly store: StateStore
  fail(error: unknown): void
}

interface Pin {
  readonly store: StateStore
  readonly view: StateView
}

export class PinnedState {
  readonly #port: PinPort
  #revision: Revision
  /** Of the present, and nobody has seen any of it: if its history is gone with the state, it may be of a later present. */
  #isFloating: boolean
  #pin: Pin | undefined
  #isReleased = false

  /** Pins the state now: at the revision asked for, else at the latest. Throws COMPACTED or BAD_PARAMETER when that cannot be. */
  constructor(port: PinPort, revision: Revision | undefined, { isFloating = false } = {}) {
    this.#port = port
    this.#revision = revision ?? port.store.meta.revision
    this.#isFloating = isFloating && revision === undefined
    this.#pin = this.#open()
  }

  /** Everything is read as of this revision. */
  get revision(): Revision {
    return this.#revision
  }

  /** Looks; again when the state was replaced meanwhile. A state that cannot be read stops the node. */
  async use<T>(look: (view: StateView) => Promise<T>): Promise<T> {
    for (;;) {
      const { store, view } = this.#pinned()
      try {
        const seen = await look(view)
        this.#isFloating = false
        return seen
      } catch (error) {
        if (error instanceof QuorateError) throw error
        if (store !== this.#port.store) continue
        this.#port.fail(error)
        throw new QuorateError('INTERNAL', 'The state could not be read; this node stops.', {
          outcome: 'not-applied',
          cause: error,
        })
      }
    }
  }

  /** Lets go until the next use. What is no longer there then is COMPACTED. */
  async release(): Promise<void> {
    const pin = this.#pin
    this.#pin = undefined
    if (pin !== undefined) await this.#close(pin)
  }

  /** Lets go for good: a use that is under way may end. */
  async end(): Promise<void> {
    this.#isReleased = true
    await this.release()
  }

  #pinned(): Pin {
    const pin = this.#pin
    if (pin?.store === this.#port.store) return pin
    if (this.#isReleased) throw new QuorateError('SHUTTING_DOWN', 'This listing has ended.', { outcome: 'not-applied' })
    const fresh = this.#open()
    this.#pin = fresh
    if (pin !== undefined) void this.#close(pin)
    return fresh
  }

  #open(): Pin {
    const { store } = this.#port
    const { compactRevision, revision } = store.meta
    if (this.#isFloating && this.#revision < compactRevision) this.#revision = revision
    checkRevision(this.#revision, store)
    return { store, view: store.openView() }
  }

  async #close({ store, view }: Pin): Promise<void> {
    try {
      await view.close()
    } catch (error) {
      // A state that was replaced closes its views itself.
      if (store === this.#port.store) this.#port.fail(error)
    }
  }
}

function checkRevision(revision: Revision, store: StateStore): void {
  const { compactRevision, revision: latest } = store.meta
  if (revision > latest) {
    throw new QuorateError('BAD_PARAMETER', `Revision ${revision} is in the future; the latest is ${latest}.`)
  }
  if (revision < compactRevision) throw compacted(revision, compactRevision)
}

export const compacted = (revision: Revision, compactRevision: Revision): QuorateError =>
  new QuorateError(
    'COMPACTED',
    `Revision ${revision} has been compacted; history is kept from revision ${compactRevision} on.`,
    { details: { compactRevision } },
  )
