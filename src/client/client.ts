// The client: the calls that programs make. It refuses early what cannot be right, and hands the rest to a Call.
import type { ClusterStatus, NodeStatus } from '../api/status.ts'
import { Prng } from '../lib/prng.ts'
import { AbortListeners } from './abort-listeners.ts'
import type { VersionInfo } from './admin-answers.ts'
import type { DeleteResult, PutResult } from './answers.ts'
import { Call } from './call.ts'
import type { CallContext, CallSettings } from './call.ts'
import { ClientError, refusal } from './client-error.ts'
import { Discovery } from './discovery.ts'
import { Endpoints } from './endpoints.ts'
import type { Endpoint } from './endpoints.ts'
import type { GetResult } from './entry.ts'
import type { Key } from './key-path.ts'
import {
  clusterOperation,
  deleteOperation,
  getOperation,
  putOperation,
  statusOperation,
  transferOperation,
  versionOperation,
} from './operations.ts'
import type { Operation } from './operations.ts'
import { ALLOWED, checkOptions, DEFAULTS, originOf, parseEndpoints } from './options.ts'
import type { CallOptions, ClientOptions, DeleteOptions, GetOptions, PutJsonOptions, PutOptions } from './options.ts'
import { SYSTEM_CLOCK } from './transport.ts'
import type { ClientClock, Transport } from './transport.ts'
import { UndiciTransport } from './undici-transport.ts'

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
  readonly #context: CallContext
  readonly #discovery: Discovery | undefined
  readonly #timeoutMs: number
  readonly #inflightMax: number
  readonly #calls = new Set<Call<unknown>>()
  #isClosed = false
  #lastRevision = 0

  constructor(options: ClientOptions, ports: ClientPorts = {}) {
    checkOptions(options, ALLOWED.client)
    const prng = ports.prng ?? new Prng(Math.random().toString(36))
    this.#timeoutMs = options.timeoutMs ?? DEFAULTS.timeoutMs
    this.#inflightMax = options.inflightMax ?? DEFAULTS.inflightMax
    this.#context = {
      transport: ports.transport ?? new UndiciTransport(),
      clock: ports.clock ?? SYSTEM_CLOCK,
      prng: prng.fork('pauses'),
      endpoints: new Endpoints(parseEndpoints(options.endpoints), prng.fork('endpoints')),
      readFrom: options.readFrom ?? DEFAULTS.readFrom,
      abortListeners: new AbortListeners(),
      onRevision: (revision) => {
        if (revision > this.#lastRevision) this.#lastRevision = revision
      },
    }
    if (options.followAdvertised ?? DEFAULTS.followAdvertised) {
      this.#discovery = new Discovery(this.#context, (call) => this.#track(call))
    }
  }

  /** The highest revision that any answer to this client named. With `minRevision`: read your own writes from any node. */
  get lastRevision(): number {
    return this.#lastRevision
  }

  /** The addresses in use: those given, and with `followAdvertised` those learned. */
  get endpoints(): readonly string[] {
    return this.#context.endpoints.all.map(({ url }) => url)
  }

  /** The entry, or undefined where there is none. */
  async get(key: Key, options: GetOptions = {}): Promise<GetResult | undefined> {
    checkOptions(options, ALLOWED.get)
    return this.#run(getOperation(key, options), options)
  }

  /**
   * Writes a value: a string as UTF-8, or bytes. Do not change the bytes before the promise settles.
   * Rejects with PRECONDITION_FAILED when a condition does not hold.
   */
  async put(key: Key, value: string | Uint8Array, options: PutOptions = {}): Promise<PutResult> {
    checkOptions(options, ALLOWED.put)
    return this.#run(putOperation(key, value, options), options)
  }

  /** Writes `JSON.stringify(value)` as application/json; `entry.json()` reads it back. */
  async putJson(key: Key, value: unknown, options: PutJsonOptions = {}): Promise<PutResult> {
    checkOptions(options, ALLOWED.putJson)
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw refusal('BAD_REQUEST', `JSON has no ${typeof value}`)
    return this.#run(putOperation(key, text, { ...options, contentType: 'application/json' }), options)
  }

  /** Deletes a key. That it was not there is an answer, not an error. */
  async delete(key: Key, options: DeleteOptions = {}): Promise<DeleteResult> {
    checkOptions(options, ALLOWED.delete)
    return this.#run(deleteOperation(key, options), options)
  }

  /** What one node says of itself: of the endpoint given (asked once, and nobody else), or of any. */
  async status(endpoint?: string, options: CallOptions = {}): Promise<NodeStatus> {
    checkOptions(options, ALLOWED.call)
    return this.#run(statusOperation(), options, endpoint)
  }

  /** The members of the cluster, as its leader sees them. */
  async cluster(options: CallOptions = {}): Promise<ClusterStatus> {
    checkOptions(options, ALLOWED.call)
    return this.#run(clusterOperation(), options)
  }

  /** The release of one node: of the endpoint given (asked once, and nobody else), or of any. */
  async version(endpoint?: string, options: CallOptions = {}): Promise<VersionInfo> {
    checkOptions(options, ALLOWED.call)
    return this.#run(versionOperation(), options, endpoint)
  }

  /** Hands leadership to the member of this name, or to the one that is most up to date. */
  async transferLeadership(to?: string, options: CallOptions = {}): Promise<void> {
    checkOptions(options, ALLOWED.call)
    return this.#run(transferOperation(to), options)
  }

  /** Ends the calls in flight with CLOSED and closes all connections. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const call of this.#calls) call.close()
    await this.#context.transport.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run<T>(operation: Operation<T>, options: CallOptions, endpoint?: string): Promise<T> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs
    const only = endpoint === undefined ? undefined : this.#endpoint(endpoint)
    const settings: CallSettings = { timeoutMs, signal: options.signal, only }
    if (this.#isClosed) {
      throw new ClientError('CLOSED', 'the client is closed', { outcome: 'not-applied', retryable: false })
    }
    if (this.#calls.size >= this.#inflightMax) {
      const message = `${this.#calls.size} calls are in flight, which is this client's limit (inflightMax)`
      throw new ClientError('OVERLOADED', message, { outcome: 'not-applied', retryable: true })
    }
    try {
      return await this.#track(new Call(this.#context, operation, settings))
    } finally {
      this.#discovery?.consider()
    }
  }

  async #track<T>(call: Call<T>): Promise<T> {
    this.#calls.add(call)
    try {
      return await call.run()
    } finally {
      this.#calls.delete(call)
    }
  }

  #endpoint(text: string): Endpoint {
    const url = originOf(text)
    const endpoint = this.#context.endpoints.all.find((candidate) => candidate.url === url)
    if (endpoint === undefined) throw refusal('BAD_PARAMETER', `${text} is not one of this client's endpoints`)
    return endpoint
  }
}
