// What the node in memory was asked that lasts: watches, acquisitions and observations, for tests to answer in their own time.
import type { CommandResult, LockCommand, LockKind } from '../../src/api/commands.ts'
import type { QuorateError } from '../../src/api/errors.ts'
import type { KeyString } from '../../src/lib/bytes.ts'
import type { LockPlace, WatchRequest, WatchSink } from '../../src/node/facade.ts'

/** A watch that a test may speak to by itself. */
export interface MemoryWatch {
  readonly request: WatchRequest
  readonly sink: WatchSink
  resumed: number
  isCancelled: boolean
}

export interface MemoryAcquisition {
  readonly command: LockCommand
  readonly timeoutMs: number
  readonly done: (outcome: CommandResult | QuorateError) => void
  isAbandoned: boolean
}

export interface MemoryObservation {
  readonly kind: LockKind
  readonly name: KeyString
  readonly onHolder: (holder: LockPlace | undefined, revision: number) => void
  isCancelled: boolean
}
