// What a put, a get and a filling transaction are in each system's own HTTP, ready to be written to a socket.

export type Dialect = 'quorate' | 'etcd'

/** The defaults, from which one variable at a time is moved. */
export const BENCH_KEYS = 20_000
export const BENCH_VALUE_BYTES = 128

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
/** Also etcd's default limit of operations in one transaction. */
export const FILL_KEYS = 128
/** Below the limits of a request of both. */
const FILL_BYTES_MAX = 512 * 1024
/** Of one put around its value, in JSON. */
const FILL_FRAME_BYTES = 64
/** Different values to choose from: writing the same bytes again and again would flatter whoever compresses. */
const VALUES_MAX = 64
const VALUES_BYTES_MAX = 4 * 1024 * 1024

/** How many puts of that size fill one transaction; values may grow by a third in base64. */
export const fillKeysOf = (valueBytes: number): number =>
  Math.max(1, Math.min(FILL_KEYS, Math.floor(FILL_BYTES_MAX / (FILL_FRAME_BYTES + (valueBytes * 4) / 3))))

/** mulberry32: small, quick, and the same run for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** 16 bytes each, whatever their number, so that only the count of keys differs between runs. */
export const keyName = (at: number): string => `bench/${String(at).padStart(10, '0')}`

export const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')

export class Requests {
  readonly #dialect: Dialect
  readonly #values: readonly string[]
  readonly #random: () => number

  constructor(dialect: Dialect, valueBytes: number, random: () => number) {
    this.#dialect = dialect
    this.#random = random
    const count = Math.max(2, Math.min(VALUES_MAX, Math.floor(VALUES_BYTES_MAX / Math.max(1, valueBytes))))
    const values = Array.from({ length: count }, () =>
      Array.from({ length: valueBytes }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join(''),
    )
    this.#values = dialect === 'etcd' ? values.map(base64) : values
  }

  put(key: string): string {
    const value = this.#value()
    if (this.#dialect === 'etcd') return post('/v3/kv/put', `{"key":"${base64(key)}","value":"${value}"}`)
    return `PUT /v1/kv/${key} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: ${value.length}\r\n\r\n${value}`
  }

  /** Linearizable on both sides: it is the default of both. */
  get(key: string): string {
    if (this.#dialect === 'etcd') return post('/v3/kv/range', `{"key":"${base64(key)}"}`)
    return `GET /v1/kv/${key} HTTP/1.1\r\nhost: localhost\r\n\r\n`
  }

  /** Writes keys number `from` up to `to`, exclusive, in one transaction. */
  fill(from: number, to: number): string {
    const puts: string[] = []
    for (let at = from; at < to; at++) {
      const key = keyName(at)
      puts.push(
        this.#dialect === 'etcd'
          ? `{"request_put":{"key":"${base64(key)}","value":"${this.#value()}"}}`
          : `{"put":{"key":"${key}","value":"${this.#value()}"}}`,
      )
    }
    return this.#dialect === 'etcd'
      ? post('/v3/kv/txn', `{"success":[${puts.join(',')}]}`)
      : post('/v1/txn', `{"then":[${puts.join(',')}]}`)
  }

  #value(): string {
    return this.#values[Math.floor(this.#random() * this.#values.length)]!
  }
}

const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
