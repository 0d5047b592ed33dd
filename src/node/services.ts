// What a node does for its callers, between the driver below and the facade above: the write and read paths, listings, watches,
// locks, and the leader's own proposals (expiry, compaction). This file joins them; each has its rules in its own file.
import { applyCostOf } from '../api/apply-cost.ts'
import { encodeCommand } from '../api/command-codec.ts'
import type { ClientCommand, Command } from '../api/commands.ts'
import type { QuorateError } from '../api/errors.ts'
import { ByteWriter } from '../lib/bytes.ts'
import { Retention } from '../kv/index.ts'
import type { Revision } from '../kv/types.ts'
import type { ConfirmedRead, LogIndex, ReadId, Term } from '../raft/index.ts'
import type { Applied } from './applier.ts'
import { ClusterClock } from './cluster-clock.ts'
import { Expiry } from './expiry.ts'
import { type ListingPort, Listings } from './listings.ts'
import { Locks } from './locks.ts'
import type { NodeDriver } from './node-driver.ts'
import type { NodeOptions, NodePorts } from './node-options.ts'
import { Proposer } from './proposer.ts'
import { readPort } from './read-port.ts'
import { Reads } from './reads.ts'
import { TimeEstimate } from './side-facts.ts'
import { WatchHub } from './watch-hub.ts'
import { type WritePort, Writes } from './writes.ts'

/** How often a node finds out how fresh its state is, for stale reads: every so many sweeps. */
const PROBE_SWEEPS = 5
/** How often the leader looks whether history is due to be compacted: every so many sweeps. */
const RETENTION_SWEEPS = 20

export class NodeServices {
  readonly writes: Writes
  readonly reads: Reads
  readonly listings: Listings
  readonly watches: WatchHub
  readonly locks: Locks
  readonly proposer: Proposer
  readonly #options: NodeOptions
  readonly #ports: NodePorts
  readonly #driver: NodeDriver
  readonly #clusterClock: ClusterClock
  /** The term of our own that cluster time was last counted in. */
  #countedTerm: Term = 0
  readonly #time: TimeEstimate
  readonly #expiry: Expiry
  readonly #retention: Retention
  /** What history was last removed up to; the state itself goes on where it was when it is opened. */
  #compactRevision: Revision
  #sweeps = 0

  constructor(
    options: NodeOptions,
    ports: NodePorts,
    driver: NodeDriver,
    refusal: (command: ClientCommand) => QuorateError | undefined,
  ) {
    this.#options = options
    this.#ports = ports
    this.#driver = driver
    const { clock, states } = ports
    const { self, boot, electionTimeoutMs } = options
    const { meta } = states.current
    this.#clusterClock = new ClusterClock(electionTimeoutMs)
    this.#clusterClock.atLeast(meta.clusterTimeMs)
    this.#time = new TimeEstimate(meta.clusterTimeMs, clock.now())
    this.#retention = new Retention(options.historyRetention, meta)
    this.#compactRevision = meta.compactRevision
    this.proposer = new Proposer({
      propose: (data) => driver.raft.propose(data),
      clusterTimeMs: () => this.#stampMs(),
      isPersisting: () => driver.isPersisting,
      requestTurn: () => driver.requestTurn(),
    })
    this.writes = new Writes(clock, { id: self.id, boot }, this.#writePort(refusal))
    const freshAtMs = (): number | undefined => this.reads.freshAtMs
    this.reads = new Reads(clock, readPort({ driver, states, clock, electionTimeoutMs, freshAtMs }))
    const pins = this.#pinPort()
    this.listings = new Listings(clock, pins)
    this.watches = new WatchHub(clock, pins, options.watching)
    this.locks = new Locks(clock, this.#lockPort())
    this.#expiry = this.#makeExpiry()
  }

  /** Cluster time as far as this node knows. For display. */
  get timeMs(): number {
    return Math.max(this.#time.at(this.#ports.clock.now()), this.#clusterClock.timeMs)
  }

  /** Whether anybody waits for an answer that this node can still give while it closes. */
  get isBusy(): boolean {
    return (
      this.writes.outstandingCount + this.reads.waitingCount + this.listings.pendingCount + this.locks.waitingCount > 0
    )
  }

  onApplied(applied: Applied): void {
    const { batch, changes, lockChanges, meta } = applied
    this.#clusterClock.atLeast(meta.clusterTimeMs)
    this.#time.heard(meta.clusterTimeMs, this.#ports.clock.now())
    this.#retention.observe(meta, changes)
    if (meta.compactRevision !== this.#compactRevision) {
      this.#compactRevision = meta.compactRevision
      this.#ports.states.current.removeHistory(meta.compactRevision)
    }
    this.writes.onApplied(applied.id, batch, applied.results)
    if (lockChanges.length > 0) this.locks.onApplied(lockChanges)
    this.watches.onApplied(applied)
  }

  onProgress(): void {
    this.reads.onApplied()
  }

  onReads(confirmed: readonly ConfirmedRead[], aborted: readonly ReadId[]): void {
    this.reads.onConfirmed(confirmed)
    this.reads.onAborted(aborted)
  }

  onRoleChange(role: string, hasLeader: boolean): void {
    if (role !== 'leader') {
      this.#clusterClock.pause()
      this.writes.onFollowing()
    }
    this.#expiry.onRoleChange()
    if (!hasLeader) return
    this.writes.retry()
    this.reads.probe()
  }

  onInstalled(index: LogIndex): void {
    const { meta } = this.#ports.states.current
    this.#clusterClock.atLeast(meta.clusterTimeMs)
    this.#time.heard(meta.clusterTimeMs, this.#ports.clock.now())
    this.writes.onInstalled(index)
    this.watches.onInstalled()
    this.locks.onInstalled()
    this.reads.onApplied()
  }

  onTick(): void {
    if (!this.#driver.raft.isLeader) return
    this.#countTime()
    this.#expiry.check()
  }

  onTurnEnd(): void {
    this.writes.flush()
    this.reads.flush()
    this.proposer.close()
  }

  sweep(): void {
    this.#sweeps++
    this.writes.sweep()
    this.reads.sweep()
    this.listings.sweep()
    this.watches.sweep()
    if (this.#sweeps % PROBE_SWEEPS === 0) this.reads.probe()
    if (this.#sweeps % RETENTION_SWEEPS === 0 && this.#driver.raft.isLeader) this.#proposeCompaction()
  }

  /** Nothing new is taken; what is in flight goes on, and places in queues are given back. */
  close(): void {
    this.locks.close()
    this.writes.close()
    this.reads.close()
  }

  /** The driver has stopped: whoever still waits hears so, and nothing pins the state any more. */
  async abort(): Promise<void> {
    this.writes.abort()
    this.reads.abort()
    this.watches.close()
    await this.listings.close()
  }

  /**
   * The time for a stamp is counted up to this very moment: were it as old as the last tick, what is granted now would end by
   * that much too early.
   */
  #stampMs(): number {
    if (this.#driver.raft.isLeader) this.#countTime()
    return this.#clusterClock.timeMs
  }

  #countTime(): void {
    const { term } = this.#driver.raft
    if (term !== this.#countedTerm) this.#clusterClock.begin(this.#ports.states.current.meta.clusterTimeMs)
    this.#countedTerm = term
    this.#clusterClock.advance(this.#ports.clock.now())
  }

  #proposeOwn(command: Command, answer: Parameters<Proposer['add']>[2]): void {
    const { self, boot } = this.#options
    const body = new ByteWriter()
    encodeCommand(body, command)
    this.proposer.add({ member: self.id, boot, number: 0 }, body.finish(), answer, applyCostOf(command))
  }

  #proposeCompaction(): void {
    const revision = this.#retention.compactTarget()
    if (revision === undefined) return
    this.#proposeOwn({ op: 'compact', revision }, () => {})
  }

  #writePort(refusal: WritePort['refusal']): WritePort {
    const driver = this.#driver
    const { self, boot } = this.#options
    return {
      get isLeader() {
        return driver.raft.isLeader
      },
      get leaderId() {
        return driver.raft.leaderId
      },
      get appliedIndex() {
        return driver.applier.appliedIndex
      },
      proposeGroup: (number, body, answer, valueReads) =>
        this.proposer.add({ member: self.id, boot, number }, body, answer, valueReads),
      requestTurn: () => driver.requestTurn(),
      forward: (to, number, body, answer) => this.#ports.transport.forward(to, number, body, answer),
      refusal,
    }
  }

  #pinPort(): ListingPort & { readonly canServe: boolean } {
    const driver = this.#driver
    const { states } = this.#ports
    return {
      get store() {
        return states.current
      },
      get canServe() {
        return driver.raft.standing !== 'stateless'
      },
      confirm: (options, done) => this.reads.confirm(options, done),
      fail: (error) => driver.fail(error),
    }
  }

  #lockPort(): ConstructorParameters<typeof Locks>[1] {
    const { applier } = this.#driver
    const { states } = this.#ports
    return {
      get side() {
        return applier.side
      },
      get revision() {
        return states.current.meta.revision
      },
      writes: this.writes,
    }
  }

  #makeExpiry(): Expiry {
    const { raft, applier } = this.#driver
    const { states } = this.#ports
    const stampMs = (): number => this.#stampMs()
    return new Expiry({
      get isLeader() {
        return raft.isLeader
      },
      get appliedIndex() {
        return applier.appliedIndex
      },
      get side() {
        return applier.side
      },
      get clusterTimeMs() {
        return stampMs()
      },
      get appliedTimeMs() {
        return states.current.meta.clusterTimeMs
      },
      propose: (command, answer) => this.#proposeOwn(command, answer),
      stamp: (answer) => this.proposer.stamp(answer),
    })
  }
}
