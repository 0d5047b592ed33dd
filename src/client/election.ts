// Elections: candidates queue, the first one leads and proclaims a value, observers are told of each leader.
import { ClientError } from './client-error.ts'
import { valueBytes } from './commands.ts'
import type { ClientCore } from './core.ts'
import { keyString, nameTarget } from './key-path.ts'
import type { Key } from './key-path.ts'
import { acquire, leaderOf, leaderOperation, leaveQueue } from './lock.ts'
import type { Held, Leader, LockOptions } from './lock.ts'
import { ALLOWED, checkOptions } from './option-checks.ts'
import type { CallOptions } from './options.ts'
import { streamDocuments } from './streams.ts'

export type CampaignOptions = LockOptions

/** Leads, until it resigns or `signal` fires. */
export class Leadership {
  readonly name: Key
  readonly token: number
  readonly #core: ClientCore
  readonly #held: Held

  constructor(core: ClientCore, name: Key, held: Held) {
    this.#core = core
    this.name = name
    this.token = held.token
    this.#held = held
  }

  /** Fires before anybody else can lead, and after `resign`: whatever only a leader may do must stop. */
  get signal(): AbortSignal {
    return this.#held.lease.signal
  }

  /** Tells observers another value. Rejects with NOT_FOUND when it does not lead any more. */
  async proclaim(value: string | Uint8Array, options: CallOptions = {}): Promise<void> {
    checkOptions(options, ALLOWED.call)
    const { name, token } = this
    const command = { op: 'proclaim', name: keyString(name), token, value: valueBytes(value) } as const
    await this.#core.write(command, { ...options, name: 'proclaim' })
  }

  /** That it does not lead any more is no error. */
  async resign(options: CallOptions = {}): Promise<void> {
    checkOptions(options, ALLOWED.call)
    await leaveQueue(this.#core, { kind: 'election', name: this.name, held: this }, this.#held.lease, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resign()
  }
}

export class Election {
  readonly name: Key
  readonly #core: ClientCore

  constructor(core: ClientCore, name: Key) {
    keyString(name)
    this.#core = core
    this.name = name
  }

  /** Queues, and resolves once it leads. `value` is what observers are told: an address, a name. At most 4,096 bytes. */
  async campaign(value: string | Uint8Array = '', options: CampaignOptions = {}): Promise<Leadership> {
    checkOptions(options, ALLOWED.campaign)
    const queue = { kind: 'election', name: this.name } as const
    const held = await acquire(this.#core, queue, { ...options, value: valueBytes(value) })
    return new Leadership(this.#core, this.name, held)
  }

  /** Who leads now, confirmed by a majority. */
  async leader(options: CallOptions = {}): Promise<Leader | undefined> {
    checkOptions(options, ALLOWED.call)
    return this.#core.run(leaderOperation(this.name), options)
  }

  /**
   * Who leads, and then each change, undefined for nobody. A slow observer is told the latest only. Goes on over the death of nodes, and
   * never back to an earlier leader.
   */
  async *observe(options: CallOptions = {}): AsyncGenerator<Leader | undefined, void> {
    checkOptions(options, ALLOWED.call)
    const controller = new AbortController()
    let end: 'ABORTED' | 'CLOSED' | undefined
    const finish = (why: 'ABORTED' | 'CLOSED'): void => {
      end ??= why
      controller.abort()
    }
    const leave = this.#core.accompany({ close: () => finish('CLOSED') })
    const { signal, timeoutMs = this.#core.timeoutMs } = options
    const unlisten = signal && this.#core.context.abortListeners.add(signal, () => finish('ABORTED'))
    if (signal?.aborted === true) finish('ABORTED')
    const path = `/v1/elections/${nameTarget(this.name)}`
    const request = { name: 'observe', path, query: () => ['watch'], signal: controller.signal, timeoutMs }
    let last: Leader | undefined
    let hasTold = false
    let highest = 0
    try {
      for await (const { event, leader } of streamDocuments(this.#core, request)) {
        if (event !== 'leader') continue
        const next = leader === null ? undefined : leaderOf(leader)
        // Another node may be behind the one before.
        if (next !== undefined && next.token < highest) continue
        if (hasTold && isSame(next, last)) continue
        highest = Math.max(highest, next?.token ?? 0)
        last = next
        hasTold = true
        yield next
      }
    } finally {
      leave()
      unlisten?.()
      controller.abort()
    }
    const facts = { outcome: 'not-applied', retryable: false, cause: signal?.reason as unknown } as const
    throw new ClientError(end ?? 'ABORTED', 'observe ended early', facts)
  }
}

function isSame(a: Leader | undefined, b: Leader | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.token === b.token && Buffer.compare(a.value, b.value) === 0
}
