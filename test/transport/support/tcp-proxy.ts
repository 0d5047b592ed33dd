// A TCP proxy inside the test: passes bytes on to one port, and on request cuts connections, holds them or refuses new ones.
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

interface Pair {
  readonly incoming: Socket
  readonly outgoing: Socket
  /** What the caller sent, in order. */
  bytesForward: number
  bytesBack: number
}

export class TcpProxy {
  /** 0 refuses. */
  target = 0
  /** Called for each piece before it is passed on; false cuts the connection instead. */
  filter: ((pair: Readonly<Pair>, direction: 'forward' | 'back', piece: Buffer) => boolean) | undefined
  readonly pairs = new Set<Pair>()
  readonly #server: Server
  #isHolding = false

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (incoming) => this.#accept(incoming))
  }

  static async open(): Promise<TcpProxy> {
    const server = createServer({ noDelay: true })
    const proxy = new TcpProxy(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  cutAll(): void {
    for (const { incoming, outgoing } of this.pairs) {
      incoming.destroy()
      outgoing.destroy()
    }
  }

  /** Nothing passes, and nobody is told: a network that swallows. */
  hold(isHolding: boolean): void {
    this.#isHolding = isHolding
    for (const { incoming, outgoing } of this.pairs)
      for (const socket of [incoming, outgoing])
        if (isHolding) socket.pause()
        else socket.resume()
  }

  async close(): Promise<void> {
    this.cutAll()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  #accept(incoming: Socket): void {
    incoming.on('error', () => {})
    if (this.target === 0) {
      incoming.destroy()
      return
    }
    const outgoing = connect({ host: '127.0.0.1', port: this.target, noDelay: true })
    outgoing.on('error', () => {})
    const pair: Pair = { incoming, outgoing, bytesForward: 0, bytesBack: 0 }
    this.pairs.add(pair)
    this.#pass(pair, 'forward')
    this.#pass(pair, 'back')
    if (this.#isHolding) this.hold(true)
  }

  #pass(pair: Pair, direction: 'forward' | 'back'): void {
    const [from, to] = direction === 'forward' ? [pair.incoming, pair.outgoing] : [pair.outgoing, pair.incoming]
    from.on('data', (piece: Buffer) => {
      if (this.filter?.(pair, direction, piece) === false) {
        from.destroy()
        to.destroy()
        return
      }
      if (direction === 'forward') pair.bytesForward += piece.length
      else pair.bytesBack += piece.length
      if (to.write(piece)) return
      from.pause()
      to.once('drain', () => {
        if (!this.#isHolding) from.resume()
      })
    })
    from.on('close', () => {
      // What was passed on already still leaves; a socket that cannot send it is not waited for.
      if (this.#isHolding) to.destroy()
      else to.destroySoon()
      this.pairs.delete(pair)
    })
  }
}
