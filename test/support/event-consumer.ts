// A consumer of server-sent events over a plain socket, as a browser's EventSource is one: it keeps what is whole, remembers the
// last id, and when its node is gone goes on behind that id on another one.
import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { pauseFor } from './scale.ts'

/** Before another node is tried. */
const RECONNECT_MS = 100

export class EventConsumer {
  /** `<revision> <key>` of each event whose revision arrived whole, in order. */
  readonly heard: string[] = []
  /** Connections that were begun. */
  connections = 0
  /** Events that announced an end, or that nobody expected. */
  readonly endings: string[] = []
  readonly #urls: readonly string[]
  readonly #query: string
  /** Of the current connection: events of a revision that is not whole yet, and text that is not an event yet. */
  #partial: string[] = []
  #text = ''
  #lastId: string | undefined
  #request: ClientRequest | undefined
  #isOpen = false
  #isStopped = false
  #at: number

  constructor(urls: readonly string[], query: string, at: number) {
    this.#urls = urls
    this.#query = query
    this.#at = at
    this.#connect()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  stop(): void {
    this.#isStopped = true
    this.#request?.destroy()
  }

  #connect(): void {
    this.connections++
    this.#partial = []
    this.#text = ''
    const resume = this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId }
    const url = `${this.#urls[this.#at % this.#urls.length]!}/v1/watch?${this.#query}`
    const request = get(url, { agent: false, headers: { accept: 'text/event-stream', ...resume } }, (answer) => {
      if (answer.statusCode === 200) this.#isOpen = true
      else this.endings.push(`status ${answer.statusCode}`)
      this.#read(answer)
    })
    request.on('error', () => {})
    request.on('close', () => void this.#again())
    this.#request = request
  }

  async #again(): Promise<void> {
    this.#isOpen = false
    if (this.#isStopped) return
    this.#at++
    await pauseFor(RECONNECT_MS)
    if (!this.#isStopped) this.#connect()
  }

  #read(answer: IncomingMessage): void {
    answer.setEncoding('utf8')
    answer.on('error', () => {})
    answer.on('data', (chunk: string) => {
      if (answer.statusCode !== 200) return
      const pieces = (this.#text + chunk).split('\n\n')
      this.#text = pieces.pop()!
      for (const piece of pieces) this.#take(piece)
    })
  }

  #take(piece: string): void {
    let [event, id, data] = ['', undefined as string | undefined, '']
    for (const line of piece.split('\n')) {
      if (line.startsWith('event: ')) event = line.slice(7)
      else if (line.startsWith('id: ')) id = line.slice(4)
      else if (line.startsWith('data: ')) data = line.slice(6)
    }
    if (event === 'put' || event === 'delete') {
      const { revision, key } = JSON.parse(data) as { revision: number; key: string }
      this.#partial.push(`${revision} ${key}`)
    } else if (event !== 'progress' && event !== 'sync' && event !== 'lagging') this.endings.push(piece)
    if (id === undefined) return
    for (const one of this.#partial) this.heard.push(one)
    this.#partial = []
    this.#lastId = id
  }
}

/** The events of a range from a revision up to another, as one node has them in its history. */
export function historyOf(url: string, query: string, through: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const found: string[] = []
    let text = ''
    const request = get(`${url}/v1/watch?${query}`, { agent: false, headers: { accept: 'application/x-ndjson' } })
    request.on('error', reject)
    request.on('response', (answer) => {
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        const lines = (text + chunk).split('\n')
        text = lines.pop()!
        for (const line of lines) {
          const { event, revision, key, value, id } = JSON.parse(line) as Readonly<Record<string, string | number>>
          if (event === 'put' || event === 'delete')
            found.push(`${revision} ${key}${query.includes('key=') ? ` ${value}` : ''}`)
          if (id === undefined || Number(id) < through) continue
          request.destroy()
          resolve(found)
        }
      })
    })
  })
}
