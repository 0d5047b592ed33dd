// Drives one system over HTTP and times each answer. At a fixed rate (open loop) an operation's time counts from the moment it was
// due, whether or not the system was ready to take it: a stall is felt by all who would have come in it, and not only by the one
// who happened to be inside (coordinated omission). Without a rate (closed loop) each connection asks again when it is answered:
// that finds the saturation, and its latencies say little.
import { performance } from 'node:perf_hooks'
import { Fifo } from './fifo.ts'
import { HttpConnection } from './http-connection.ts'
import type { ConnectionEvents, Target } from './http-connection.ts'
import { latenciesOf, newHistogram, record, SecondsOfLoad } from './latencies.ts'
import type { LoadResult } from './load-result.ts'
import { Requests, fillKeysOf, keyName, randomFrom } from './requests.ts'
import type { Dialect } from './requests.ts'

export interface LoadOptions {
  readonly targets: readonly Target[]
  readonly dialect: Dialect
  /** `fill` writes every key once, in order, in transactions, and ends by itself. */
  readonly kind: 'put' | 'get' | 'fill'
  /** Operations a second; 0 is a closed loop. */
  readonly rate: number
  readonly connections: number
  readonly seconds: number
  /** Chosen uniformly. */
  readonly keys: number
  /** Filling begins with this key's number; 0 unless given. */
  readonly from?: number
  /** Keys of puts and gets are padded to this length. */
  readonly keyBytes?: number
  readonly valueBytes: number
  readonly seed: number
  /** An operation that takes longer is an error, and its connection is replaced. */
  readonly timeoutMs: number
  /**
   * Due moments are met within 0.2 ms, by naps of a blocked thread: for a process that does nothing else. Otherwise timers do it,
   * within 1 or 2 ms.
   */
  readonly isPrecise: boolean
}

export interface LoadEvents {
  /** The connections are open, and time runs. */
  onStart?(): void
  /** A success, at a moment of `performance.now()`. */
  onSuccess?(atMs: number): void
}

/** Due operations that wait for a connection. Ten seconds of a fast system; beyond it the run has failed anyway. */
const WAITING_MAX = 200_000
const SWEEP_MS = 50
const REOPEN_MS = 200
const NAP_MS = 0.1
/** Of a filling transaction that was refused: clusters shed load and elect. */
const REPEATS_MAX = 1_000

interface Operation {
  /** Since when its time counts. */
  readonly dueMs: number
  /** Since when the system knows of it; its time to be answered begins here. */
  sentMs: number
  readonly request: string
}

export class Load {
  readonly #options: LoadOptions
  readonly #events: LoadEvents
  readonly #random: () => number
  readonly #requests: Requests
  readonly #fillKeys: number
  readonly #connections: readonly HttpConnection[]
  readonly #idle = new Fifo<HttpConnection>()
  readonly #underWay = new Map<HttpConnection, Operation>()
  /** Due moments of operations that no connection was free for. */
  readonly #waiting = new Fifo<number>()
  readonly #repeats = new Fifo<string>()
  readonly #total = newHistogram()
  readonly #lag = newHistogram()
  readonly #series: SecondsOfLoad
  readonly #nap = new Int32Array(new SharedArrayBuffer(4))
  #firstError = ''
  #errors = 0
  #lastSuccessMs = 0
  #longestGapMs = 0
  #repeated = 0
  #startMs = 0
  #issued = 0
  #isRunning = false
  #finish: (() => void) | undefined

  constructor(options: LoadOptions, events: LoadEvents = {}) {
    this.#options = options
    this.#events = events
    this.#series = new SecondsOfLoad(options.timeoutMs)
    this.#random = randomFrom(options.seed)
    this.#fillKeys = fillKeysOf(options.valueBytes)
    this.#requests = new Requests(options.dialect, options.valueBytes, this.#random)
    const handlers: ConnectionEvents = {
      onIdle: (connection) => this.#rest(connection),
      onAnswer: (connection, status, sample) => this.#settle(connection, status, sample),
      onLost: (connection, reason) => this.#lose(connection, reason),
    }
    this.#connections = Array.from(
      { length: options.connections },
      (_, at) => new HttpConnection(options.targets[at % options.targets.length]!, handlers),
    )
  }

  async run(): Promise<LoadResult> {
    for (const connection of this.#connections) connection.open()
    await this.#allOpen()
    const cpuBefore = process.cpuUsage()
    this.#startMs = performance.now()
    this.#lastSuccessMs = this.#startMs
    this.#isRunning = true
    this.#events.onStart?.()
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    const sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    if (this.#options.rate > 0) this.#turn()
    else this.#dispatch()
    await finished
    clearInterval(sweeper)
    const elapsed = (performance.now() - this.#startMs) / 1_000
    for (const connection of this.#connections) connection.abandon('over')
    const { user, system } = process.cpuUsage(cpuBefore)
    // What is answered after the end belongs to what was issued before it: the time that counts is that of issuing.
    const isFill = this.#options.kind === 'fill'
    const time = isFill ? elapsed : Math.min(elapsed, this.#options.seconds)
    const operations = isFill ? this.#options.keys - (this.#options.from ?? 0) : this.#total.count
    return {
      operations,
      seconds: time,
      perSecond: operations / time,
      errors: this.#errors,
      firstError: this.#firstError,
      latency: latenciesOf(this.#total),
      longestGap: Math.round(this.#longestGapMs * 1_000),
      generatorCpu: user + system,
      generatorLag: { p99: latenciesOf(this.#lag).p99, max: latenciesOf(this.#lag).max },
      series: this.#options.rate > 0 ? this.#series.finish() : [],
    }
  }

  /** Ends it early; `run` then gives what there is. What was not sent yet counts as nothing. */
  stop(): void {
    this.#isRunning = false
    while (this.#waiting.shift() !== undefined);
    this.#sweep()
  }

  async #allOpen(): Promise<void> {
    const endMs = performance.now() + 30_000
    while (this.#connections.some(({ isOpen }) => !isOpen)) {
      if (performance.now() > endMs) throw new Error(`connections could not be opened: ${this.#firstError}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** Notices what is due, sends what can be sent, and comes again soon. */
  #turn(): void {
    const nowMs = performance.now()
    const { rate, seconds, isPrecise } = this.#options
    // The first is due at once, the last one interval before the end.
    const dueCount = Math.min(Math.floor(((nowMs - this.#startMs) * rate) / 1_000) + 1, Math.round(seconds * rate))
    while (this.#issued < dueCount && this.#isRunning) {
      const dueMs = this.#startMs + (this.#issued++ * 1_000) / rate
      record(this.#lag, nowMs - dueMs)
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(dueMs)
      else this.#fail('too many operations wait for a connection')
    }
    this.#dispatch()
    if (!this.#isRunning) return
    if (!isPrecise) {
      setTimeout(() => this.#turn(), 1)
      return
    }
    const nextMs = this.#startMs + (this.#issued * 1_000) / rate
    if (nextMs - performance.now() > NAP_MS) Atomics.wait(this.#nap, 0, 0, NAP_MS)
    setImmediate(() => this.#turn())
  }

  #dispatch(): void {
    while (this.#idle.length > 0) {
      const operation = this.#next()
      if (operation === undefined) return
      const connection = this.#idle.shift()!
      if (!connection.isOpen || connection.isBusy) {
        // It was lost while it waited; it comes back when it is open again.
        this.#putBack(operation)
        continue
      }
      operation.sentMs = performance.now()
      this.#underWay.set(connection, operation)
      connection.send(operation.request)
    }
  }

  #next(): Operation | undefined {
    const { kind, rate, keys, keyBytes } = this.#options
    if (kind === 'fill') {
      const again = this.#repeats.shift()
      if (again !== undefined) return { dueMs: performance.now(), sentMs: 0, request: again }
      const from = (this.#options.from ?? 0) + this.#issued * this.#fillKeys
      if (from >= keys || !this.#isRunning) return undefined
      this.#issued++
      return {
        dueMs: performance.now(),
        sentMs: 0,
        request: this.#requests.fill(from, Math.min(keys, from + this.#fillKeys)),
      }
    }
    const dueMs = rate > 0 ? this.#waiting.shift() : this.#isRunning ? performance.now() : undefined
    if (dueMs === undefined) return undefined
    const key = keyName(Math.floor(this.#random() * keys)).padEnd(keyBytes ?? 0, 'x')
    return { dueMs, sentMs: 0, request: kind === 'put' ? this.#requests.put(key) : this.#requests.get(key) }
  }

  #putBack({ dueMs, request }: Operation): void {
    if (this.#options.kind === 'fill') this.#repeats.push(request)
    else if (this.#options.rate > 0) this.#waiting.unshift(dueMs)
  }

  #rest(connection: HttpConnection): void {
    this.#idle.push(connection)
    if (this.#startMs > 0) this.#dispatch()
  }

  #settle(connection: HttpConnection, status: number, sample: string): void {
    const operation = this.#underWay.get(connection)!
    this.#underWay.delete(connection)
    const nowMs = performance.now()
    if (status >= 200 && status < 300) {
      record(this.#total, nowMs - operation.dueMs)
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastSuccessMs)
      this.#lastSuccessMs = nowMs
      if (this.#options.rate > 0) this.#series.add(operation.dueMs - this.#startMs, nowMs - operation.dueMs)
      this.#events.onSuccess?.(nowMs)
    } else this.#refused(operation, `${status} ${sample}`)
    this.#endIfDone()
  }

  #lose(connection: HttpConnection, reason: string): void {
    const operation = this.#underWay.get(connection)
    this.#underWay.delete(connection)
    if (reason === 'over') return
    if (operation !== undefined) this.#refused(operation, reason)
    else if (this.#startMs === 0) this.#firstError = reason
    // One that was slow can be replaced at once; one that is refused needs time.
    if (reason === 'timeout') connection.open()
    else setTimeout(() => this.#isRunning && connection.open(), REOPEN_MS)
  }

  #refused(operation: Operation, reason: string): void {
    if (this.#options.kind === 'fill' && this.#repeated++ < REPEATS_MAX) {
      setTimeout(() => {
        this.#repeats.push(operation.request)
        this.#dispatch()
      }, REOPEN_MS)
    } else this.#fail(reason)
  }

  #fail(reason: string): void {
    this.#errors++
    if (this.#errors === 1) this.#firstError = reason
  }

  /** Ends operations that take too long, and the run when its time is over. */
  #sweep(): void {
    const nowMs = performance.now()
    for (const [connection, { sentMs }] of this.#underWay) {
      if (nowMs - sentMs > this.#options.timeoutMs) connection.abandon('timeout')
    }
    const isOver = nowMs - this.#startMs > this.#options.seconds * 1_000
    if (this.#options.kind !== 'fill' && isOver) this.#isRunning = false
    // Nobody can take them any more when every connection is lost.
    if (
      !this.#isRunning &&
      this.#options.rate > 0 &&
      nowMs - this.#startMs > this.#options.seconds * 1_000 + this.#options.timeoutMs
    )
      while (this.#waiting.shift() !== undefined) this.#fail('never sent')
    this.#endIfDone()
  }

  #endIfDone(): void {
    const { kind, keys, from = 0 } = this.#options
    const isFilled = kind === 'fill' && this.#total.count + this.#errors >= Math.ceil((keys - from) / this.#fillKeys)
    if (isFilled) this.#isRunning = false
    if (this.#isRunning || this.#underWay.size > 0 || this.#waiting.length > 0) return
    this.#finish?.()
  }
}
