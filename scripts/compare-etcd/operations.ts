// The operations that both stores are asked for, drawn at random, and what is compared of their answers: plain data, the same
// for both. Few keys, so that overwrites, deletes and conflicts are the rule.
import { Prng } from '../../src/lib/prng.ts'

export interface Range {
  readonly from: string
  /** Exclusive. Undefined: the one key `from`. */
  readonly to: string | undefined
}

export type CompareTarget = 'version' | 'createRevision' | 'modRevision' | 'value' | 'lease'
export type CompareOperator = '=' | '!=' | '<' | '>'

export interface Comparison {
  readonly range: Range
  readonly target: CompareTarget
  readonly operator: CompareOperator
  /** A decimal number, for a value the value itself, for a lease its decimal id. */
  readonly operand: string
}

export type Step =
  | { readonly op: 'put'; readonly key: string; readonly value: string; readonly lease: number }
  | { readonly op: 'delete'; readonly range: Range }
  | {
      readonly op: 'get'
      readonly range: Range
      readonly limit: number
      readonly reverse: boolean
      readonly countOnly: boolean
      /** 0: the present. */
      readonly revision: number
    }
  | {
      readonly op: 'txn'
      readonly compares: readonly Comparison[]
      readonly success: readonly Step[]
      readonly failure: readonly Step[]
    }

export type Operation =
  | Step
  | { readonly op: 'grant'; readonly lease: number; readonly ttl: number }
  | { readonly op: 'revoke'; readonly lease: number }
  | { readonly op: 'lease-keys'; readonly lease: number }
  | { readonly op: 'compact'; readonly revision: number }
  | { readonly op: 'watch'; readonly range: Range; readonly revision: number; readonly prev: boolean }

export interface Entry {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly lease: number
}

export interface Event {
  readonly kind: 'put' | 'delete'
  readonly entry: Entry
  readonly prev: Entry | null
}

export type Answer =
  | { readonly error: 'compacted' | 'future' | 'lease-not-found' | 'lease-exists' | 'duplicate-key' }
  | {
      readonly revision: number
      readonly deleted?: number
      readonly entries?: readonly Entry[]
      readonly count?: number
      readonly more?: boolean
      readonly succeeded?: boolean
      readonly results?: readonly object[]
      readonly keys?: readonly string[]
      readonly events?: readonly Event[]
    }

/** A store under comparison. */
export interface Store {
  perform(operation: Operation): Promise<Answer>
  close(): Promise<void>
}

const KEYS = ['a', 'a/1', 'a/2', 'a/2/x', 'b', 'b/1', 'c', 'd/1', 'd/2', 'é']
const PREFIXES = ['a', 'a/', 'b', 'd/', 'zz']
const LEASES = [101, 102, 103]

/** Draws operations. It knows only the latest revision, which both stores must agree on. */
export class Draw {
  readonly #prng: Prng
  #values = 0

  constructor(seed: number) {
    this.#prng = new Prng(seed)
  }

  operation(revision: number, compacted: number): Operation {
    const kind = this.#below(100)
    if (kind < 28) return this.#put()
    if (kind < 38) return { op: 'delete', range: this.#range() }
    if (kind < 56) return this.#get(this.#pastRevision(revision, compacted))
    if (kind < 78) return this.#txn(2)
    if (kind < 82) return { op: 'grant', lease: this.#pick(LEASES), ttl: 3_600 }
    if (kind < 85) return { op: 'revoke', lease: this.#pick(LEASES) }
    if (kind < 88) return { op: 'lease-keys', lease: this.#pick(LEASES) }
    if (kind < 90) return { op: 'compact', revision: this.#revisionAround(revision, compacted) }
    return {
      op: 'watch',
      range: this.#range(),
      revision: 1 + this.#below(revision),
      prev: this.#below(2) === 0,
    }
  }

  #put(): Step {
    const lease = this.#below(4) === 0 ? this.#pick(LEASES) : 0
    return { op: 'put', key: this.#pick(KEYS), value: this.#value(), lease }
  }

  #get(revision: number): Step {
    const countOnly = this.#below(5) === 0
    const limit = countOnly || this.#below(2) === 0 ? 0 : 1 + this.#below(4)
    return { op: 'get', range: this.#range(), limit, reverse: this.#below(3) === 0, countOnly, revision }
  }

  #txn(depth: number): Step {
    const branch = (): Step[] =>
      Array.from({ length: this.#below(4) }, () => {
        const kind = this.#below(depth > 0 ? 10 : 9)
        if (kind < 4) return this.#put()
        if (kind < 6) return { op: 'delete', range: this.#range() }
        return kind < 9 ? this.#get(0) : this.#txn(depth - 1)
      })
    const compares = Array.from({ length: this.#below(3) }, () => this.#comparison())
    return { op: 'txn', compares, success: branch(), failure: branch() }
  }

  #comparison(): Comparison {
    const target = this.#pick<CompareTarget>(['version', 'createRevision', 'modRevision', 'value', 'lease'])
    const operators: readonly CompareOperator[] = target === 'lease' ? ['=', '!='] : ['=', '!=', '<', '>']
    const operand = {
      version: () => String(this.#below(4)),
      createRevision: () => String(this.#below(40)),
      modRevision: () => String(this.#below(60)),
      value: () => `v${this.#below(this.#values + 1)}`,
      lease: () => String(this.#pick([0, ...LEASES])),
    }[target]()
    const range = this.#below(3) === 0 ? this.#range() : { from: this.#pick(KEYS), to: undefined }
    return { range, target, operator: this.#pick(operators), operand }
  }

  #range(): Range {
    const kind = this.#below(3)
    if (kind === 0) return { from: this.#pick(KEYS), to: undefined }
    const from = this.#pick(kind === 1 ? PREFIXES : KEYS)
    if (kind === 1) return { from, to: from.slice(0, -1) + String.fromCharCode(from.charCodeAt(from.length - 1) + 1) }
    const to = this.#pick(KEYS)
    return from < to ? { from, to } : { from: to, to: `${from}~` }
  }

  #pastRevision(revision: number, compacted: number): number {
    return this.#below(3) === 0 ? this.#revisionAround(revision, compacted) : 0
  }

  /** Mostly between the compacted revision and the latest, sometimes just outside. */
  #revisionAround(revision: number, compacted: number): number {
    return Math.max(1, compacted - 1 + this.#below(revision - compacted + 4))
  }

  #value(): string {
    return `v${this.#values++}`
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!
  }

  #below(limit: number): number {
    return this.#prng.below(limit)
  }
}
