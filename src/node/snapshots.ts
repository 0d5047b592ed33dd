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
  /** Tells the core that a verified state is here; false when it has no use for it. */
  offer(from: NodeId, term: Term, meta: SnapshotMeta): boolean
  reportSent(peer: NodeId, outcome: 'installed' | 'failed'): void
}

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
  #isReceiving = false
  #incoming: Incoming | undefined

  constructor(storage: StateStorage, transport: PeerTransport, port: SnapshotPort, log: Logger) {
    this.#storage = storage
    this.#transport = transport
    this.#port = port
    this.#log = log
  }

  /** The lowest index that a peer in transfer will continue after: the log must keep what follows it. */
  get neededFrom(): LogIndex {
    return Math.min(...this.#sending.values(), Infinity)
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
      this.#log.info({ peer, index: this.#sending.get(peer) }, 'the peer has the state')
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
