// Opens a client's session when there is something to write, replaces it when it is too old, and closes it in the end.
// Its writes keep it alive; an idle client lets it lapse and opens another with its next write.
import { encodeBatchRequest } from '../api/batch-codec.ts'
import type { ClientCommand } from '../api/commands.ts'
import { ERRORS } from '../api/errors.ts'
import { FailedAnswer, unexpected } from './answers.ts'
import { Call } from './call.ts'
import { ClientError } from './client-error.ts'
import { batchOperation, commandAnswers, failureOfAnswer } from './batch-request.ts'
import type { ClientCore } from './core.ts'
import { randomId } from './random-id.ts'
import type { Operation } from './operations.ts'
import { refusalError } from './refusals.ts'
import { Session, SESSION } from './session.ts'
import type { TransportResponse } from './transport.ts'

/** What closing a client may cost it where nobody answers: the session expires by itself. Milliseconds. */
const LEAVE_MS_MAX = 500

export class SessionDoor {
  readonly #core: ClientCore
  #session: Session | undefined
  #opening: Call<Session> | undefined

  constructor(core: ClientCore) {
    this.#core = core
  }

  /** The session for new writes; undefined when one has to be opened. */
  get session(): Session | undefined {
    if (this.#session?.isUsable(this.#core.context.clock.now()) === false) this.#session = undefined
    return this.#session
  }

  get isOpening(): boolean {
    return this.#opening !== undefined
  }

  async open(deadlineMs: number): Promise<void> {
    const { context } = this.#core
    const timeoutMs = Math.max(1, deadlineMs - context.clock.now())
    const call = new Call(context, this.#openOperation(), { timeoutMs, signal: undefined })
    this.#opening = call
    try {
      this.#session = await this.#core.track(call)
    } finally {
      this.#opening = undefined
    }
  }

  /** Nobody waits for it any more. */
  giveUp(): void {
    this.#opening?.close()
  }

  /** The store does not know it. */
  lost(session: Session): void {
    if (this.#session === session) this.#session = undefined
  }

  async leave(): Promise<void> {
    const session = this.session
    if (session === undefined) return
    this.#session = undefined
    const operation = sessionOperation('close', () => ({ op: 'session-close', session: session.id }), ignoreAnswer)
    try {
      await new Call(this.#core.context, operation, { timeoutMs: LEAVE_MS_MAX, signal: undefined }).run()
    } catch (error) {
      // It expires by itself.
      if (!(error instanceof ClientError)) throw error
    }
  }

  #openOperation(): Operation<Session> {
    const { context, prng } = this.#core
    let id = ''
    let sentAtMs = 0
    const command = (): ClientCommand => {
      // Another id for each attempt: one whose answer was lost is left to expire, and never shared with anybody.
      id = randomId(prng)
      sentAtMs = context.clock.now()
      return { op: 'session-open', session: id, ttlMs: SESSION.ttlMs }
    }
    return sessionOperation('opening a session', command, (response) => {
      const answer = commandAnswers(response, 1)[0]!
      if (answer.kind === 'error') throw new FailedAnswer(failureOfAnswer(answer))
      if (answer.result.kind === 'refused') {
        const { code, message, outcome, retryable, details } = refusalError('a session', answer.result.reason, 1)
        if (!(code in ERRORS)) throw unexpected(response, message)
        throw new FailedAnswer({ kind: code as keyof typeof ERRORS, code, message, outcome, retryable, details })
      }
      if (answer.result.kind !== 'session' || answer.result.session !== id)
        throw unexpected(response, 'another result than that of opening a session')
      return new Session(id, sentAtMs)
    })
  }
}

const ignoreAnswer = (): void => {}

const sessionOperation = <T>(
  name: string,
  command: () => ClientCommand,
  parse: (response: TransportResponse) => T,
): Operation<T> => batchOperation({ name, kind: 'repeatable', body: () => encodeBatchRequest([command()]), parse })
