// One socket between two nodes: the handshake, then frames both ways, signs of life, and one orderly end.
// The same for caller and callee, and for each kind of traffic; what frames mean is the business of the handler.
import type { Socket } from 'node:net'
import { assert } from '../lib/assert.ts'
import { DecodeError } from '../lib/bytes.ts'
import type { Clock, Timer } from '../node/ports.ts'
import type { Counters } from './counters.ts'
import { encodeFrame, FRAME, FrameReader, MAGIC } from './frame.ts'
import type { Frame, OutgoingFrame } from './frame.ts'
import type { Handshake, HandshakeOutcome } from './handshake.ts'
import type { TransportLimits } from './limits.ts'
import { OutgoingQueue } from './outgoing-queue.ts'

export type Accepted = Extract<HandshakeOutcome, { kind: 'accepted' }>
export type Refused = Extract<HandshakeOutcome, { kind: 'refused' }>

/** What to do with the frames of a connection that is up, and when it is not any more. */
export interface FrameHandler {
  /** A DecodeError thrown here closes the connection: the peer sent something that makes no sense. */
  onFrame(frame: Frame): void
  onClose(reason: string): void
}

export interface ConnectionOptions {
  readonly limits: TransportLimits
  readonly clock: Clock
  readonly counters: Counters
  makeHandshake(send: (frame: OutgoingFrame) => void): Handshake
  onAccepted(accepted: Accepted): FrameHandler
  /** Instead of onAccepted, and the connection is over. */
  onRefused(refused: Refused): void
  /** Instead of both: it broke, was corrupt or took too long. */
  onFailed(reason: string): void
  /** What arrived makes no sense. Followed by onFailed, or by the handler's onClose. */
  onCorrupt(reason: string): void
}

const ALIVE = encodeFrame(FRAME.alive, Buffer.alloc(0))

export class Connection {
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #reader: FrameReader
  readonly #queue: OutgoingQueue
  #handshake: Handshake | undefined
  #handler: FrameHandler | undefined
  #isOpen = true
  /** Nothing is read any more but to be thrown away, so that the last frame is not lost to a reset. */
  #isLeaving = false
  #isPaused = false
  #heardAt: number
  #error: string | undefined
  #timer: Timer | undefined
  #aliveTimer: Timer | undefined
  /** Resolves when the socket is gone. */
  readonly closed: Promise<void>

  /** `socket` is connected. */
  constructor(socket: Socket, options: ConnectionOptions) {
    const { limits, clock } = options
    this.#socket = socket
    this.#options = options
    this.#heardAt = clock.now()
    this.#reader = new FrameReader(limits.handshakeBytesMax)
    this.#queue = new OutgoingQueue({ socket, writeBytesMax: limits.writeBytesMax })
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
    socket.on('error', (error) => {
      this.#error = error.message
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.close(this.#error ?? 'the other end closed the connection')
        resolve()
      })
    })
    this.#timer = clock.after(limits.handshakeMsMax, () => {
      clock.soon(() => {
        if (this.#handshake !== undefined) this.close(`no handshake within ${limits.handshakeMsMax} ms`)
      })
    })
    this.#queue.push({ chunks: [MAGIC], bytes: MAGIC.length, isStarted: false })
    this.#handshake = options.makeHandshake((frame) => this.#queue.push(frame))
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.#isLeaving
  }

  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** The bound on what waits is the caller's to keep, by `queuedBytes` or `room`. */
  send(frame: OutgoingFrame): void {
    assert(frame.bytes <= this.#options.limits.frameBytesMax, `a frame of ${frame.bytes} bytes is too large to send`)
    if (!this.isOpen) return
    this.#options.counters.add('sent_bytes', frame.bytes)
    this.#queue.push(frame)
  }

  /** Undefined when fewer than `bytes` wait; else resolves when that is so or the connection is closed. */
  room(bytes: number): Promise<void> | undefined {
    return this.#queue.room(bytes)
  }

  /** Stops reading, so that the other end is held up in turn. Silence is not counted against it meanwhile. */
  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#heard()
    this.#socket.resume()
  }

  /** At once: what still waits is dropped. Later calls do nothing. */
  close(reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#timer?.cancel()
    this.#aliveTimer?.cancel()
    this.#queue.close()
    this.#socket.destroy()
    if (this.#isLeaving) return
    if (this.#handshake !== undefined) {
      this.#handshake = undefined
      this.#options.onFailed(reason)
    } else {
      this.#handler?.onClose(reason)
    }
  }

  #received(chunk: Buffer): void {
    this.#heard()
    if (!this.isOpen) return
    this.#options.counters.add('received_bytes', chunk.length)
    try {
      this.#reader.push(chunk, (frame) => {
        this.#dispatch(frame)
        return this.isOpen
      })
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#options.counters.add('corrupt_streams')
      this.#options.onCorrupt(error.message)
      this.close(error.message)
    }
  }

  #dispatch(frame: Frame): void {
    if (this.#handshake !== undefined) {
      const outcome = this.#handshake.receive(frame)
      if (outcome !== undefined) this.#conclude(outcome)
    } else if (frame.type === FRAME.alive) {
      if (frame.header.length + frame.body.length > 0) throw new DecodeError('a sign of life carries bytes')
    } else {
      this.#handler?.onFrame(frame)
    }
  }

  #conclude(outcome: HandshakeOutcome): void {
    const { limits } = this.#options
    this.#handshake = undefined
    this.#timer?.cancel()
    if (outcome.kind === 'refused') {
      this.#leave()
      this.#options.onRefused(outcome)
      return
    }
    this.#reader.setBytesMax(limits.frameBytesMax)
    this.#scheduleAlive()
    this.#handler = this.#options.onAccepted(outcome)
    // It may have been closed in there, when nobody was listening yet.
    if (!this.#isOpen) this.#handler.onClose('closed')
  }

  /** Lets the last frame reach the other end, then closes. */
  #leave(): void {
    const { limits, clock } = this.#options
    this.#isLeaving = true
    const end = (): void => {
      if (this.#isOpen) this.#socket.end()
    }
    const drained = this.#queue.room(1)
    if (drained === undefined) end()
    else void drained.then(end)
    this.#timer = clock.after(limits.farewellMsMax, () => this.close('said farewell'))
  }

  /** Only what arrives is a sign of life: the kernel takes bytes for a dead machine, too. */
  #heard(): void {
    this.#heardAt = this.#options.clock.now()
  }

  #scheduleAlive(): void {
    const { clock, limits } = this.#options
    const dueAt = clock.now() + limits.aliveMs
    this.#aliveTimer = clock.after(limits.aliveMs, () => {
      if (this.#queue.bytes === 0) this.#queue.push({ ...ALIVE })
      // After a stall of our own, of a whole machine even, silence proves nothing: it is counted from now.
      if (clock.now() - dueAt > limits.aliveMs) this.#heard()
      // The peer's bytes may be waiting in the socket: they are read before it is judged.
      if (this.#isSilent()) clock.soon(() => this.#closeIfSilent())
      if (this.#isOpen) this.#scheduleAlive()
    })
  }

  #isSilent(): boolean {
    return !this.#isPaused && this.#options.clock.now() - this.#heardAt >= this.#options.limits.silenceMsMax
  }

  #closeIfSilent(): void {
    if (!this.#isOpen || !this.#isSilent()) return
    this.#options.counters.add('silent_connections')
    this.close(`silent for ${this.#options.limits.silenceMsMax} ms`)
  }
}
