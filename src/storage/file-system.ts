// The port to files: what the log, the vote file and the small files need from a disk, and nothing more. Two implementations:
// the operating system's (node-file-system.ts) and a simulated disk that can lose, tear and flip (simulated-file-system.ts).
//
// The rules of the port are those of POSIX at its least helpful. What was written is durable only after `sync` (or at once
// through a handle opened with `isDurable`); a new, renamed or removed name is durable only after `syncDirectory`; until then
// any part of it may survive a crash, in any order, sector by sector. Every failure rejects with a FileSystemError.

export interface OpenOptions {
  /** `create` refuses an existing file. */
  readonly mode: 'read' | 'update' | 'create'
  /** Each write resolves only when its bytes are on disk (O_DSYNC): one hop to the thread pool instead of two. */
  readonly isDurable: boolean
}

export interface FileHandle {
  readonly path: string
  /** Fills `target` from `position`; resolves with the number of bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Writes all of `bytes` or rejects: a short write is a failure. `bytes` must not change until then. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Makes everything written so far durable. */
  sync(): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  sizeBytes(): Promise<number>
  close(): Promise<void>
}

export interface FileSystem {
  open(path: string, options: OpenOptions): Promise<FileHandle>
  /** What is there, or undefined. */
  stat(path: string): Promise<{ readonly isDirectory: boolean; readonly sizeBytes: number } | undefined>
  /** The names in a directory, sorted. */
  readDirectory(path: string): Promise<readonly string[]>
  /** One level; fine when it is there already. */
  makeDirectory(path: string): Promise<void>
  /** Atomic; replaces the target. Durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file. */
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  freeBytes(path: string): Promise<number>
}

/** The directory part of a path with at least one slash. */
export const directoryOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 1))

/** The whole file, or undefined when there is none. For files known to be small, and segments. */
export async function readWholeFile(fileSystem: FileSystem, path: string): Promise<Buffer | undefined> {
  if ((await fileSystem.stat(path)) === undefined) return undefined
  const handle = await fileSystem.open(path, { mode: 'read', isDurable: false })
  try {
    const bytes = Buffer.alloc(await handle.sizeBytes())
    return bytes.subarray(0, await handle.read(bytes, 0))
  } finally {
    await handle.close()
  }
}

const ZERO_CHUNK_BYTES = 1024 * 1024

/** Creates a file of zeros, durable in content and length; its name is durable only after `syncDirectory`. */
export async function createZeroFilled(fileSystem: FileSystem, path: string, sizeBytes: number): Promise<void> {
  const handle = await fileSystem.open(path, { mode: 'create', isDurable: false })
  try {
    const zeros = Buffer.alloc(Math.min(sizeBytes, ZERO_CHUNK_BYTES))
    for (let at = 0; at < sizeBytes; at += zeros.length) {
      await handle.write(zeros.subarray(0, Math.min(zeros.length, sizeBytes - at)), at)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}
