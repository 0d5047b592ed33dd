// A state on its way from one node to another: chunk after chunk, each asked for when the one before it has arrived. When the
// connection breaks, the receiver's stream throws and the sender's promise rejects, each when its own end learns of it.
import { deferred } from '../../src/lib/deferred.ts'
import type { StateSnapshot } from '../../src/node/ports.ts'
import type { Term } from '../../src/raft/index.ts'
import type { Connection } from './connection.ts'
import type { SimulatedTransport } from './simulated-transport.ts'

interface Turn {
  readonly chunk: Uint8Array | undefined
  readonly error: Error | undefined
}

export class SnapshotStream {
  readonly #sender: SimulatedTransport
  readonly #receiver: SimulatedTransport
  readonly #connection: Connection
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #finished = deferred<void>()

  constructor(sender: SimulatedTransport, connection: Connection, snapshot: StateSnapshot) {
    this.#sender = sender
    this.#receiver = connection.other(sender)
    this.#connection = connection
    this.#chunks = snapshot.chunks()[Symbol.asyncIterator]()
  }

  /** Resolves when the receiver has installed it or needs it no more. */
  async run(term: Term): Promise<void> {
    const questions = this.#connection.questions(this.#sender)
    const lost = (): void => this.#finished.reject(new Error(`the connection to ${this.#receiver.name} broke`))
    questions.add(lost)
    const answer = (settle: () => void): void => {
      this.#receiver.reliably(this.#connection, 'snapshot-answer', () => {
        if (questions.delete(lost)) settle()
      })
    }
    this.#sender.reliably(this.#connection, 'snapshot', (peer) => {
      peer.handlers.onSnapshot(this.#sender.self, term, this.#arriving()).then(
        () => answer(() => this.#finished.resolve()),
        (error: Error) => answer(() => this.#finished.reject(new Error(error.message))),
      )
    })
    try {
      await this.#finished.promise
    } finally {
      // Not awaited: whoever waits for a chunk of a process that has died waits for ever.
      this.#chunks.return?.().catch(() => {})
    }
  }

  /** The receiver's side. */
  async *#arriving(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const { chunk, error } = await this.#ask()
      if (error !== undefined) throw error
      if (chunk === undefined) return
      yield chunk
    }
  }

  #ask(): Promise<Turn> {
    const turn = deferred<Turn>()
    const questions = this.#connection.questions(this.#receiver)
    const lost = (): void => turn.resolve({ chunk: undefined, error: new Error('the connection broke within a state') })
    if (!this.#connection.isUpAt(this.#receiver)) lost()
    questions.add(lost)
    const deliver = (what: Turn): void => {
      this.#sender.reliably(this.#connection, 'chunk', () => {
        if (questions.delete(lost)) turn.resolve(what)
      })
    }
    this.#receiver.reliably(this.#connection, 'ask-chunk', () => {
      this.#chunks.next().then(
        (result) => deliver({ chunk: result.done === true ? undefined : result.value, error: undefined }),
        (error: Error) => deliver({ chunk: undefined, error }),
      )
    })
    return turn.promise
  }
}
