// The directory of states: opens the one that the pointer file names, receives others beside it, and swaps.
//
//   groups/0/pointer     names the current state, and a marker that the log still has to get
//   groups/0/state/<n>/  one database each
//
// A swap is safe at every step because the pointer file is replaced as a whole: before, the old state is current and the new one
// a leftover; after, the other way round. Leftovers are removed when the directory is opened.
import { assert } from '../../lib/assert.ts'
import type { KvMeta } from '../../kv/types.ts'
import type {
  Clock,
  ClusterConfiguration,
  Logger,
  ReceivedSnapshot,
  SnapshotReceiver,
  StateStorage,
  StateStore,
} from '../../node/ports.ts'
import type { SnapshotMeta } from '../../raft/types.ts'
import type { FileSystem } from '../file-system.ts'
import { CallGate } from './call-gate.ts'
import type { Engine, EngineStore } from './engine.ts'
import { StateCorruptionError, StateDirectoryError } from './errors.ts'
import { META_KEY } from './keys.ts'
import { readMeta } from './meta-codec.ts'
import { PointerFile } from './pointer-file.ts'
import type { RowDigest } from './rows.ts'
import { ReceivedState, StateReceiver } from './snapshot-receiver.ts'
import type { RecordDigest } from './snapshot-receiver.ts'
import { StateDb } from './state-db.ts'
import type { StateDbLimits } from './state-db.ts'
import { decode, initialiseState, openStoredState } from './stored-state.ts'

/** Streams that may arrive at a time: one from the leader, and one from a leader deposed before it noticed. */
const RECEIVERS_MAX = 2

export interface StateStorageOptions {
  /** Holds the pointer file; must exist. */
  readonly directory: string
  readonly fileSystem: FileSystem
  readonly store: EngineStore
  /** What a new store starts from. */
  readonly initial: { readonly configuration: ClusterConfiguration; readonly meta: KvMeta }
  readonly recordDigest: RecordDigest
  readonly rowDigest: RowDigest
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: StateDbLimits
}

export async function openStateDirectory(options: StateStorageOptions): Promise<StateStorage> {
  const { fileSystem, directory, store } = options
  const pointerFile = new PointerFile(fileSystem, directory)
  const gate = new CallGate()
  let pointer = await pointerFile.read()
  if (pointer === undefined) {
    await refuseUnlessUnused(options, pointerFile.path)
    await createFirst(options)
    pointer = { state: 1, pendingMarker: undefined }
    await pointerFile.write(pointer)
  }
  const { state, pendingMarker } = pointer
  const numbers = await store.list()
  if (!numbers.includes(state) || (await store.isBlank(state))) {
    throw new StateCorruptionError(store.describe(state), `it is missing, although ${pointerFile.path} names it`)
  }
  for (const number of numbers) {
    if (number === state) continue
    options.logger.info({ leftover: store.describe(number) }, 'removing a state that is not the current one')
    await store.remove(number)
  }
  const current = await openState(options, gate, state)
  return new StateDirectory(options, { gate, pointerFile, current, state, pendingMarker })
}

/** Without a pointer file, only what an unfinished first start can have left behind may be thrown away. */
async function refuseUnlessUnused({ store, initial }: StateStorageOptions, path: string): Promise<void> {
  for (const number of await store.list()) {
    if (number !== 1 || !(await isUnused(store, initial.meta.index))) {
      throw new StateDirectoryError(
        'INCOMPLETE',
        `${path} is missing, but ${store.describe(number)} holds a state. Nothing was changed: restore the pointer file or ` +
          'the whole directory, or replace this member.',
      )
    }
    await store.remove(number)
  }
}

async function isUnused(store: EngineStore, initialIndex: number): Promise<boolean> {
  if (await store.isBlank(1)) return true
  const engine = await store.open(1, 'existing')
  try {
    const [applied] = await engine.getMany([META_KEY.applied])
    if (applied === undefined) return true
    return decode(store.describe(1), META_KEY.applied, applied, readMeta).index <= initialIndex
  } finally {
    await engine.close()
  }
}

async function createFirst({ store, initial }: StateStorageOptions): Promise<void> {
  const engine = await store.open(1, 'new')
  try {
    await initialiseState(engine, initial)
  } finally {
    await engine.close()
  }
  await store.sync(1)
}

async function openState(options: StateStorageOptions, gate: CallGate, number: number): Promise<StateDb> {
  const { store, clock, logger, limits } = options
  const engine: Engine = await store.open(number, 'existing')
  const where = store.describe(number)
  try {
    const stored = await openStoredState(engine, gate, where)
    return new StateDb({ engine, stored, where, gate, clock, logger, limits })
  } catch (error) {
    await engine.close()
    throw error
  }
}

interface Opened {
  readonly gate: CallGate
  readonly pointerFile: PointerFile
  readonly current: StateDb
  readonly state: number
  readonly pendingMarker: SnapshotMeta | undefined
}

class StateDirectory implements StateStorage {
  readonly #options: StateStorageOptions
  readonly #gate: CallGate
  readonly #pointerFile: PointerFile
  #current: StateDb
  #state: number
  #pendingMarker: SnapshotMeta | undefined
  /** The state that was replaced, until the log's marker is durable. */
  #previous: { readonly db: StateDb; readonly number: number } | undefined
  #nextNumber: number
  readonly #receivers = new Set<StateReceiver>()

  constructor(options: StateStorageOptions, opened: Opened) {
    this.#options = options
    this.#gate = opened.gate
    this.#pointerFile = opened.pointerFile
    this.#current = opened.current
    this.#state = opened.state
    this.#pendingMarker = opened.pendingMarker
    this.#nextNumber = opened.state + 1
  }

  get current(): StateStore {
    return this.#current
  }

  get pendingMarker(): SnapshotMeta | undefined {
    return this.#pendingMarker
  }

  async receive(): Promise<SnapshotReceiver> {
    for (const receiver of this.#receivers) if (receiver.isOver) this.#receivers.delete(receiver)
    if (this.#receivers.size >= RECEIVERS_MAX) throw new Error(`${RECEIVERS_MAX} states are being received already`)
    const { store, recordDigest, rowDigest } = this.#options
    const number = this.#nextNumber++
    const engine = await store.open(number, 'new')
    const receiver = new StateReceiver({ store, number, gate: this.#gate, recordDigest, rowDigest }, engine)
    this.#receivers.add(receiver)
    return receiver
  }

  async install(received: ReceivedSnapshot): Promise<StateStore> {
    assert(received instanceof ReceivedState, 'a state is installed that was not received here')
    assert(this.#previous === undefined, 'a state is installed before the last one was finished')
    const { number, meta } = received
    const next = await openState(this.#options, this.#gate, number)
    try {
      const { index, term } = next.meta
      assert(index === meta.index && term === meta.term, `state ${number} is at ${index}, not at ${meta.index}`)
      await this.#pointerFile.write({ state: number, pendingMarker: meta })
    } catch (error) {
      await next.close()
      throw error
    }
    this.#previous = { db: this.#current, number: this.#state }
    this.#current = next
    this.#state = number
    this.#pendingMarker = meta
    return next
  }

  async finishInstall(): Promise<void> {
    if (this.#pendingMarker !== undefined) {
      await this.#pointerFile.write({ state: this.#state, pendingMarker: undefined })
      this.#pendingMarker = undefined
    }
    const previous = this.#previous
    if (previous === undefined) return
    this.#previous = undefined
    await previous.db.close()
    await this.#options.store.remove(previous.number)
  }
}
