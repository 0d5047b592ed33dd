// What semaphores and read-write locks are made of: keys below a prefix, each with a lease of its own, in the order of their creation. Who may go is
// decided from who is before; everybody watches the prefix, and nobody can take a place without the store knowing.
import { ClientError } from '../client-error.ts'
import { putCommand } from '../commands.ts'
import type { ClientCore } from '../core.ts'
import { grantLease } from '../lease.ts'
import type { Lease } from '../lease.ts'
import { ALLOWED, checkOptions } from '../option-checks.ts'
import type { CallOptions } from '../options.ts'
import { Watcher } from '../watch.ts'

export interface LineOptions extends CallOptions {
  /** The place is lost when it was not kept for this long, as when the process dies. Default 15,000. Milliseconds. */
  readonly ttlMs?: number | undefined
  /** Of each request that it takes. The wait for the turn is ended by `signal` alone: `AbortSignal.timeout(10_000)`. */
  readonly timeoutMs?: number | undefined
}

const TTL_MS_DEFAULT = 15_000

/** Something that is held until it is released, or lost. */
export class Hold {
  readonly #lease: Lease

  constructor(lease: Lease) {
    this.#lease = lease
  }

  /** Fires before anybody else can have it instead, and after `release`. */
  get signal(): AbortSignal {
    return this.#lease.signal
  }

  async release(options: CallOptions = {}): Promise<void> {
    await this.#lease.revoke(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

/** Whether one whose key is `mine` may go, given the keys before it, the earliest first. */
export type Turn = (before: readonly string[]) => boolean

/** Takes a place below `prefix` and waits for its turn. */
export async function standInLine(
  core: ClientCore,
  place: { readonly prefix: string; readonly kind: string; readonly isTurn: Turn },
  options: LineOptions,
): Promise<Hold> {
  checkOptions(options, ALLOWED.line)
  const { ttlMs = TTL_MS_DEFAULT, timeoutMs, signal } = options
  const lease = await grantLease(core, { ttlMs, timeoutMs, signal })
  try {
    const key = `${place.prefix}${place.kind}/${lease.id}`
    await core.write(putCommand(key, '', { lease: lease.id, ifAbsent: true }), { name: 'put', timeoutMs, signal })
    await waitForTurn(core, { ...place, key, lease }, options)
    return new Hold(lease)
  } catch (error) {
    // Nobody will ever release it: at once if possible, else it expires.
    await lease.revoke({ timeoutMs }).catch(() => lease.abandon('given up'))
    throw error
  }
}

async function waitForTurn(
  core: ClientCore,
  { prefix, key, lease, isTurn }: { prefix: string; key: string; lease: Lease; isTurn: Turn },
  options: LineOptions,
): Promise<void> {
  /** Key to the revision of its creation. */
  const line = new Map<unknown, number>()
  const controller = new AbortController()
  const { abortListeners } = core.context
  const stop = (): void => controller.abort()
  const unlisten = [lease.signal, options.signal].map((signal) => signal && abortListeners.add(signal, stop))
  if (options.signal?.aborted === true || lease.signal.aborted) stop()
  let isComplete = false
  try {
    const watcher = new Watcher(core, {
      prefix,
      initial: true,
      timeoutMs: options.timeoutMs,
      signal: controller.signal,
    })
    for await (const event of watcher) {
      if (event.kind === 'put') line.set(event.key, event.entry.createRevision)
      else if (event.kind === 'delete') line.delete(event.key)
      else isComplete = true
      const mine = line.get(key)
      if (!isComplete || mine === undefined) continue
      const before = [...line].filter(([, revision]) => revision < mine).sort(([, a], [, b]) => a - b)
      if (isTurn(before.map(([other]) => String(other)))) return
    }
  } catch (error) {
    if (!lease.signal.aborted || options.signal?.aborted === true) throw error
    throw new ClientError('LEASE_NOT_FOUND', 'the place in the line was lost while waiting', {
      outcome: 'not-applied',
      retryable: true,
      cause: lease.signal.reason,
    })
  } finally {
    for (const end of unlisten) end?.()
  }
}
