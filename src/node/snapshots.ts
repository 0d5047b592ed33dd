// Snapshots in motion: streaming our state to a follower that needs it, receiving one from the leader, and the swap.
// While a state streams in, everything goes on; only the swap stops the applier, at an entry boundary (design, section 6).
import type { LogIndex, NodeId, SnapshotMeta, Term } from '../raft/index.ts'
import { assert } from '../lib/assert.ts'
import { type Deferred, deferred } from '../lib/deferred.ts'
import type { Applier } from './applier.ts'
import type { Logger, PeerTransport, ReceivedSnapshot, StateStorage } from './ports.ts'

/** What the snapshots need of the driver. */
export interface SnapshotPort {
  readonly term: Term
  readonly nowMs: number
  /** The last entry of our log. */
  readonly lastIndex: LogIndex
  /** How much of our log the peer is known to hold; undefined when this node does not lead. */
  matchIndex(peer: NodeId): LogIndex | undefined
  /** Tells the core that a verified state is here; false when it has no use for it. */
  offer(from: NodeId, term: Term, meta: SnapshotMeta): boolean
  reportSent(peer: NodeId, outcome: 'installed' | 'failed'): void
  /** The received state is the current one from this moment on. */
  onSwapped(index: LogIndex): void
}

/** A peer that has our state and now needs the entries after it. */
interface CatchUp {
  /** What it is known to hold. */
  index: LogIndex
  /** Once it holds this, it is as good as any other peer. */
  readonly target: LogIndex
  /** Without progress it is given up then. */
  giveUpAtMs: number
}

/** A peer that makes no progress for this long loses its claim on the log. Milliseconds. */
const CATCH_UP_PATIENCE_MS = 30_000

/** A verified state that waits for the core to order the swap. */
interface Incoming {
  readonly snapshot: ReceivedSnapshot
  readonly settled: Deferred<void>
}

export class Snapshots {
  readonly #storage: StateStorage
  readonly #transport: PeerTransport
  readonly #port: SnapshotPort
  readonly #log: Logger
  /** Peers that a state is being streamed to, and the index they will continue from. */
  readonly #sending = new Map<NodeId, LogIndex>()
  readonly #catchingUp = new Map<NodeId, CatchUp>()
  #isReceiving = false
  #incoming: Incoming | undefined

  constructor(storage: StateStorage, transport: PeerTransport, port: SnapshotPort, log: Logger) {
    this.#storage = storage
    this.#transport = transport
    this.#port = port
    this.#log = log
  }

  /**
   * The lowest index that a peer in transfer, or one that has just got its state, will continue after: the log must keep what
   * follows it, or what was written during a long transfer would be gone before the peer asks, and it got states for ever.
   */
  neededFrom(): LogIndex {
    let index = Math.min(...this.#sending.values(), Infinity)
    for (const [peer, catchUp] of this.#catchingUp) {
      if (this.#isCaughtUp(peer, catchUp)) this.#catchingUp.delete(peer)
      else index = Math.min(index, catchUp.index)
    }
    return index
  }

  #isCaughtUp(peer: NodeId, catchUp: CatchUp): boolean {
    const index = this.#port.matchIndex(peer)
    if (index === undefined || index >= catchUp.target) return true
    if (index > catchUp.index) {
      catchUp.index = index
      catchUp.giveUpAtMs = this.#port.nowMs + CATCH_UP_PATIENCE_MS
    }
    return this.#port.nowMs >= catchUp.giveUpAtMs
  }

  async send(peer: NodeId): Promise<void> {
    if (this.#sending.has(peer)) return
    this.#sending.set(peer, this.#storage.current.persisted.index)
    try {
      const snapshot = await this.#storage.current.openSnapshot()
      try {
        this.#sending.set(peer, snapshot.meta.index)
        this.#log.info({ peer, index: snapshot.meta.index }, 'streaming the state to a peer that is too far behind')
        await this.#transport.sendSnapshot(peer, this.#port.term, snapshot)
      } finally {
        await snapshot.close()
      }
      const index = snapshot.meta.index
      const giveUpAtMs = this.#port.nowMs + CATCH_UP_PATIENCE_MS
      this.#catchingUp.set(peer, { index, target: this.#port.lastIndex, giveUpAtMs })
      this.#log.info({ peer, index }, 'the peer has the state')
      this.#port.reportSent(peer, 'installed')
    } catch (error) {
      this.#log.warn({ peer, error: String(error) }, 'streaming the state failed; it will be tried again')
      this.#port.reportSent(peer, 'failed')
    } finally {
      this.#sending.delete(peer)
    }
  }

  /** A state streams in. Resolves when it is installed or found needless. */
  async receive(from: NodeId, term: Term, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#isReceiving) throw new Error('another snapshot is being received')
    this.#isReceiving = true
    try {
      this.#log.info({ from, term }, 'receiving a state')
      const snapshot = await this.#verified(chunks)
      const settled = deferred<void>()
      settled.promise.catch(() => {}) // Nobody waits for it when the state is discarded.
      this.#incoming = { snapshot, settled }
      if (this.#port.offer(from, term, snapshot.meta)) await settled.promise
      else await this.#discard()
    } finally {
      this.#isReceiving = false
    }
  }

  /** The swap, ordered by the core: afterwards the new state is current and its pointer says *marker pending*. */
  async swap(meta: SnapshotMeta, applier: Applier): Promise<void> {
    const incoming = this.#incoming
    assert(
      incoming !== undefined && incoming.snapshot.meta.index === meta.index,
      `no received state at index ${meta.index}`,
    )
    await applier.pause()
    await this.#storage.current.drain()
    const store = await this.#storage.install(incoming.snapshot)
    applier.resume(store)
    this.#port.onSwapped(meta.index)
  }

  /** The node stops: a state that still waits for its swap will not get it. */
  abort(): void {
    this.#incoming?.settled.reject(new Error('this node is stopping'))
  }

  /** The log's marker is durable. */
  async finishSwap(): Promise<void> {
    await this.#storage.finishInstall()
    const meta = this.#incoming?.snapshot.meta
    this.#log.info({ index: meta?.index, term: meta?.term }, 'installed a state from the leader')
    this.#incoming?.settled.resolve()
    this.#incoming = undefined
  }

  async #verified(chunks: AsyncIterable<Uint8Array>): Promise<ReceivedSnapshot> {
    const receiver = await this.#storage.receive()
    try {
      for await (const chunk of chunks) await receiver.write(chunk)
      return await receiver.finish()
    } catch (error) {
      await receiver.abort()
      throw error
    }
  }

  async #discard(): Promise<void> {
    const incoming = this.#incoming
    this.#incoming = undefined
    await incoming?.snapshot.discard()
    incoming?.settled.resolve()
  }
}
