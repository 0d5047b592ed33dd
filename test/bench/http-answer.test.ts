// The generator's reader of answers: however the bytes are cut, it sees the same answers, and knows when each is complete.
import { describe, expect, test } from 'vitest'
import { AnswerReader } from '../../scripts/bench/load/http-answer.ts'

const SIZED = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "1"\r\n\r\nhello'
const EMPTY = 'HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n\r\nw\r\n0\r\n\r\n'
const TRAILED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n'
const BODILESS = 'HTTP/1.1 204 No Content\r\n\r\n'
const ERROR = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nno leader'

const ALL: readonly (readonly [string, string, number])[] = [
  ['with a length', SIZED, 200],
  ['without a body', EMPTY, 201],
  ['in chunks', CHUNKED, 200],
  ['in chunks with a trailer', TRAILED, 200],
  ['that may have no body', BODILESS, 204],
  ['of an error', ERROR, 503],
]

describe.each(ALL)('an answer %s', (_what, text, status) => {
  test('is complete with its last byte, not before', () => {
    for (let cut = 0; cut <= text.length; cut++) {
      const reader = new AnswerReader()
      const first = cut > 0 && reader.read(Buffer.from(text.slice(0, cut)))
      expect(first, `after ${cut} bytes`).toBe(cut === text.length)
      if (!first) expect(reader.read(Buffer.from(text.slice(cut))), `cut at ${cut}`).toBe(true)
      expect(reader.status).toBe(status)
    }
  })

  test('byte by byte', () => {
    const reader = new AnswerReader()
    const complete = Array.from(Buffer.from(text), (byte) => reader.read(Buffer.from([byte])))
    expect(complete.indexOf(true)).toBe(text.length - 1)
  })
})

test('one reader reads answers of all kinds after each other', () => {
  const reader = new AnswerReader()
  for (const [, text, status] of [...ALL, ...ALL]) {
    expect(reader.read(Buffer.from(text))).toBe(true)
    expect(reader.status).toBe(status)
  }
})

test('an error keeps the beginning of its body, a success none', () => {
  const reader = new AnswerReader()
  reader.read(Buffer.from(ERROR))
  expect(reader.sample).toBe('no leader')
  reader.read(Buffer.from(SIZED))
  expect(reader.sample).toBe('')
})

test('an answer whose end nobody could know is refused', () => {
  expect(() => new AnswerReader().read(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))).toThrow(/without a length/)
})
