// One keep-alive connection of a load generator: one request at a time, opened anew when it was lost and is wanted again.
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { AnswerReader } from './http-answer.ts'

/**
 * Sockets read into it by turns: what was read is handed over before the next read begins, so thousands of connections need no
 * buffer each.
 */
const readBuffer = Buffer.allocUnsafe(256 * 1024)

export interface Target {
  readonly host: string
  readonly port: number
}

export interface ConnectionEvents {
  /** It can take a request. */
  onIdle(connection: HttpConnection): void
  onAnswer(connection: HttpConnection, status: number, sample: string): void
  /** The connection is gone; with a request under way, its outcome is unknown. */
  onLost(connection: HttpConnection, reason: string): void
}

export class HttpConnection {
  readonly target: Target
  readonly #events: ConnectionEvents
  #reader = new AnswerReader()
  #socket: Socket | undefined
  #isOpen = false
  isBusy = false

  constructor(target: Target, events: ConnectionEvents) {
    this.target = target
    this.#events = events
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  open(): void {
    if (this.#socket !== undefined) return
    this.#reader = new AnswerReader()
    const socket = connect({
      ...this.target,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (count, bytes) => {
          this.#read(socket, Buffer.from(bytes.buffer, bytes.byteOffset, count))
          return true
        },
      },
    })
    this.#socket = socket
    socket.once('connect', () => {
      if (this.#socket !== socket) return
      this.#isOpen = true
      this.#events.onIdle(this)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => this.#lose(socket, error.code ?? error.message))
    socket.once('close', () => this.#lose(socket, 'closed'))
  }

  /** The bytes of a whole request, as latin1. */
  send(request: string): void {
    this.isBusy = true
    this.#socket!.write(request, 'latin1')
  }

  /** Ends it, for that reason, which is given on. */
  abandon(reason: string): void {
    if (this.#socket !== undefined) this.#lose(this.#socket, reason)
  }

  #read(socket: Socket, bytes: Buffer): void {
    if (this.#socket !== socket) return
    let isComplete: boolean
    try {
      isComplete = this.#reader.read(bytes)
    } catch (error) {
      this.#lose(socket, String(error))
      return
    }
    if (!isComplete) return
    this.isBusy = false
    this.#events.onAnswer(this, this.#reader.status, this.#reader.sample)
    this.#events.onIdle(this)
  }

  #lose(socket: Socket, reason: string): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    this.#isOpen = false
    socket.destroy()
    this.#events.onLost(this, reason)
    this.isBusy = false
  }
}
