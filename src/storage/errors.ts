// What the disk may do to us, as errors with a code. None of them is ever retried: the composition root stops the process.

/** Bytes on disk that were durable once are not what was written. Says which file, which offset, and what to do. */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError'
  readonly code = 'CORRUPTION'
  readonly file: string
  readonly offset: number

  constructor(where: { file: string; offset: number }, what: string) {
    super(
      `${where.file} is damaged at offset ${where.offset}: ${what}. This node must not go on with it: ` +
        'keep a copy of the data directory for analysis, then restore the directory from before the damage or replace ' +
        'this member. Do not delete single files.',
    )
    this.file = where.file
    this.offset = where.offset
  }
}

/** The operating system refused or cut short a read, write or sync. */
export class FileSystemError extends Error {
  override readonly name = 'FileSystemError'
  /** Such as EIO, ENOSPC, ENOENT, or SHORT_WRITE. */
  readonly code: string
  readonly path: string

  constructor(code: string, operation: string, path: string, cause?: unknown) {
    super(`${operation} ${path} failed with ${code}`, { cause })
    this.code = code
    this.path = path
  }
}

/** An earlier failure of the log's disk: what was being written may or may not be there after a restart. */
export class LogFailedError extends Error {
  override readonly name = 'LogFailedError'
  readonly code = 'LOG_FAILED'

  constructor(cause: Error) {
    super(`the log cannot be used after an earlier failure: ${cause.message}`, { cause })
  }
}

/** The directory, or the log in it, cannot be used by this process; the message says why and what to do. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError'
  readonly code:
    | 'OTHER_CLUSTER'
    | 'OTHER_NODE'
    | 'LOCKED'
    | 'INCOMPLETE'
    | 'NEWER_FORMAT'
    | 'OLDER_FORMAT'
    | 'NOT_WRITABLE'
    | 'NOT_EMPTY'
    | 'DISK_FULL'

  constructor(code: DataDirectoryError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))
