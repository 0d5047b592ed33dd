// Reads answers of HTTP/1.1 from a socket, one at a time, in the least work that does it: a load generator shares the machine with
// what it measures, so whatever it spends is missing there. It knows what the measured systems send: content-length or chunks.

/** Enough of an error's body to see what it is about. */
const SAMPLE_CHARS = 300

export class AnswerReader {
  /** Of the latest complete answer. */
  status = 0
  /** The beginning of the body, where the status is an error's. */
  sample = ''
  #text = ''
  #place: 'head' | 'body' | 'line' = 'head'
  #left = 0
  #isChunked = false
  #isLastChunk = false

  /** True when the answer is complete. There is one request at a time, so nothing follows it. */
  read(bytes: Buffer): boolean {
    let at = 0
    while (at < bytes.length || (this.#place === 'body' && this.#left === 0)) {
      if (this.#place === 'head') {
        const text = this.#text + bytes.toString('latin1', at)
        const end = text.indexOf('\r\n\r\n')
        if (end < 0) {
          this.#text = text
          return false
        }
        at += end + 4 - this.#text.length
        this.#begin(text.slice(0, end + 2))
      } else if (this.#place === 'body') {
        const taken = Math.min(this.#left, bytes.length - at)
        if (this.status >= 400) this.#keep(bytes.toString('latin1', at, at + taken))
        at += taken
        this.#left -= taken
        if (this.#left > 0) return false
        if (!this.#isChunked) return this.#finish()
        this.#place = 'line'
      } else {
        const end = bytes.indexOf(0x0a, at)
        this.#text += bytes.toString('latin1', at, end < 0 ? bytes.length : end)
        if (end < 0) return false
        at = end + 1
        if (this.#endsWithLine()) return this.#finish()
      }
    }
    return false
  }

  #begin(head: string): void {
    this.status = Number(head.slice(9, 12))
    this.sample = ''
    this.#text = ''
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1]
    this.#isChunked = length === undefined && /\r\ntransfer-encoding: *chunked\r\n/i.test(head)
    this.#isLastChunk = false
    if (length === undefined && !this.#isChunked && this.status !== 204 && this.status !== 304) {
      throw new Error(`an answer without a length: ${head.slice(0, SAMPLE_CHARS)}`)
    }
    this.#left = Number(length ?? 0)
    this.#place = this.#isChunked ? 'line' : 'body'
  }

  /** A line between chunks: the empty one behind a chunk, the size of the next, or a trailer. */
  #endsWithLine(): boolean {
    const line = this.#text.trim()
    this.#text = ''
    if (this.#isLastChunk) return line === ''
    if (line === '') return false
    this.#left = Number.parseInt(line, 16)
    if (!(this.#left >= 0)) throw new Error(`not the size of a chunk: ${line.slice(0, SAMPLE_CHARS)}`)
    if (this.#left === 0) this.#isLastChunk = true
    else this.#place = 'body'
    return false
  }

  #keep(text: string): void {
    this.sample = (this.sample + text).slice(0, SAMPLE_CHARS)
  }

  #finish(): true {
    this.#place = 'head'
    return true
  }
}
