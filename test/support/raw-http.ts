// HTTP by hand over a socket: sends exactly these bytes and reads answers as they come, for what no client would send.
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export interface RawAnswer {
  readonly status: number
  /** Names in lower case; repeated headers joined by ', '. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export class RawConnection {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #isOver = false
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake?.()
    })
    socket.on('error', () => {})
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#isOver = true
        this.#wake?.()
      })
    }
  }

  static open(port: number): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.once('connect', () => resolve(new RawConnection(socket)))
      socket.once('error', reject)
    })
  }

  /** One code unit a byte. */
  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** The next answer, interim ones included. Rejects when the connection ends first. */
  async answer(options: { isHead?: boolean } = {}): Promise<RawAnswer> {
    const end = await this.#until(() => {
      const at = this.#received.indexOf('\r\n\r\n')
      return at === -1 ? undefined : at
    })
    const { status, headers } = headOf(this.#received.toString('latin1', 0, end))
    const hasBody = options.isHead !== true && status >= 200 && status !== 204 && status !== 304
    const length = hasBody ? Number(headers.get('content-length')) : 0
    if (Number.isNaN(length)) throw new Error('an answer without Content-Length')
    const start = end + 4
    await this.#until(() => (this.#received.length >= start + length ? true : undefined))
    const body = this.#received.subarray(start, start + length)
    this.#received = this.#received.subarray(start + length)
    return { status, headers, body }
  }

  /** The head of an answer whose body is a stream. */
  async head(): Promise<Omit<RawAnswer, 'body'>> {
    const end = await this.#until(() => {
      const at = this.#received.indexOf('\r\n\r\n')
      return at === -1 ? undefined : at
    })
    const head = headOf(this.#received.toString('latin1', 0, end))
    this.#received = this.#received.subarray(end + 4)
    return head
  }

  /** What a stream has brought so far, once it holds `part`: chunks joined, in UTF-8. Reads on from the head. */
  streamed(part: string): Promise<string> {
    return this.#until(() => {
      const { text } = chunksOf(this.#received)
      return text.includes(part) ? text : undefined
    })
  }

  /** The whole stream, once its last chunk has come; rejects when the connection ends before. */
  streamEnd(): Promise<string> {
    return this.#until(() => {
      const { text, isWhole } = chunksOf(this.#received)
      return isWhole ? text : undefined
    })
  }

  /** Resolves when the other side has closed; whatever it still sent is kept. */
  async closed(): Promise<Buffer> {
    while (!this.#isOver) await this.#news()
    return this.#received
  }

  close(): void {
    this.socket.destroy()
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (this.#isOver) throw new Error(`the connection ended; received: ${this.#received.toString('latin1')}`)
      await this.#news()
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }
}

function headOf(text: string): Omit<RawAnswer, 'body'> {
  const lines = text.split('\r\n')
  const status = Number(lines[0]?.split(' ')[1])
  const headers = new Map<string, string>()
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value)
  }
  return { status, headers }
}

/** The chunks that are complete, of a body in chunked transfer coding. */
function chunksOf(received: Buffer): { text: string; isWhole: boolean } {
  const chunks: Buffer[] = []
  for (let at = 0; ;) {
    const end = received.indexOf('\r\n', at)
    const length = end === -1 ? Number.NaN : Number.parseInt(received.toString('latin1', at, end), 16)
    const isWhole = length === 0
    if (isWhole || Number.isNaN(length) || received.length < end + 4 + length)
      return { text: Buffer.concat(chunks).toString(), isWhole }
    chunks.push(received.subarray(end + 2, end + 2 + length))
    at = end + 4 + length
  }
}
