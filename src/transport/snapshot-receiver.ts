// The receiving end of a snapshot connection: chunks become an async iterable that the driver consumes at its own pace.
// What it has not consumed yet is bounded: past the bound the socket is not read, and the sender is held up by TCP itself.
import { AssertionError } from '../lib/assert.ts'
import { DecodeError } from '../lib/bytes.ts'
import type { PeerHello, Timer } from '../node/ports.ts'
import type { Term } from '../raft/types.ts'
import type { Connection, FrameHandler } from './connection.ts'
import { messageOf } from './environment.ts'
import type { Environment } from './environment.ts'
import { FRAME } from './frame.ts'
import type { Frame } from './frame.ts'
import {
  decodeSnapshotAbort,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  decodeSnapshotEnd,
  encodeSnapshotDone,
  refuseFrame,
} from './link-codec.ts'

/** Chunks that arrived and were not consumed. One consumer. */
class ChunkQueue implements AsyncIterable<Uint8Array> {
  readonly #connection: Connection
  readonly #bytesMax: number
  #chunks: Uint8Array[] = []
  #bytes = 0
  #end: 'none' | 'complete' | Error = 'none'
  #isDiscarding = false
  #isPaused = false
  #wake: (() => void) | undefined

  constructor(connection: Connection, bytesMax: number) {
    this.#connection = connection
    this.#bytesMax = bytesMax
  }

  push(chunk: Uint8Array): void {
    if (this.#isDiscarding) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (!this.#isPaused && this.#bytes >= this.#bytesMax) {
      this.#isPaused = true
      this.#connection.pause()
    }
    this.#wakeConsumer()
  }

  /** Without an error: that was all. Only the first end counts. */
  end(error?: Error): void {
    if (this.#end === 'none') this.#end = error ?? 'complete'
    this.#wakeConsumer()
  }

  /** The consumer wants no more. */
  discard(): void {
    this.#isDiscarding = true
    this.#chunks = []
    this.#bytes = 0
    this.#resume()
    this.#wakeConsumer()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (!this.#isDiscarding) {
        const chunk = this.#chunks.shift()
        if (chunk !== undefined) {
          this.#bytes -= chunk.length
          if (this.#bytes < this.#bytesMax / 2) this.#resume()
          yield chunk
        } else if (this.#end === 'complete') {
          return
        } else if (this.#end !== 'none') {
          throw this.#end
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.discard()
    }
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#connection.resume()
  }

  #wakeConsumer(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

export class SnapshotReceiver implements FrameHandler {
  readonly #environment: Environment
  readonly #connection: Connection
  readonly #peer: PeerHello
  #chunks: ChunkQueue | undefined
  #received = 0
  #isEnded = false
  #idleTimer: Timer

  constructor(environment: Environment, connection: Connection, peer: PeerHello) {
    this.#environment = environment
    this.#connection = connection
    this.#peer = peer
    this.#idleTimer = this.#watchIdle()
  }

  onFrame(frame: Frame): void {
    this.#idleTimer.cancel()
    this.#idleTimer = this.#watchIdle()
    switch (frame.type) {
      case FRAME.snapshotBegin:
        return this.#begin(decodeSnapshotBegin(frame))
      case FRAME.snapshotChunk:
        return this.#chunk(decodeSnapshotChunk(frame), frame.body)
      case FRAME.snapshotEnd:
        return this.#end(decodeSnapshotEnd(frame))
      case FRAME.snapshotAbort:
        return this.#aborted(decodeSnapshotAbort(frame))
      default:
        return refuseFrame(frame, 'snapshot')
    }
  }

  onClose(reason: string): void {
    this.#idleTimer.cancel()
    this.#chunks?.end(new Error(`the snapshot from ${this.#peer.name} broke off: ${reason}`))
  }

  #begin(term: Term): void {
    if (this.#chunks !== undefined) throw new DecodeError('a second snapshot begins on one connection')
    this.#chunks = new ChunkQueue(this.#connection, this.#environment.limits.snapshotQueueBytesMax)
    void this.#install(term, this.#chunks)
  }

  #chunk(sequence: number, chunk: Uint8Array): void {
    const queue = this.#current('a chunk')
    if (sequence !== this.#received)
      throw new DecodeError(`snapshot chunk ${sequence} came where ${this.#received} belongs`)
    this.#received++
    queue.push(chunk)
  }

  #end(sent: number): void {
    const queue = this.#current('the end')
    if (sent !== this.#received) throw new DecodeError(`${this.#received} snapshot chunks came of ${sent}`)
    this.#isEnded = true
    queue.end()
  }

  #aborted(reason: string): void {
    const queue = this.#current('an abort')
    this.#isEnded = true
    queue.end(new Error(`${this.#peer.name} cannot go on with the snapshot: ${reason}`))
  }

  #current(what: string): ChunkQueue {
    if (this.#chunks === undefined) throw new DecodeError(`${what} before the snapshot began`)
    if (this.#isEnded) throw new DecodeError(`${what} after the snapshot ended`)
    return this.#chunks
  }

  async #install(term: Term, queue: ChunkQueue): Promise<void> {
    const { counters, handlers } = this.#environment
    let failure: string | undefined
    try {
      await handlers.onSnapshot(this.#peer, term, queue)
      counters.add('snapshots_received')
    } catch (error) {
      if (error instanceof AssertionError) throw error
      failure = messageOf(error)
    }
    queue.discard()
    this.#connection.send(encodeSnapshotDone(failure))
  }

  #watchIdle(): Timer {
    const { clock, limits } = this.#environment
    return clock.after(limits.snapshotIdleMsMax, () => {
      if (!this.#isEnded) this.#connection.close(`no progress of the snapshot within ${limits.snapshotIdleMsMax} ms`)
    })
  }
}
