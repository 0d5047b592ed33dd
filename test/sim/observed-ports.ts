// The ports of a simulated node with a window in them: what passes through is told to the observer, and counted.
import type { Logger, RaftStorage, StateStorage, StateStore } from '../../src/node/ports.ts'
import type { Host } from './host.ts'
import type { Conduct } from './conduct.ts'
import type { Observer } from './observer.ts'
import type { Situations } from './situations.ts'
import type { World } from './world.ts'

/** More than all clients can write at once, as the table counts it. */
const ENTRY_BYTES_MAX = 256 * 1024

export interface Watch {
  readonly host: Host
  readonly name: string
  readonly world: World
  readonly observer: Observer
  readonly conduct: Conduct
  readonly situations: Situations
  /** Of the table in memory; what one entry adds comes on top. */
  readonly tableBytesMax: number
  /** A state is about to stream in. */
  onReceiving(): void
  /** A write that supersedes entries is under way; no longer. */
  onTruncating(isTruncating: boolean): void
  /** A received state is being installed; no longer. */
  onInstalling(isInstalling: boolean): void
}

export function observedLog(watch: Watch, log: RaftStorage): RaftStorage {
  const { host, observer, situations } = watch
  const { index } = host
  return {
    get recovered() {
      return log.recovered
    },
    get firstIndex() {
      return log.firstIndex
    },
    get sizeBytes() {
      return log.sizeBytes
    },
    releaseRecovered: () => log.releaseRecovered(),
    append: async (write) => {
      const isTruncating = observer.onAppending(index, write)
      if (isTruncating) watch.onTruncating(true)
      await log.append(write)
      if (!host.isAlive) return
      if (isTruncating) watch.onTruncating(false)
      observer.onAppended(index, write)
    },
    read: (range) => {
      situations.met('load-from-log')
      return log.read(range)
    },
    compactTo: (marker) => {
      situations.met('log-compaction')
      log.compactTo(marker)
    },
    close: () => log.close(),
  }
}

export function observedStates(watch: Watch, states: StateStorage): StateStorage {
  const { host, observer, conduct } = watch
  conduct.onStarted(host.index)
  observeStore(watch, states.current)
  observer.onOpened(host.index, states.current.meta)
  return {
    get current() {
      return states.current
    },
    get pendingMarker() {
      return states.pendingMarker
    },
    receive: async () => {
      watch.onReceiving()
      const receiver = await states.receive()
      return {
        write: (chunk) => receiver.write(chunk),
        abort: () => receiver.abort(),
        finish: async () => {
          const received = await receiver.finish()
          conduct.onReceived(host.index, received.meta.index)
          return received
        },
      }
    },
    install: async (received) => {
      watch.onInstalling(true)
      const store = await states.install(received)
      if (!host.isAlive) return store
      observeStore(watch, store)
      observer.onInstalled(host.index, store.meta)
      return store
    },
    finishInstall: async () => {
      await states.finishInstall()
      if (!host.isAlive) return
      watch.onInstalling(false)
      observer.onInstallEnded(host.index)
    },
  }
}

/** The store itself is watched, not a copy of its face: apply calls it often. */
function observeStore(watch: Watch, store: StateStore): void {
  const { host, name, world, observer, conduct, situations, tableBytesMax } = watch
  const { index } = host
  const put = store.put.bind(store)
  const commitEntry = store.commitEntry.bind(store)
  let { compactRevision } = store.meta
  store.put = (change) => {
    observer.onChange(index, change)
    put(change)
  }
  store.commitEntry = (meta) => {
    commitEntry(meta)
    conduct.onApplied(index, meta.index)
    observer.onApplied(index, meta)
    if (meta.compactRevision > compactRevision) situations.met('history-compaction')
    compactRevision = meta.compactRevision
    const { tableBytes } = store.stats()
    if (tableBytes > tableBytesMax + ENTRY_BYTES_MAX)
      world.violate(`${name} holds ${tableBytes} bytes in its table, which is to hold ${tableBytesMax}`)
  }
}

export function notedLogger({ name, world, situations }: Watch): Logger {
  const note = (_fields: unknown, message: string): void => {
    if (message.startsWith('cut the torn end')) situations.met('torn-tail')
    world.note('log', name, message)
  }
  return { debug: nothing, info: note, warn: note, error: note }
}

const nothing = (): void => {}
