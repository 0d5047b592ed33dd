// Queueing for a lock or an election. The place in the queue belongs to the connection that asked for it: a node gives it up when that ends. Where
// the answer was lost with its node, a place of ours that nobody knows may be left; it is looked for by its owner's name and released.
import { WIRE_LIMITS } from '../api/limits.ts'
import type { LockKind } from '../api/commands.ts'
import { asBuffer } from '../lib/bytes.ts'
import { expectStatus, jsonObject, unexpected } from './answers.ts'
import { ClientError, refusal } from './client-error.ts'
import type { ClientCore } from './core.ts'
import { decodeText } from './entry.ts'
import { isCount, isObject, valueOfJson } from './json.ts'
import { keyString, nameTarget } from './key-path.ts'
import type { Key } from './key-path.ts'
import { heldLease, keepAlive } from './lease.ts'
import type { Lease } from './lease.ts'
import type { Operation } from './operations.ts'
import type { CallOptions } from './options.ts'
import { pause } from './pause.ts'
import { randomId } from './random-id.ts'
import { pauseMs } from './retry-policy.ts'
import type { TransportResponse } from './transport.ts'

export interface LockOptions extends CallOptions {
  /** The lock is lost when it was not kept for this long, as when the process dies. Default 15,000. Milliseconds. */
  readonly ttlMs?: number | undefined
  /** How long to queue. 0: LOCKED at once when others hold it. Default: a day. `timeoutMs` comes on top. Milliseconds. */
  readonly waitMs?: number | undefined
  /** Shown to whoever looks at the lock. At most 200 bytes. */
  readonly owner?: string | undefined
}

export const LOCK_TTL_MS_DEFAULT = 15_000
const OWNER_BYTES_MAX = 200

/** A place in the queue that has come first. */
export interface Held {
  readonly token: number
  readonly lease: Lease
}

/** A lock that is held, until `release` or until `signal` fires. Give it as `fence` to the writes that it protects. */
export class Lock {
  readonly name: Key
  /** Grows with each holder: whoever compares tokens can tell an earlier holder from a later one. */
  readonly token: number
  readonly #core: ClientCore
  readonly #lease: Lease

  constructor(core: ClientCore, name: Key, held: Held) {
    this.#core = core
    this.name = name
    this.token = held.token
    this.#lease = held.lease
  }

  /** Fires before anybody else can hold the lock, and when it was released: whatever it protects must stop. */
  get signal(): AbortSignal {
    return this.#lease.signal
  }

  /** That it is lost already is no error. */
  async release(options: CallOptions = {}): Promise<void> {
    await leaveQueue(this.#core, { kind: 'lock', name: this.name, held: this }, this.#lease, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

interface Queue {
  readonly kind: LockKind
  readonly name: Key
}

export async function leaveQueue(
  core: ClientCore,
  { kind, name, held }: Queue & { readonly held: { readonly token: number } },
  lease: Lease,
  options: CallOptions,
): Promise<void> {
  lease.abandon(`the ${kind} was released`)
  await unlock(core, { kind, name }, held.token, options)
}

async function unlock(core: ClientCore, { kind, name }: Queue, token: number, options: CallOptions): Promise<void> {
  try {
    const command = { op: 'unlock', kind, name: keyString(name), token } as const
    await core.write(command, { ...options, name: 'release', isRepeatable: true })
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'NOT_FOUND') throw error
  }
}

/** Queues until the place comes first. Rejects with LOCKED when `waitMs` are over. */
export async function acquire(
  core: ClientCore,
  queue: Queue,
  options: LockOptions & { readonly value?: Uint8Array },
): Promise<Held> {
  const { clock, prng } = core.context
  const { ttlMs = LOCK_TTL_MS_DEFAULT, waitMs = WIRE_LIMITS.waitMsMax, timeoutMs = core.timeoutMs, signal } = options
  if (Buffer.byteLength(options.owner ?? '') > OWNER_BYTES_MAX)
    throw refusal('BAD_PARAMETER', `the option owner has more than ${OWNER_BYTES_MAX} bytes`)
  const untilMs = clock.now() + waitMs
  for (let attempt = 0; ; attempt++) {
    // A name of its own for each attempt, so that what is left of it can be told from what others wait for.
    const owner = `${options.owner ?? 'client'}/${randomId(core.prng)}`
    const leftMs = Math.max(0, Math.ceil(untilMs - clock.now()))
    const sentAtMs = clock.now()
    try {
      const operation = lockOperation(queue, { ttlMs, waitMs: leftMs, owner, timeoutMs, value: options.value })
      const { token, lease } = await core.run(operation, { timeoutMs: leftMs + timeoutMs, signal })
      return await held(core, { token, lease, ttlMs, sentAtMs })
    } catch (error) {
      if (!(error instanceof ClientError) || error.outcome !== 'unknown' || signal?.aborted === true) throw error
      if (!error.retryable && error.code !== 'UNEXPECTED_ANSWER' && error.code !== 'LEASE_NOT_FOUND') throw error
      if (clock.now() >= untilMs) throw error
      await releaseOwn(core, queue, owner, { timeoutMs, signal })
      await pause(core.context, pauseMs(attempt, 0, prng), signal)
    }
  }
}

/** From here on it is kept alive. A long wait says nothing about how much of the time to live is left. */
async function held(
  core: ClientCore,
  facts: { token: number; lease: string; ttlMs: number; sentAtMs: number },
): Promise<Held> {
  const { token, lease, ttlMs } = facts
  const { clock } = core.context
  let { sentAtMs } = facts
  if (clock.now() - sentAtMs > ttlMs / 3) {
    sentAtMs = clock.now()
    try {
      await keepAlive(core, lease, { timeoutMs: Math.max(1, Math.min(core.timeoutMs, Math.floor(ttlMs))) })
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'LEASE_NOT_FOUND') throw error
      // It was ours for a moment. What the caller wanted is a lock that is held: the queue again.
      throw new ClientError('LEASE_NOT_FOUND', 'the lock was lost before the answer came', {
        outcome: 'unknown',
        retryable: true,
        cause: error,
      })
    }
  }
  return { token, lease: heldLease(core, lease, ttlMs, sentAtMs) }
}

const pathOf = ({ kind, name }: Queue): string => `/v1/${kind === 'lock' ? 'locks' : 'elections'}/${nameTarget(name)}`

interface LockFacts {
  readonly ttlMs: number
  readonly waitMs: number
  readonly owner: string
  readonly timeoutMs: number
  readonly value: Uint8Array | undefined
}

function lockOperation(queue: Queue, facts: LockFacts): Operation<{ token: number; lease: string }> {
  const { ttlMs, waitMs, owner, timeoutMs, value } = facts
  const body = { ttl: `${ttlMs}ms`, wait: `${waitMs}ms`, owner, ...(value === undefined ? {} : valueMember(value)) }
  return {
    name: queue.kind === 'lock' ? 'lock' : 'campaign',
    kind: 'write',
    method: 'POST',
    path: pathOf(queue),
    // The node's own time is for getting in line; how long to stand there is in the body.
    query: [`timeout=${timeoutMs}ms`],
    headers: { 'content-type': 'application/json' },
    body: () => Buffer.from(JSON.stringify(body)),
    takesTimeout: false,
    parse: (response) => {
      expectStatus(response, 200)
      const { token, lease } = jsonObject(response)
      if (!isCount(token) || typeof lease !== 'string') throw unexpected(response, 'the body names no token and lease')
      return { token, lease }
    },
  }
}

/** A value in JSON: as text where it is. */
export function valueMember(value: Uint8Array): { value: string } | { value64: string } {
  try {
    return { value: decodeText(value) }
  } catch {
    // Not UTF-8: base64url then.
    return { value64: asBuffer(value).toString('base64url') }
  }
}

export interface LockPlace {
  readonly token: number
  readonly owner: string
  readonly lease: string
}

export interface LockInfo {
  readonly holder: LockPlace | undefined
  /** Those who wait, first come first. */
  readonly queue: readonly LockPlace[]
}

export const lockInfoOperation = (name: Key): Operation<LockInfo> =>
  lookOperation({ kind: 'lock', name }, (response) => {
    const { holder, queue } = jsonObject(response)
    if (!Array.isArray(queue)) throw unexpected(response, 'the body has no "queue"')
    const place = (value: unknown): LockPlace => placeOf(value) ?? refusePlace(response)
    return { holder: holder === null ? undefined : place(holder), queue: (queue as unknown[]).map(place) }
  })

const refusePlace = (response: TransportResponse): never => {
  throw unexpected(response, 'a place in its queue is none')
}

export interface Leader {
  readonly token: number
  readonly owner: string
  /** What it proclaims. */
  readonly value: Uint8Array
}

export const leaderOperation = (name: Key): Operation<Leader | undefined> =>
  lookOperation({ kind: 'election', name }, (response) => {
    const { leader } = jsonObject(response)
    return leader === null ? undefined : (leaderOf(leader) ?? refusePlace(response))
  })

const lookOperation = <T>(queue: Queue, parse: (response: TransportResponse) => T): Operation<T> => ({
  name: queue.kind,
  kind: 'read',
  method: 'GET',
  path: pathOf(queue),
  query: [],
  headers: {},
  takesTimeout: true,
  parse: (response) => {
    expectStatus(response, 200)
    return parse(response)
  },
})

function placeOf(value: unknown): LockPlace | undefined {
  if (!isObject(value)) return undefined
  const { token, owner, lease } = value
  if (!isCount(token) || typeof owner !== 'string' || typeof lease !== 'string') return undefined
  return { token, owner, lease }
}

export function leaderOf(value: unknown): Leader | undefined {
  const place = placeOf(value)
  const proclaimed = isObject(value) ? valueOfJson(value) : undefined
  return place === undefined || proclaimed === undefined
    ? undefined
    : { token: place.token, owner: place.owner, value: proclaimed }
}

/** Gives up what an attempt without an answer may have left in the queue. What cannot be found out expires by itself. */
async function releaseOwn(core: ClientCore, queue: Queue, owner: string, options: CallOptions): Promise<void> {
  try {
    const places =
      queue.kind === 'lock' ? await lockPlaces(core, queue.name, options) : await leaders(core, queue.name, options)
    for (const place of places) if (place.owner === owner) await unlock(core, queue, place.token, options)
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
  }
}

async function lockPlaces(core: ClientCore, name: Key, options: CallOptions): Promise<readonly LockPlace[]> {
  const { holder, queue } = await core.run(lockInfoOperation(name), options)
  return holder === undefined ? queue : [holder, ...queue]
}

async function leaders(core: ClientCore, name: Key, options: CallOptions): Promise<readonly Leader[]> {
  const leader = await core.run(leaderOperation(name), options)
  return leader === undefined ? [] : [leader]
}
