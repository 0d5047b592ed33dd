// Headers of frames: a positional msgpack array, and a reader that checks every field by hand.
// msgpackr cannot be told to refuse its extensions, so whatever it returns is of unknown shape until it was looked at.
// Only frames after a completed handshake come here; before it, nothing a stranger sends reaches msgpackr.
import { Packr } from 'msgpackr'
import { DecodeError } from '../lib/bytes.ts'
import type { EntryId, NodeId } from '../raft/types.ts'

/** `useRecords: false`: no shared state between two headers, so the bytes depend on the values alone. */
const packr = new Packr({ useRecords: false, int64AsType: 'number' })

type HeaderValue = string | number | boolean | readonly number[]

export const packHeader = (fields: readonly HeaderValue[]): Uint8Array => packr.pack(fields)

export const isNodeId = (value: unknown): value is NodeId => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)

/** Reads a header front to back; `what` names the frame in errors. */
export class HeaderReader {
  readonly #what: string
  readonly #fields: readonly unknown[]
  #at = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#what = what
    let value: unknown
    try {
      value = packr.unpack(bytes)
    } catch (cause) {
      throw new DecodeError(`${what}: the header is not msgpack`, { cause })
    }
    if (!Array.isArray(value)) throw new DecodeError(`${what}: the header must be an array`)
    this.#fields = value as readonly unknown[]
  }

  /** A whole number in [0, max]. */
  integer(name: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#next(name)
    if (!isWhole(value, max)) return this.#refuse(name, `a whole number from 0 to ${max}`, value)
    // Minus zero becomes zero.
    return value + 0
  }

  boolean(name: string): boolean {
    const value = this.#next(name)
    return typeof value === 'boolean' ? value : this.#refuse(name, 'true or false', value)
  }

  nodeId(name: string): NodeId {
    const value = this.#next(name)
    return isNodeId(value) ? value : this.#refuse(name, '16 hex digits', value)
  }

  text(name: string, lengthMax: number): string {
    const value = this.#next(name)
    return typeof value === 'string' && value.length <= lengthMax
      ? value
      : this.#refuse(name, `a text of at most ${lengthMax}`, value)
  }

  entryId(name: string): EntryId {
    return { term: this.integer(`${name}.term`), index: this.integer(`${name}.index`) }
  }

  /** Whole numbers from 0. */
  integers(name: string): readonly number[] {
    const value = this.#next(name)
    if (!Array.isArray(value)) return this.#refuse(name, 'an array', value)
    for (const item of value as readonly unknown[])
      if (!isWhole(item, Number.MAX_SAFE_INTEGER)) return this.#refuse(name, 'an array of whole numbers', item)
    return value as readonly number[]
  }

  end(): void {
    if (this.#at !== this.#fields.length)
      throw new DecodeError(`${this.#what}: ${this.#fields.length} fields where ${this.#at} belong`)
  }

  #next(name: string): unknown {
    if (this.#at >= this.#fields.length) throw new DecodeError(`${this.#what}: ${name} is missing`)
    return this.#fields[this.#at++]
  }

  #refuse(name: string, wanted: string, value: unknown): never {
    throw new DecodeError(`${this.#what}: ${name} must be ${wanted}, not ${describe(value)}`)
  }
}

function isWhole(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
}

/** Short, whatever was sent. */
function describe(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'string') return `a text of ${value.length}`
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`
}
