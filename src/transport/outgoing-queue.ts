// What waits for one socket, in order, with its bytes counted. It hands the socket little at a time, so that a frame that
// never reached the socket can be told from one that may have.
import type { Socket } from 'node:net'
import type { OutgoingFrame } from './frame.ts'

export interface OutgoingQueueOptions {
  readonly socket: Socket
  readonly writeBytesMax: number
}

/** What a waiting frame costs besides its bytes: many small ones must not slip past the bound. */
const FRAME_COST_BYTES = 256
const costOf = (frame: OutgoingFrame): number => frame.bytes + FRAME_COST_BYTES

export class OutgoingQueue {
  readonly #options: OutgoingQueueOptions
  #frames: OutgoingFrame[] = []
  /** The cost of all frames not yet taken by the kernel. */
  #bytes = 0
  #isScheduled = false
  #isWriting = false
  #isClosed = false
  #roomBelow = 0
  #roomWaiters: (() => void)[] = []

  constructor(options: OutgoingQueueOptions) {
    this.#options = options
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The bytes of a turn of the event loop leave together, in one system call. */
  push(frame: OutgoingFrame): void {
    if (this.#isClosed) return
    this.#frames.push(frame)
    this.#bytes += costOf(frame)
    if (this.#isScheduled || this.#isWriting) return
    this.#isScheduled = true
    process.nextTick(() => {
      this.#isScheduled = false
      this.#write()
    })
  }

  /** Undefined when fewer than `bytes` wait; else resolves when that is so, or when the queue is closed. */
  room(bytes: number): Promise<void> | undefined {
    if (this.#isClosed || this.#bytes < bytes) return undefined
    this.#roomBelow = bytes
    return new Promise((resolve) => {
      this.#roomWaiters.push(resolve)
    })
  }

  /** What was not handed to the socket is dropped. */
  close(): void {
    this.#isClosed = true
    this.#frames = []
    this.#bytes = 0
    this.#wakeWaiters()
  }

  #write(): void {
    if (this.#isClosed || this.#isWriting || this.#frames.length === 0) return
    const { socket, writeBytesMax } = this.#options
    const frames = this.#take(writeBytesMax)
    let bytes = 0
    const chunks: Uint8Array[] = []
    for (const frame of frames) {
      frame.isStarted = true
      bytes += costOf(frame)
      chunks.push(...frame.chunks)
    }
    this.#isWriting = true
    socket.cork()
    for (const [at, chunk] of chunks.entries()) {
      if (at < chunks.length - 1) socket.write(chunk)
      else socket.write(chunk, (error) => this.#written(bytes, error))
    }
    socket.uncork()
  }

  /** At least one frame, and no more than fit. */
  #take(bytesMax: number): OutgoingFrame[] {
    let count = 1
    let bytes = this.#frames[0]!.bytes
    for (; count < this.#frames.length; count++) {
      bytes += this.#frames[count]!.bytes
      if (bytes > bytesMax) break
    }
    return this.#frames.splice(0, count)
  }

  /** After an error nothing more is handed over: the socket is about to close, and what waits stays unsent. */
  #written(bytes: number, error: Error | null | undefined): void {
    if (this.#isClosed || (error !== null && error !== undefined)) return
    this.#isWriting = false
    this.#bytes -= bytes
    if (this.#bytes < this.#roomBelow) this.#wakeWaiters()
    this.#write()
  }

  #wakeWaiters(): void {
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const wake of waiters) wake()
  }
}
