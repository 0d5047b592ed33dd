// What opening, reading or receiving a state may refuse. Each carries a code, says where, and says what to do; none is retried.

/** A stored state is not what was written: a checksum, an order or a reference does not hold. The node must stop. */
export class StateCorruptionError extends Error {
  override readonly name = 'StateCorruptionError'
  readonly code = 'STATE_CORRUPTION'

  constructor(where: string, what: string, cause?: unknown) {
    super(
      `the state in ${where} is damaged: ${what}. This node must not go on with it: keep a copy of the data directory for ` +
        'analysis, then restore the directory from before the damage or replace this member. Do not delete single files.',
      { cause },
    )
  }
}

/** The directory holds no state that this release can use; nothing was changed. */
export class StateDirectoryError extends Error {
  override readonly name = 'StateDirectoryError'
  readonly code: 'OLDER_FORMAT' | 'NEWER_FORMAT' | 'INCOMPLETE' | 'LOCKED'

  constructor(code: StateDirectoryError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** A streamed state is not what its sender meant to send. It is thrown away; a new stream may succeed. */
export class SnapshotStreamError extends Error {
  override readonly name = 'SnapshotStreamError'
  readonly code = 'SNAPSHOT_STREAM'
}

/** The store has failed or is closed: nothing it says now can be trusted. */
export class StateFailedError extends Error {
  override readonly name = 'StateFailedError'
  readonly code = 'STATE_FAILED'

  constructor(cause: Error) {
    super(`the state cannot be used after an earlier failure: ${cause.message}`, { cause })
  }
}

export class StateClosedError extends Error {
  override readonly name = 'StateClosedError'
  readonly code = 'STATE_CLOSED'

  constructor() {
    super('the state is closed')
  }
}
