// An answer that goes on, over a simulated connection: its pieces take their time and keep their order, little is under way at once, and it
// breaks with its node, by chance, or when its reader gives it up.
import { TransportError } from '../../src/client/transport.ts'
import type { TransportRequest, TransportStream } from '../../src/client/transport.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { SimulatedCluster } from './cluster.ts'
import type { Host } from './host.ts'
import { drawMs } from './links.ts'
import type { AnswerSink, Exchange } from './simulated-edge.ts'

/** What may be under way before the node is told to wait. Bytes. */
const ROOM_BYTES = 400
const LOOK_MS = 100

type Piece = IteratorResult<Uint8Array, undefined>
type State = 'open' | 'ended' | 'broken'

export class SimulatedStream implements AnswerSink, AsyncIterator<Uint8Array, undefined> {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #host: Host
  readonly #settle: { resolve(stream: TransportStream): void; reject(error: TransportError): void }
  #exchange: Exchange | undefined
  #state: State = 'open'
  #pieces: Uint8Array[] = []
  #bytesUnderWay = 0
  #isBlocked = false
  #reader: { resolve(piece: Piece): void; reject(error: TransportError): void } | undefined
  /** What is on its way: it arrives in this order, even where times are equal but for a rounding. */
  readonly #arriving: (() => void)[] = []
  #lastAtMs = 0

  constructor(
    cluster: SimulatedCluster,
    prng: Prng,
    host: Host,
    settle: { resolve(stream: TransportStream): void; reject(error: TransportError): void },
  ) {
    this.#cluster = cluster
    this.#prng = prng
    this.#host = host
    this.#settle = settle
  }

  /** `serve` is called on the node, when the request has got there. */
  open(request: TransportRequest, serve: (sink: AnswerSink) => Exchange | undefined): void {
    const { world } = this.#cluster
    request.cancellation.onCancel = () => this.#break('the stream was given up')
    world.after(drawMs(this.#prng, 0.05, 0.5), () => {
      this.#host.input(() => {
        if (this.#state === 'open') this.#exchange = serve(this)
      })
    })
    this.#look()
  }

  onHead(status: number, headers: Readonly<Record<string, string>>): void {
    const body = { [Symbol.asyncIterator]: () => this }
    const close = (): void => this.#break('the stream was closed')
    this.#later(() => this.#settle.resolve({ status, headers, body, close }))
  }

  onChunk(bytes: Uint8Array): boolean {
    this.#bytesUnderWay += bytes.length
    this.#isBlocked = this.#bytesUnderWay > ROOM_BYTES
    this.#later(() => {
      this.#pieces.push(bytes)
      this.#give()
    })
    return !this.#isBlocked
  }

  onEnd(): void {
    this.#later(() => {
      this.#state = 'ended'
      this.#give()
    })
  }

  next(): Promise<Piece> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.#give()
    })
  }

  /** What a dead node had sent last does not arrive. */
  #later(arrive: () => void): void {
    const { world } = this.#cluster
    this.#lastAtMs = Math.max(this.#lastAtMs, world.nowMs + drawMs(this.#prng, 0.05, 0.5))
    this.#arriving.push(arrive)
    world.after(this.#lastAtMs - world.nowMs, () => {
      const next = this.#arriving.shift()
      if (this.#state === 'open' && this.#host.isAlive) next?.()
    })
  }

  #give(): void {
    const reader = this.#reader
    if (reader === undefined) return
    const piece = this.#pieces.shift()
    if (piece === undefined && this.#state === 'open') return
    this.#reader = undefined
    if (piece !== undefined) {
      this.#bytesUnderWay -= piece.length
      this.#unblock()
      reader.resolve({ done: false, value: piece })
    } else if (this.#state === 'ended') reader.resolve({ done: true, value: undefined })
    else reader.reject(new TransportError('broken', 'the connection broke'))
  }

  #unblock(): void {
    if (!this.#isBlocked || this.#bytesUnderWay > ROOM_BYTES) return
    this.#isBlocked = false
    this.#cluster.world.after(0.1, () => this.#host.input(() => this.#exchange?.resume()))
  }

  #look(): void {
    const { world, links } = this.#cluster
    world.after(LOOK_MS, () => {
      if (this.#state !== 'open') return
      if (!this.#host.isAlive || (!links.isQuiet && this.#prng.chance(1, 100))) this.#break('the connection broke')
      else this.#look()
    })
  }

  #break(why: string): void {
    if (this.#state !== 'open') return
    this.#state = 'broken'
    this.#pieces = []
    this.#settle.reject(new TransportError('broken', why))
    this.#give()
    this.#cluster.world.after(0.1, () => this.#host.input(() => this.#exchange?.hangUp()))
  }
}
