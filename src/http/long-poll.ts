// The long poll: GET of a key that waits until the key has changed. First a look, then a watch of this one key from there on,
// until it tells of a change, the time is over or the client has gone.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import { rangeOfKey } from '../api/ranges.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { ReadAnswer, ReadOptions, WatchHandle } from '../node/facade.ts'
import type { HttpContext } from './context.ts'
import { isRefusal } from './edge.ts'
import { answerRead } from './key-answers.ts'
import { allowIdle } from './streams.ts'

export interface Wait {
  readonly waitMs: number
  /** The revision after which a change counts; undefined: after the one that is read first. */
  readonly after: number | undefined
  readonly options: ReadOptions
}

export function waitForChange(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  key: KeyString,
  wait: Wait,
): void {
  const { edge } = context
  edge.node.read(key, wait.options, (outcome) => {
    edge.guarded(request, reply, () => {
      if (isRefusal(outcome)) throw outcome
      const after = wait.after ?? outcome.revision
      if (outcome.entry !== undefined && outcome.entry.modRevision > after)
        answerRead(edge, request, reply, outcome, true)
      else new LongPoll(context, request, reply, wait).start(key, after, outcome)
    })
  })
}

class LongPoll {
  readonly #context: HttpContext
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #wait: Wait
  /** Nothing happened to the key after `after` and up to here. */
  #through = 0
  #handle: WatchHandle | undefined
  #isOver = false
  #leave = (): void => {}

  constructor(context: HttpContext, request: FastifyRequest, reply: FastifyReply, wait: Wait) {
    this.#context = context
    this.#request = request
    this.#reply = reply
    this.#wait = wait
  }

  /** An entry that is there and old has not changed up to the revision it was read at; one that is not may have been deleted. */
  start(key: KeyString, after: number, { entry, revision, stalenessMs }: ReadAnswer): void {
    const { edge, streams } = this.#context
    const { waitMs, options } = this.#wait
    const from = (entry === undefined ? after : Math.max(after, revision)) + 1
    this.#through = entry === undefined ? Math.min(after, revision) : revision
    const stay = streams.join(this.#request, {
      onGone: () => this.#stop(),
      onDrain: () => this.#giveUp(),
    })
    const timer = setTimeout(() => this.#giveUp(), waitMs)
    this.#leave = () => {
      clearTimeout(timer)
      stay.leave()
    }
    allowIdle(this.#request, waitMs)
    const watch = {
      range: rangeOfKey(key),
      fromRevision: from,
      wantsInitial: false,
      wantsPrevious: false,
      only: undefined,
      timeoutMs: options.timeoutMs,
    }
    this.#handle = edge.node.watch(watch, {
      onInitial: () => true,
      onSync: () => true,
      onEvents: (changed, events) => {
        const last = events.at(-1)
        if (last === undefined) return true
        const found = last.kind === 'put' ? last.entry : undefined
        this.#answer(() => {
          answerRead(edge, this.#request, this.#reply, { entry: found, revision: changed, stalenessMs }, true)
        })
        return false
      },
      onProgress: (progress) => {
        this.#through = Math.max(this.#through, progress)
        return true
      },
      onCompacted: (compactRevision) => {
        const detail = `The history up to revision ${after} has been compacted: whether the key changed cannot be told.`
        this.#fail(new QuorateError('COMPACTED', detail, { details: { compactRevision } }))
      },
      // One event is all that ever waits here.
      onLagging: () => this.#giveUp(),
      onFailure: (error) => this.#fail(error),
    })
    if (this.#isOver) this.#handle.cancel()
  }

  #giveUp(): void {
    const { edge } = this.#context
    this.#answer(() => {
      const headers = edge.head(this.#through)
      headers.push('Cache-Control', 'no-store')
      edge.finish(this.#reply, 204, headers, undefined)
    })
  }

  #fail(error: QuorateError): void {
    this.#answer(() => {
      throw error
    })
  }

  #answer(answer: () => void): void {
    if (this.#isOver) return
    this.#stop()
    this.#context.edge.guarded(this.#request, this.#reply, answer)
  }

  #stop(): void {
    this.#isOver = true
    this.#leave()
    this.#handle?.cancel()
  }
}
