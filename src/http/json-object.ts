// Objects of a JSON request, read member by member and strictly: what is missing, of another type, out of bounds or not known
// is refused with its path, such as `then[0].put.ttl`. A schema of nested unions could only say that nothing matched.
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { fromBase64url, keyFromBytes } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'
import { durationOf } from './query.ts'

/** Half of a UTF-16 pair: JSON can spell it, UTF-8 cannot. */
const LONE_SURROGATE = /\p{Surrogate}/u

export class JsonObject {
  readonly path: string
  readonly #members: Readonly<Record<string, unknown>>
  readonly #known = new Set<string>()

  constructor(value: unknown, path: string) {
    this.path = path
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.error('must be an object')
    this.#members = value as Readonly<Record<string, unknown>>
  }

  error(detail: string, member?: string): QuorateError {
    const path = member === undefined ? this.path : this.pathOf(member)
    return new QuorateError('BAD_REQUEST', `${path === '' ? 'The body' : path} ${detail}.`)
  }

  pathOf(member: string): string {
    return this.path === '' ? member : `${this.path}.${member}`
  }

  has(name: string): boolean {
    this.#known.add(name)
    return Object.hasOwn(this.#members, name)
  }

  /** Whatever it is, or undefined. */
  value(name: string): unknown {
    return this.has(name) ? this.#members[name] : undefined
  }

  /** Refuses members that were not asked for. Call it when all were. */
  close(): void {
    for (const name of Object.keys(this.#members)) {
      if (this.#known.has(name)) continue
      const known = [...this.#known].join(', ')
      throw this.error(`has a member ${JSON.stringify(name.slice(0, 64))} that is not known (known here: ${known})`)
    }
  }

  text(name: string, bytesMax: number): string | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (typeof value !== 'string' || LONE_SURROGATE.test(value)) throw this.error('must be a string', name)
    if (Buffer.byteLength(value) > bytesMax) throw this.error(`has more than ${bytesMax} bytes`, name)
    return value
  }

  flag(name: string): boolean {
    const value = this.value(name)
    if (value !== undefined && typeof value !== 'boolean') throw this.error('must be true or false', name)
    return value ?? false
  }

  integer(name: string, min: number, max: number): number | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.error(`must be a whole number from ${min} to ${max}`, name)
    return value
  }

  /** A duration such as "30s", or whole seconds. Milliseconds. */
  duration(name: string, minMs: number, maxMs: number): number | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const isNumber = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    const text = isNumber ? String(value) : value
    const durationMs = typeof text === 'string' ? durationOf(text) : undefined
    if (durationMs === undefined)
      throw this.error('must be a duration such as "500ms" or "30s", or whole seconds', name)
    if (durationMs < minMs || durationMs > maxMs) throw this.error(`must be from ${minMs}ms to ${maxMs}ms`, name)
    return durationMs
  }

  /** Text, or base64url under the name with 64 behind it. */
  bytes(name: string, bytesMax: number): Buffer | undefined {
    const text = this.value(name)
    const text64 = this.value(`${name}64`)
    if (text !== undefined && text64 !== undefined) throw this.error(`takes ${name} or ${name}64, not both`)
    if (text64 === undefined) {
      const plain = this.text(name, bytesMax)
      return plain === undefined ? undefined : Buffer.from(plain)
    }
    const bytes = typeof text64 === 'string' ? fromBase64url(text64) : undefined
    if (bytes === undefined) throw this.error('must be canonical base64url without padding', `${name}64`)
    if (bytes.length > bytesMax) throw this.error(`has more than ${bytesMax} bytes`, `${name}64`)
    return bytes
  }

  /** The same as a key or part of one. */
  keyBytes(name: string): KeyString | undefined {
    const bytes = this.bytes(name, WIRE_LIMITS.keyBytesMax)
    return bytes === undefined ? undefined : keyFromBytes(bytes)
  }

  object(name: string): JsonObject | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : new JsonObject(value, this.pathOf(name))
  }

  /** An absent list is an empty one. */
  objects(name: string): JsonObject[] {
    const value = this.value(name) ?? []
    if (!Array.isArray(value)) throw this.error('must be a list', name)
    return value.map((item, at) => new JsonObject(item, `${this.pathOf(name)}[${at}]`))
  }
}
