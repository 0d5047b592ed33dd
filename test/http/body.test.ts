// Bodies that arrive in pieces are counted over all connections, and the count returns to zero however they end.
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { BodyReader } from '../../src/http/body.ts'
import { HTTP_LIMITS } from '../../src/http/limits.ts'
import { eventually } from './harness.ts'

type RawRequest = Parameters<BodyReader['read']>[0]

/** What the reader needs of a request: its stream and its headers. */
const request = (headers: Record<string, string> = {}): PassThrough & RawRequest =>
  Object.assign(new PassThrough(), { headers }) as unknown as PassThrough & RawRequest

const MiB = 1_048_576

const collect = (reader: BodyReader, from: RawRequest): Promise<Uint8Array | QuorateError> =>
  new Promise((resolve) => {
    reader.read(from, MiB, resolve)
  })

describe('a body', () => {
  it('in pieces is put together', async () => {
    const reader = new BodyReader()
    const raw = request({ 'content-length': '6' })
    const body = collect(reader, raw)
    raw.write('abc')
    await eventually(() => reader.receivingBytes).toBe(3)
    raw.end('def')
    expect(Buffer.from((await body) as Uint8Array).toString()).toBe('abcdef')
    expect(reader.receivingBytes).toBe(0)
  })

  it('that breaks off gives its bytes back and calls nobody', async () => {
    const reader = new BodyReader()
    const raw = request()
    let calls = 0
    reader.read(raw, MiB, () => calls++)
    raw.write('abc')
    await eventually(() => reader.receivingBytes).toBe(3)
    raw.destroy()
    await eventually(() => reader.receivingBytes).toBe(0)
    expect(calls).toBe(0)
  })

  it('past its limit is VALUE_TOO_LARGE, and the rest of it is thrown away', async () => {
    const reader = new BodyReader()
    const raw = request()
    const body = collect(reader, raw)
    raw.write(Buffer.alloc(MiB))
    raw.write('x')
    expect(await body).toMatchObject({ code: 'VALUE_TOO_LARGE' })
    expect(reader.receivingBytes).toBe(0)
    raw.end(Buffer.alloc(MiB))
    await new Promise((resolve) => raw.once('close', resolve))
  })

  it('beyond what may arrive at once is OVERLOADED, and others go on', async () => {
    const reader = new BodyReader()
    const outcomes: (Uint8Array | QuorateError)[] = []
    const held = HTTP_LIMITS.receivingBytesMax / MiB
    const raws = Array.from({ length: held }, () => request())
    const piece = Buffer.alloc(MiB)
    for (const raw of raws) {
      reader.read(raw, MiB, (outcome) => outcomes.push(outcome))
      raw.write(piece)
    }
    await eventually(() => reader.receivingBytes).toBe(HTTP_LIMITS.receivingBytesMax)
    const late = request()
    const refused = collect(reader, late)
    late.write('x')
    expect(await refused).toMatchObject({ code: 'OVERLOADED' })
    for (const raw of raws) raw.end()
    await eventually(() => outcomes.length).toBe(held)
    expect(outcomes.some((outcome) => outcome instanceof QuorateError)).toBe(false)
    expect(reader.receivingBytes).toBe(0)
  })
})
