// Request bodies of raw values: read straight from Node's request, whatever the content type says. Bounded twice: by the
// size of one value before anything is buffered, and by what is arriving on all connections together.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import { EMPTY_BYTES } from '../lib/bytes.ts'
import { HTTP_LIMITS } from './limits.ts'

type RawRequest = FastifyRequest['raw']
type RawResponse = FastifyReply['raw']

/** Requests that wait for `100 Continue`. */
export class Continuations {
  readonly #waiting = new WeakSet<RawRequest>()

  expect(request: RawRequest): void {
    this.#waiting.add(request)
  }

  /** Refuses a body that is declared too large; else asks for it, where the client waits to be asked. */
  admit(request: RawRequest, response: RawResponse, bytesMax: number): void {
    const { headers } = request
    const declared = headers['content-length']
    if (declared !== undefined && Number(declared) > bytesMax) throw tooLarge(bytesMax)
    if (headers.expect !== undefined && this.#waiting.has(request)) response.writeContinue()
  }
}

const tooLarge = (bytesMax: number): QuorateError =>
  new QuorateError('VALUE_TOO_LARGE', `The body is larger than ${bytesMax} bytes.`)

export type BodyCallback = (body: Uint8Array | QuorateError) => void

/** Collects bodies; one for each server, because it counts the bytes that are still arriving. */
export class BodyReader {
  #receivingBytes = 0

  get receivingBytes(): number {
    return this.#receivingBytes
  }

  /** Calls back once with the whole body or a refusal; never, when the connection breaks before. */
  read(request: RawRequest, bytesMax: number, done: BodyCallback): void {
    const declared = Number(request.headers['content-length'])
    let whole: Buffer | undefined
    const onData = (chunk: Buffer): void => {
      if (chunk.length === declared && whole === undefined) {
        whole = chunk
        return
      }
      request.removeListener('data', onData)
      request.removeListener('end', onEnd)
      this.#collect(request, chunk, bytesMax, done)
    }
    const onEnd = (): void => done(whole ?? EMPTY_BYTES)
    request.on('data', onData)
    request.on('end', onEnd)
  }

  /** The body comes in pieces, or without a length: from here on it is counted until it is whole, refused or cut off. */
  #collect(request: RawRequest, first: Buffer, bytesMax: number, done: BodyCallback): void {
    const chunks: Buffer[] = []
    let length = 0
    const add = (chunk: Buffer): void => {
      chunks.push(chunk)
      length += chunk.length
      this.#receivingBytes += chunk.length
      if (length > bytesMax) stop(tooLarge(bytesMax))
      else if (this.#receivingBytes > HTTP_LIMITS.receivingBytesMax)
        stop(new QuorateError('OVERLOADED', 'Too many request bodies are arriving at once.'))
    }
    const onEnd = (): void => stop(Buffer.concat(chunks, length))
    const onClose = (): void => stop(undefined)
    const stop = (outcome: Uint8Array | QuorateError | undefined): void => {
      request.removeListener('data', add)
      request.removeListener('end', onEnd)
      request.removeListener('close', onClose)
      this.#receivingBytes -= length
      // What still arrives is thrown away, so that the client, busy sending, comes to read the refusal.
      request.resume()
      if (outcome !== undefined) done(outcome)
    }
    request.on('data', add)
    request.on('end', onEnd)
    request.on('close', onClose)
    add(first)
  }
}
