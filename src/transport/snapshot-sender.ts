// Streams one pinned state to one peer, on a connection of its own, no faster than the peer takes it in.
import { AssertionError } from '../lib/assert.ts'
import { deferred } from '../lib/deferred.ts'
import type { Deferred } from '../lib/deferred.ts'
import type { MemberInfo, StateSnapshot } from '../node/ports.ts'
import type { Term } from '../raft/types.ts'
import type { Connection, FrameHandler } from './connection.ts'
import { dial } from './dial.ts'
import type { Dialled } from './dial.ts'
import { messageOf } from './environment.ts'
import type { Environment } from './environment.ts'
import { FRAME } from './frame.ts'
import type { Frame } from './frame.ts'
import {
  decodeSnapshotDone,
  encodeSnapshotAbort,
  encodeSnapshotBegin,
  encodeSnapshotChunk,
  encodeSnapshotEnd,
  refuseFrame,
} from './link-codec.ts'

export class SnapshotSender {
  readonly #environment: Environment
  readonly #member: MemberInfo
  /** The one under way: settled by the peer's last word, or by whatever ends the transfer before it. */
  #outcome: Deferred<void> | undefined
  #dialled: Dialled | undefined

  constructor(environment: Environment, member: MemberInfo) {
    this.#environment = environment
    this.#member = member
  }

  /** Does not close the snapshot: who opened it does. */
  async send(term: Term, snapshot: StateSnapshot): Promise<void> {
    const { counters } = this.#environment
    if (this.#outcome !== undefined) throw new Error(`a snapshot to ${this.#member.name} is under way already`)
    const outcome = deferred<void>()
    this.#outcome = outcome
    // It may be settled while nobody waits for it yet.
    outcome.promise.catch(() => {})
    try {
      const connection = await this.#connect(outcome)
      await this.#stream(connection, term, snapshot, outcome)
      counters.add('snapshots_sent')
    } catch (error) {
      counters.add('snapshots_failed')
      throw error
    } finally {
      this.#outcome = undefined
      this.#dialled?.close('the snapshot transfer is over')
      this.#dialled = undefined
    }
  }

  close(reason: string): void {
    this.#outcome?.reject(new Error(reason))
    this.#dialled?.close(reason)
  }

  async #connect(outcome: Deferred<void>): Promise<Connection> {
    const up = deferred<Connection>()
    const name = this.#member.name
    this.#dialled = dial(this.#environment, this.#member, 'snapshot', {
      onAccepted: (connection) => {
        up.resolve(connection)
        return this.#handler(outcome)
      },
      onRefused: (refused) => up.reject(new Error(`${name} and this node refuse each other: ${refused.detail}`)),
      onFailed: (reason) => up.reject(new Error(`cannot reach ${name}: ${reason}`)),
    })
    return up.promise
  }

  #handler(outcome: Deferred<void>): FrameHandler {
    const name = this.#member.name
    const received = (frame: Frame): void => {
      if (frame.type !== FRAME.snapshotDone) refuseFrame(frame, 'snapshot')
      const failure = decodeSnapshotDone(frame)
      if (failure === undefined) outcome.resolve()
      else outcome.reject(new Error(`${name} could not use the snapshot: ${failure}`))
    }
    return {
      onFrame: received,
      onClose: (reason) => outcome.reject(new Error(`the connection to ${name} broke: ${reason}`)),
    }
  }

  /** The peer's last word may come before the end: it needs the state no more, or cannot go on. */
  async #stream(connection: Connection, term: Term, snapshot: StateSnapshot, outcome: Deferred<void>): Promise<void> {
    let isSettled = false
    const settled = outcome.promise.then(
      () => (isSettled = true),
      () => (isSettled = true),
    )
    const { limits } = this.#environment
    const idle = this.#watchIdle(connection)
    try {
      connection.send(encodeSnapshotBegin(term))
      let sequence = 0
      for await (const chunk of snapshot.chunks()) {
        if (isSettled) break
        const frame = encodeSnapshotChunk(sequence, chunk)
        if (frame.bytes > limits.frameBytesMax)
          throw new RangeError(`a snapshot chunk of ${chunk.length} bytes does not fit into a frame`)
        sequence++
        connection.send(frame)
        await Promise.race([settled, connection.room(limits.snapshotQueueBytesMax)])
        idle.moved()
      }
      idle.stop()
      if (!isSettled) connection.send(encodeSnapshotEnd(sequence))
      await outcome.promise
    } catch (error) {
      if (error instanceof AssertionError || isSettled) throw error
      await this.#abort(connection, messageOf(error), settled)
      throw new Error(`the snapshot to ${this.#member.name} failed: ${messageOf(error)}`, { cause: error })
    } finally {
      idle.stop()
    }
  }

  /** Gives the reason time to arrive: the peer answers it, or goes away. */
  async #abort(connection: Connection, reason: string, settled: Promise<unknown>): Promise<void> {
    connection.send(encodeSnapshotAbort(reason))
    const { limits, clock } = this.#environment
    const late = deferred<void>()
    const timer = clock.after(limits.farewellMsMax, () => late.resolve())
    await Promise.race([settled, late.promise])
    timer.cancel()
  }

  /** A live peer that takes nothing in would hold the pinned state for ever. After the end its pace is its own. */
  #watchIdle(connection: Connection): { moved(): void; stop(): void } {
    const { limits, clock } = this.#environment
    const watch = (): { cancel(): void } =>
      clock.after(limits.snapshotIdleMsMax, () =>
        connection.close(`no progress of the snapshot within ${limits.snapshotIdleMsMax} ms`),
      )
    let timer = watch()
    return {
      moved: () => {
        timer.cancel()
        timer = watch()
      },
      stop: () => timer.cancel(),
    }
  }
}
