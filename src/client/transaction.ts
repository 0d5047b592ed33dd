// Optimistic transactions: reads remember the revisions they saw, writes wait, and one atomic command at the end writes them all if nothing that was
// read has changed. Else the function runs again. All reads of a run see the store at one revision.
import type { Compare, TxnOperation } from '../api/commands.ts'
import { rangeOfKey } from '../api/ranges.ts'
import type { KeyString } from '../lib/bytes.ts'
import { requiredNumber } from './answers.ts'
import { ClientError, refusal } from './client-error.ts'
import { deleteCommand, fenceOf, putCommand } from './commands.ts'
import { wrongResult } from './core.ts'
import type { ClientCore } from './core.ts'
import { Entry, OCTET_STREAM } from './entry.ts'
import { keyString } from './key-path.ts'
import type { Key } from './key-path.ts'
import { leaseIdOf, checkOptions, ALLOWED } from './option-checks.ts'
import { getOperation } from './operations.ts'
import type { CallOptions, FenceOption, Lifetime } from './options.ts'
import { pause } from './pause.ts'
import { pauseMs } from './retry-policy.ts'
import type { TransportResponse } from './transport.ts'

export interface TransactionOptions extends CallOptions {
  /** How often the function may run before CONFLICT is thrown. Default 16. `timeoutMs` is for each read and for each commit. */
  readonly attempts?: number | undefined
  /** Only while this lock is held. */
  readonly fence?: FenceOption | undefined
}

const ATTEMPTS_DEFAULT = 16

interface Reading {
  readonly entry: Entry | undefined
  /** The revision of the store that it was read from. */
  readonly revision: number
}

const requiredRevision = (response: TransportResponse): number => requiredNumber(response, 'quorate-revision')

/** What the function of a transaction is given. Its writes happen at the end, all or none. */
export class Transaction {
  readonly #core: ClientCore
  readonly #options: CallOptions
  /** The revision that each key had when it was first read; 0 when absent. */
  readonly #read = new Map<KeyString, { readonly revision: number; readonly entry: Entry | undefined }>()
  readonly #writes = new Map<KeyString, { readonly operation: TxnOperation; readonly entry: Entry | undefined }>()
  #first: Promise<Reading> | undefined

  constructor(core: ClientCore, options: CallOptions) {
    this.#core = core
    this.#options = options
  }

  /** The entry as it was when the transaction first read, or as the transaction has written it since (then with `revision` 0). */
  async get(key: Key): Promise<Entry | undefined> {
    const name = keyString(key)
    const written = this.#writes.get(name)
    if (written !== undefined) return written.entry
    const known = this.#read.get(name)
    if (known !== undefined) return known.entry
    // The first read fixes the revision that all reads of this run see.
    const first = this.#first
    const reading = this.#fetch(key, first === undefined ? undefined : (await first).revision)
    this.#first ??= reading
    const { entry } = await reading
    this.#read.set(name, { revision: entry?.revision ?? 0, entry })
    return entry
  }

  #fetch(key: Key, revision: number | undefined): Promise<Reading> {
    const operation = getOperation(key, { revision })
    return this.#core.run(
      {
        ...operation,
        parse: (response) => ({ entry: operation.parse(response), revision: requiredRevision(response) }),
      },
      this.#options,
    )
  }

  put(key: Key, value: string | Uint8Array, options: Lifetime & { readonly contentType?: string } = {}): void {
    checkOptions(options, PUT_OPTIONS)
    const operation = putCommand(key, value, options)
    const { contentType = OCTET_STREAM, ttlMs, lease } = options
    const id = lease === undefined ? undefined : leaseIdOf(lease)
    const counters = { revision: 0, createRevision: 0, version: 0 }
    const entry = new Entry({ key, value: operation.value, contentType, ...counters, lease: id, ttlMs })
    this.#writes.set(operation.key, { operation, entry })
  }

  putJson(key: Key, value: unknown, options: Lifetime = {}): void {
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw refusal('BAD_REQUEST', `JSON has no ${typeof value}`)
    this.put(key, text, { ...options, contentType: 'application/json' })
  }

  delete(key: Key): void {
    const operation = deleteCommand(key, {})
    this.#writes.set(operation.key, { operation, entry: undefined })
  }

  /** False: something that was read has changed. */
  async commit(fence: FenceOption | undefined): Promise<boolean> {
    // All that was read was true at one revision: there is nothing to be checked.
    if (this.#writes.size === 0) return true
    const compares: Compare[] = []
    for (const [key, { revision }] of this.#read)
      compares.push({ range: rangeOfKey(key), operator: '=', target: 'modRevision', operand: revision })
    const success = [...this.#writes.values()].map(({ operation }) => operation)
    const { timeoutMs, signal } = this.#options
    const result = await this.#core.write(
      { op: 'txn', compares, success, failure: [], ...fenceOf(fence) },
      { name: 'transaction', timeoutMs, signal },
    )
    if (result.kind !== 'txn') throw wrongResult('transaction', result)
    return result.succeeded
  }
}

const PUT_OPTIONS = new Set(['ttlMs', 'lease', 'contentType'])

/** Runs the function until its transaction commits, with pauses between, and gives what it returned. */
export async function runTransaction<T>(
  core: ClientCore,
  body: (transaction: Transaction) => Promise<T> | T,
  options: TransactionOptions,
): Promise<T> {
  checkOptions(options, ALLOWED.transaction)
  const { attempts = ATTEMPTS_DEFAULT, fence, timeoutMs, signal } = options
  for (let attempt = 1; ; attempt++) {
    const transaction = new Transaction(core, { timeoutMs, signal })
    try {
      const value = await body(transaction)
      if (await transaction.commit(fence)) return value
    } catch (error) {
      // The revision that it began with is forgotten already: as good as changed.
      if (!(error instanceof ClientError) || error.code !== 'COMPACTED') throw error
    }
    if (attempt >= attempts) {
      const message = `transaction failed: others changed what it had read, ${attempt} times in a row`
      throw new ClientError('CONFLICT', message, { outcome: 'not-applied', retryable: true, attempts: attempt })
    }
    await pause(core.context, pauseMs(attempt - 1, 0, core.context.prng), signal)
  }
}
