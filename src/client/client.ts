// The client: the calls that programs make. It refuses early what cannot be right, and hands the rest to a Call.
import type { ClusterStatus, NodeStatus } from '../api/status.ts'
import { Prng } from '../lib/prng.ts'
import { AbortListeners } from './abort-listeners.ts'
import type { VersionInfo } from './admin-answers.ts'
import type { DeleteResult, PutResult } from './answers.ts'
import { refusal } from './client-error.ts'
import { addCommand, deleteCommand, deleteRangeCommand, putCommand } from './commands.ts'
import { ClientCore, wrongResult } from './core.ts'
import { Discovery } from './discovery.ts'
import { Election } from './election.ts'
import { parseEndpoints } from './endpoint-address.ts'
import { Endpoints } from './endpoints.ts'
import type { Entry, GetResult } from './entry.ts'
import type { Key } from './key-path.ts'
import { grantLease, keepAlive } from './lease.ts'
import type { Lease, LeaseOptions } from './lease.ts'
import { allLeases, leaseOperation } from './lease-info.ts'
import type { LeaseInfo, LeaseSummary } from './lease-info.ts'
import { countOperation, listEntries, pageOperation } from './listing.ts'
import type { Page } from './listing.ts'
import { acquire, Lock, lockInfoOperation } from './lock.ts'
import type { LockInfo, LockOptions } from './lock.ts'
import { Mirror } from './mirror.ts'
import {
  clusterOperation,
  deleteOperation,
  getOperation,
  putOperation,
  statusOperation,
  transferOperation,
  versionOperation,
} from './operations.ts'
import { ALLOWED, checkOptions, leaseIdOf, NO_OPTIONS } from './option-checks.ts'
import { DEFAULTS } from './options.ts'
import type {
  AddOptions,
  CallOptions,
  ClientOptions,
  CountOptions,
  DeleteOptions,
  DeleteRangeOptions,
  GetOptions,
  ListOptions,
  PageOptions,
  PutJsonOptions,
  PutOptions,
} from './options.ts'
import { Counter } from './recipes/counter.ts'
import { ReadWriteLock } from './recipes/read-write-lock.ts'
import { Semaphore } from './recipes/semaphore.ts'
import { addResult, deleteRangeResult, deleteResult, putResult } from './results.ts'
import type { AddResult, DeleteRangeResult } from './results.ts'
import { SessionWriter } from './session-writer.ts'
import { runTransaction } from './transaction.ts'
import type { Transaction, TransactionOptions } from './transaction.ts'
import { SYSTEM_CLOCK } from './transport.ts'
import type { ClientClock, Transport } from './transport.ts'
import { Txn } from './txn.ts'
import { txnDocumentOperation } from './txn-document.ts'
import { UndiciTransport } from './undici-transport.ts'
import { Watcher } from './watch.ts'
import type { WatchOptions } from './watch.ts'

/** The world around a client, for simulations and tests. */
export interface ClientPorts {
  readonly transport?: Transport
  readonly clock?: ClientClock
  readonly prng?: Prng
}

/**
 * A client of one cluster. Keep one for the life of the program: it knows who leads and holds connections.
 *
 * ```ts
 * await using client = new Client({ endpoints: 'http://127.0.0.1:7700,http://127.0.0.1:7710,http://127.0.0.1:7720' })
 * await client.put('greeting', 'hello')
 * const entry = await client.get('greeting')
 * console.log(entry?.text())
 * ```
 */
export class Client {
  readonly #core: ClientCore
  #lastRevision = 0

  constructor(options: ClientOptions, ports: ClientPorts = {}) {
    checkOptions(options, ALLOWED.client)
    const prng = ports.prng ?? new Prng(randomSeed())
    const context = {
      transport: ports.transport ?? new UndiciTransport(),
      clock: ports.clock ?? SYSTEM_CLOCK,
      prng: prng.fork('pauses'),
      endpoints: new Endpoints(parseEndpoints(options.endpoints), prng.fork('endpoints')),
      readFrom: options.readFrom ?? DEFAULTS.readFrom,
      abortListeners: new AbortListeners(),
      onRevision: (revision: number) => {
        if (revision > this.#lastRevision) this.#lastRevision = revision
      },
      lastRevision: () => this.#lastRevision,
    }
    const core = new ClientCore(context, prng.fork('ids'), {
      timeoutMs: options.timeoutMs ?? DEFAULTS.timeoutMs,
      inflightMax: options.inflightMax ?? DEFAULTS.inflightMax,
    })
    if (options.followAdvertised ?? DEFAULTS.followAdvertised)
      core.discovery = new Discovery(context, (call) => core.track(call))
    if (options.sessions ?? DEFAULTS.sessions) core.sessions = new SessionWriter(core)
    this.#core = core
  }

  /** The highest revision that any answer to this client named. With `minRevision`: read your own writes from any node. */
  get lastRevision(): number {
    return this.#lastRevision
  }

  /** The addresses in use: those given, and with `followAdvertised` those learned. */
  get endpoints(): readonly string[] {
    return this.#core.context.endpoints.all.map(({ url }) => url)
  }

  // ------------------------------------------------------------------------------------------------------------ one key

  /** The entry, or undefined where there is none. */
  async get(key: Key, options: GetOptions = NO_OPTIONS): Promise<GetResult | undefined> {
    checkOptions(options, ALLOWED.get)
    // The past is read by a request of its own.
    if (options.revision !== undefined) return this.#core.run(getOperation(key, options), options)
    return this.#core.get(key, options)
  }

  /**
   * Writes a value: a string as UTF-8, or bytes. Do not change the bytes before the promise settles.
   * Rejects with PRECONDITION_FAILED when a condition does not hold.
   */
  async put(key: Key, value: string | Uint8Array, options: PutOptions = NO_OPTIONS): Promise<PutResult> {
    checkOptions(options, ALLOWED.put)
    const core = this.#core
    if (core.sessions === undefined) return core.run(putOperation(key, value, options), options)
    const { timeoutMs, signal } = options
    const command = putCommand(key, value, options)
    return putResult(core.answer('put', await core.writeNumbered(command, { name: 'put', timeoutMs, signal })), key)
  }

  /** Writes `JSON.stringify(value)` as application/json; `entry.json()` reads it back. */
  async putJson(key: Key, value: unknown, options: PutJsonOptions = {}): Promise<PutResult> {
    checkOptions(options, ALLOWED.putJson)
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw refusal('BAD_REQUEST', `JSON has no ${typeof value}`)
    return this.put(key, text, { ...options, contentType: 'application/json' })
  }

  /** Deletes a key. That it was not there is an answer, not an error. */
  async delete(key: Key, options: DeleteOptions = NO_OPTIONS): Promise<DeleteResult> {
    checkOptions(options, ALLOWED.delete)
    const core = this.#core
    if (core.sessions === undefined) return core.run(deleteOperation(key, options), options)
    const { timeoutMs, signal } = options
    return deleteResult(await core.write(deleteCommand(key, options), { name: 'delete', timeoutMs, signal }), key)
  }

  /** Adds to a decimal 64-bit counter, from 0 where there is no such key. Rejects with NOT_A_NUMBER on any other value. */
  async add(key: Key, by: bigint | number = 1, options: AddOptions = NO_OPTIONS): Promise<AddResult> {
    checkOptions(options, ALLOWED.add)
    const { timeoutMs, signal } = options
    return addResult(await this.#core.write(addCommand(key, by, options), { name: 'add', timeoutMs, signal }))
  }

  // -------------------------------------------------------------------------------------------------------------- ranges

  /** The entries of a range, in the order of their keys, over all pages, all of one revision. Read by `for await`. */
  list(options: ListOptions = {}): AsyncGenerator<Entry, void, undefined> {
    checkOptions(options, ALLOWED.list)
    return listEntries(this.#core, options)
  }

  /** One page of a listing. */
  async page(options: PageOptions = {}): Promise<Page> {
    checkOptions(options, ALLOWED.page)
    return this.#core.run(pageOperation(options), options)
  }

  /** How many keys a range holds. */
  async count(options: CountOptions = {}): Promise<number> {
    checkOptions(options, ALLOWED.count)
    return this.#core.run(countOperation(options), options)
  }

  /** Deletes all keys of a range in one revision, at most 50,000. All keys there are: `{ prefix: '' }`. */
  async deleteRange(options: DeleteRangeOptions): Promise<DeleteRangeResult> {
    checkOptions(options, ALLOWED.deleteRange)
    const { timeoutMs, signal } = options
    const command = deleteRangeCommand(options)
    return deleteRangeResult(await this.#core.write(command, { name: 'deleteRange', timeoutMs, signal }))
  }

  // -------------------------------------------------------------------------------------------------------- transactions

  /** `client.txn().if(when('a').isAbsent).then(op.put('a', '1')).else(op.get('a')).commit()` */
  txn(): Txn {
    return new Txn(this.#core, [], [], [])
  }

  /** A transaction in the JSON of the HTTP interface, and its answer likewise. Its outcome is `unknown` where the answer was lost. */
  async txnDocument(document: object, options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(txnDocumentOperation(document), options)
  }

  /**
   * Runs the function, and writes all that it wrote at once, if nothing that it read has changed meanwhile; else runs it again. It should do
   * nothing but read and write through its argument. Rejects with CONFLICT when others were faster each time.
   */
  async transaction<T>(
    body: (transaction: Transaction) => Promise<T> | T,
    options: TransactionOptions = {},
  ): Promise<T> {
    return runTransaction(this.#core, body, options)
  }

  // ---------------------------------------------------------------------------------------- watches, leases, coordination

  /** Each change of a key or a range from now on, or from a revision: once, in order, whatever becomes of single nodes. */
  watch(options: WatchOptions = {}): Watcher {
    return new Watcher(this.#core, options)
  }

  /** A copy in memory of all entries below a prefix, kept current. */
  mirror(prefix: Key, options: Omit<CallOptions, 'revision'> = {}): Mirror {
    return new Mirror(this.#core, prefix, options)
  }

  /** A lease that keeps itself alive until it is revoked. */
  async lease(options: LeaseOptions): Promise<Lease> {
    return grantLease(this.#core, options)
  }

  async leases(options: CallOptions = {}): Promise<readonly LeaseSummary[]> {
    checkOptions(options, ALLOWED.call)
    return allLeases(this.#core, options)
  }

  async leaseInfo(id: string, options: CallOptions = {}): Promise<LeaseInfo> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(leaseOperation(checkLeaseId(id)), options)
  }

  /** Keeps a lease alive once, whoever granted it; gives its time to live. */
  async keepLeaseAlive(id: string, options: CallOptions = {}): Promise<number> {
    checkOptions(options, ALLOWED.call)
    return (await keepAlive(this.#core, checkLeaseId(id), options)).ttlMs
  }

  /** Ends a lease, whoever granted it; gives how many keys went with it. */
  async revokeLease(id: string, options: CallOptions = {}): Promise<number> {
    checkOptions(options, ALLOWED.call)
    const command = { op: 'lease-revoke', lease: checkLeaseId(id) } as const
    const result = await this.#core.write(command, { ...options, name: 'revoke' })
    if (result.kind !== 'lease-revoked') throw wrongResult('revoke', result)
    return result.count
  }

  /** Waits until the lock is held: first come first served. Rejects with LOCKED when `waitMs` are over. */
  async lock(name: Key, options: LockOptions = {}): Promise<Lock> {
    checkOptions(options, ALLOWED.lock)
    return new Lock(this.#core, name, await acquire(this.#core, { kind: 'lock', name }, options))
  }

  /** Who holds a lock and who waits for it. */
  async lockInfo(name: Key, options: CallOptions = {}): Promise<LockInfo> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(lockInfoOperation(name), options)
  }

  election(name: Key): Election {
    return new Election(this.#core, name)
  }

  counter(key: Key): Counter {
    return new Counter(this.#core, key)
  }

  semaphore(name: string, permits: number): Semaphore {
    return new Semaphore(this.#core, name, permits)
  }

  readWriteLock(name: string): ReadWriteLock {
    return new ReadWriteLock(this.#core, name)
  }

  // --------------------------------------------------------------------------------------------------------- the cluster

  /** What one node says of itself: of the endpoint given (asked once, and nobody else), or of any. */
  async status(endpoint?: string, options: CallOptions = {}): Promise<NodeStatus> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(statusOperation(), options, endpoint)
  }

  /** The members of the cluster, as its leader sees them. */
  async cluster(options: CallOptions = {}): Promise<ClusterStatus> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(clusterOperation(), options)
  }

  /** The release of one node: of the endpoint given (asked once, and nobody else), or of any. */
  async version(endpoint?: string, options: CallOptions = {}): Promise<VersionInfo> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(versionOperation(), options, endpoint)
  }

  /** Hands leadership to the member of this name, or to the one that is most up to date. */
  async transferLeadership(to?: string, options: CallOptions = {}): Promise<void> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(transferOperation(to), options)
  }

  /** Forgets the history below a revision; gives the revision from which on it is known. */
  async compact(revision: number, options: CallOptions = {}): Promise<number> {
    checkOptions({ ...options, revision }, ALLOWED.compact)
    const result = await this.#core.write({ op: 'compact', revision }, { ...options, name: 'compact' })
    if (result.kind !== 'compacted') throw wrongResult('compact', result)
    return result.revision
  }

  /**
   * Ends the calls in flight and the watches with CLOSED, lets go of leases and of the session, and closes all connections.
   * A second call does nothing.
   */
  async close(): Promise<void> {
    await this.#core.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Ids of sessions and leases are drawn from it, and must not be drawn by anybody else: 104 bits. */
const randomSeed = (): string => `${Math.random()}/${Math.random()}`

function checkLeaseId(id: string): string {
  const lease = leaseIdOf(id)
  if (lease === undefined) throw refusal('BAD_PARAMETER', 'the id of a lease has 16 hexadecimal digits')
  return lease
}
