// What all parts of a client share: running calls and commands, counting them, and ending them. The client's face is client.ts.
import { encodeBatchRequest } from '../api/batch-codec.ts'
import type { ClientCommand, CommandResult, RangeResult } from '../api/commands.ts'
import { present } from '../lib/assert.ts'
import type { Prng } from '../lib/prng.ts'
import { TransientSet } from '../lib/transient.ts'
import { FailedAnswer } from './answers.ts'
import { batchOperation, checkCommand, commandAnswers, failureOfAnswer } from './batch-request.ts'
import { Call } from './call.ts'
import type { CallContext } from './call.ts'
import { ClientError, refusal } from './client-error.ts'
import type { Discovery } from './discovery.ts'
import type { Endpoint } from './endpoints.ts'
import { originOf } from './endpoint-address.ts'
import type { Operation } from './operations.ts'
import type { GetResult } from './entry.ts'
import type { Key } from './key-path.ts'
import type { CallOptions, GetOptions } from './options.ts'
import type { Written } from './pending-write.ts'
import { preconditionError, refusalError } from './refusals.ts'
import { ReadGatherer } from './read-gatherer.ts'
import type { SessionWriter } from './session-writer.ts'

/** What a command that was not refused can have answered, replays unwrapped. */
export type Answer = Exclude<CommandResult, { kind: 'refused' | 'precondition-failed' | 'replayed' }>

export interface WriteOptions extends CallOptions {
  /** For messages: `put`. */
  readonly name: string
  /** A repeat has no further effect, so that it needs no session. */
  readonly isRepeatable?: boolean
  /** What holds things together goes ahead of the limit on calls. */
  readonly isUrgent?: boolean
}

export interface CoreSettings {
  readonly timeoutMs: number
  readonly inflightMax: number
}

/** One that can be ended from outside: a watch, a lease that keeps itself alive. */
export interface Closable {
  close(): void
}

export class ClientCore {
  readonly context: CallContext
  readonly prng: Prng
  readonly timeoutMs: number
  readonly #inflightMax: number
  /** All that a close must end, those among them that nobody asked for. */
  readonly #calls = new TransientSet<Call<unknown>>()
  /** Calls of the callers' that are no part of a batch. */
  #running = 0
  readonly #companions = new Set<Closable>()
  readonly #reads: ReadGatherer
  /** Set once, right after construction: they need the core themselves. */
  discovery: Discovery | undefined
  sessions: SessionWriter | undefined
  #isClosed = false

  constructor(context: CallContext, prng: Prng, settings: CoreSettings) {
    this.context = context
    this.prng = prng
    this.timeoutMs = settings.timeoutMs
    this.#inflightMax = settings.inflightMax
    this.#reads = new ReadGatherer(this)
  }

  /** Throws unless one more call may begin. */
  admit(): void {
    if (this.#isClosed)
      throw new ClientError('CLOSED', 'the client is closed', { outcome: 'not-applied', retryable: false })
    const inflight = this.#running + (this.sessions?.pending ?? 0) + this.#reads.pending
    if (inflight < this.#inflightMax) return
    const message = `${inflight} calls are in flight, which is this client's limit (inflightMax)`
    throw new ClientError('OVERLOADED', message, { outcome: 'not-applied', retryable: true })
  }

  async run<T>(
    operation: Operation<T>,
    options: CallOptions & { readonly isUrgent?: boolean | undefined },
    endpoint?: string,
  ): Promise<T> {
    const only = endpoint === undefined ? undefined : this.#endpoint(endpoint)
    const settings = { timeoutMs: options.timeoutMs ?? this.timeoutMs, signal: options.signal, only }
    if (options.isUrgent !== true || this.#isClosed) this.admit()
    this.#running++
    try {
      return await this.track(new Call(this.context, operation, settings))
    } finally {
      this.#running--
      this.discovery?.consider()
    }
  }

  /** Runs a call that does not count as one of the caller's. */
  async track<T>(call: Call<T>): Promise<T> {
    this.#calls.add(call)
    try {
      return await call.run()
    } finally {
      this.#calls.delete(call)
    }
  }

  /** Reads a key as it is now, together with what else is read in this turn. */
  get(key: Key, options: GetOptions): Promise<GetResult | undefined> {
    return this.#reads.read(key, options, this.context.lastRevision())
  }

  /** Has a command executed, once, and gives its result. A refusal is thrown. */
  async write(command: ClientCommand, options: WriteOptions): Promise<Answer> {
    const { name, isRepeatable = false } = options
    if (this.sessions === undefined || isRepeatable) {
      const attempts = { count: 0 }
      const result = await this.run(commandOperation(command, name, { isRepeatable, attempts }), options)
      return this.answer(name, { result, attempts: attempts.count })
    }
    return this.answer(name, await this.writeNumbered(command, options))
  }

  /** The same in a session, where there is one. Each promise on the way of a small write is felt: this is the only one. */
  writeNumbered(command: ClientCommand, options: WriteOptions): Promise<Written> {
    this.admit()
    return present(this.sessions, 'the sessions of a client').write(command, options)
  }

  /** The caller itself throws a refusal, so that its stack leads to whoever called. */
  answer(name: string, { result, attempts }: Written): Answer {
    const first = result.kind === 'replayed' ? result.result : result
    this.context.onRevision(first.revision)
    if (first.kind === 'replayed') throw wrongResult(name, first)
    if (first.kind === 'precondition-failed') throw preconditionError(name, first.currentRevision, attempts)
    if (first.kind === 'refused') throw refusalError(name, first.reason, attempts)
    return first
  }

  /** Something that ends with the client. Returns what takes it back. */
  accompany(companion: Closable): () => void {
    this.admit()
    if (this.#companions.size >= COMPANIONS_MAX) {
      const message = `this client has ${COMPANIONS_MAX} watches and leases already, which is its limit`
      throw new ClientError('OVERLOADED', message, { outcome: 'not-applied', retryable: false })
    }
    this.#companions.add(companion)
    return () => this.#companions.delete(companion)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const companion of this.#companions) companion.close()
    this.sessions?.end()
    this.#reads.end()
    for (const call of this.#calls.values()) call.close()
    await this.sessions?.leave()
    await this.context.transport.close()
  }

  #endpoint(text: string): Endpoint {
    const url = originOf(text)
    const endpoint = this.context.endpoints.all.find((candidate) => candidate.url === url)
    if (endpoint === undefined) throw refusal('BAD_PARAMETER', `${text} is not one of this client's endpoints`)
    return endpoint
  }
}

/** Watches, each with a connection of its own, and leases, each with its keep-alives. */
const COMPANIONS_MAX = 1_000

/** The node answered a command with the result of another: no release of ours does. What became of it nobody can tell. */
export const wrongResult = (name: string, result: CommandResult | RangeResult): ClientError =>
  new ClientError('UNEXPECTED_ANSWER', `${name} failed: it was answered with a result of the kind ${result.kind}`, {
    outcome: 'unknown',
    retryable: false,
  })

/** One command in a request of its own. */
function commandOperation(
  command: ClientCommand,
  name: string,
  options: { isRepeatable: boolean; attempts: { count: number } },
): Operation<CommandResult> {
  checkCommand(command)
  const body = encodeBatchRequest([command])
  return batchOperation({
    name,
    kind: options.isRepeatable ? 'repeatable' : 'write',
    body: () => body,
    parse: (response) => {
      const answer = commandAnswers(response, 1)[0]!
      if (answer.kind === 'error') throw new FailedAnswer(failureOfAnswer(answer))
      options.attempts.count++
      return answer.result
    },
    onFailure: () => void options.attempts.count++,
  })
}
