// The receiving end of a snapshot connection: chunks become an async iterable that the driver consumes at its own pace.
// What it has not consumed yet is bounded: past the bound the socket is not read, and the sender is held up by TCP itself.
import { AssertionError } from '../lib/assert.ts'
import { DecodeError } from '../lib/bytes.ts'
import type { PeerHello } from '../node/ports.ts'
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

export function receiveSnapshot(environment: Environment, connection: Connection, peer: PeerHello): FrameHandler {
  const { limits, clock, counters, handlers } = environment
  let chunks: ChunkQueue | undefined
  let received = 0
  let isEnded = false

  const watchIdle = (): { cancel(): void } =>
    clock.after(limits.snapshotIdleMsMax, () => {
      if (!isEnded) connection.close(`no progress of the snapshot within ${limits.snapshotIdleMsMax} ms`)
    })
  let timer = watchIdle()

  const install = async (term: Term, queue: ChunkQueue): Promise<void> => {
    let failure: string | undefined
    try {
      await handlers.onSnapshot(peer, term, queue)
      counters.add('snapshots_received')
    } catch (error) {
      if (error instanceof AssertionError) throw error
      failure = messageOf(error)
    }
    queue.discard()
    connection.send(encodeSnapshotDone(failure))
  }

  const current = (what: string): ChunkQueue => {
    if (chunks === undefined) throw new DecodeError(`${what} before the snapshot began`)
    if (isEnded) throw new DecodeError(`${what} after the snapshot ended`)
    return chunks
  }

  const onFrame = (frame: Frame): void => {
    timer.cancel()
    timer = watchIdle()
    if (frame.type === FRAME.snapshotBegin) {
      if (chunks !== undefined) throw new DecodeError('a second snapshot begins on one connection')
      chunks = new ChunkQueue(connection, limits.snapshotQueueBytesMax)
      void install(decodeSnapshotBegin(frame), chunks)
    } else if (frame.type === FRAME.snapshotChunk) {
      const queue = current('a chunk')
      const sequence = decodeSnapshotChunk(frame)
      if (sequence !== received) throw new DecodeError(`snapshot chunk ${sequence} came where ${received} belongs`)
      received++
      queue.push(frame.body)
    } else if (frame.type === FRAME.snapshotEnd) {
      const queue = current('the end')
      const sent = decodeSnapshotEnd(frame)
      if (sent !== received) throw new DecodeError(`${received} snapshot chunks came of ${sent}`)
      isEnded = true
      queue.end()
    } else if (frame.type === FRAME.snapshotAbort) {
      const queue = current('an abort')
      isEnded = true
      queue.end(new Error(`${peer.name} cannot go on with the snapshot: ${decodeSnapshotAbort(frame)}`))
    } else {
      refuseFrame(frame, 'snapshot')
    }
  }

  const onClose = (reason: string): void => {
    timer.cancel()
    chunks?.end(new Error(`the snapshot from ${peer.name} broke off: ${reason}`))
  }

  return { onFrame, onClose }
}
