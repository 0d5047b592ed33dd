// The port to files on the operating system's disk, through node:fs with callbacks: one hop to the thread pool an operation.
import fs from 'node:fs'

import { FileSystemError } from './errors.ts'
import type { FileHandle, FileSystem, OpenOptions } from './file-system.ts'

// Linux honours O_DSYNC down to the device. Elsewhere (macOS) it does not reach the medium, but fdatasync as libuv does it does.
const DURABLE_FLAG = process.platform === 'linux' ? fs.constants.O_DSYNC : undefined

/** Runs one callback-style operation; its error becomes a FileSystemError that names the path. */
function call<T>(
  operation: string,
  path: string,
  start: (done: (error: NodeJS.ErrnoException | null, value: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value)
      else reject(new FileSystemError(error.code ?? 'UNKNOWN', operation, path, error))
    })
  })
}

class NodeFileHandle implements FileHandle {
  readonly path: string
  readonly #fd: number
  /** Where O_DSYNC is not to be had, each write is followed by a sync of its own. */
  readonly #syncsEachWrite: boolean

  constructor(path: string, fd: number, syncsEachWrite: boolean) {
    this.path = path
    this.#fd = fd
    this.#syncsEachWrite = syncsEachWrite
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let total = 0
    while (total < target.length) {
      const count = await call<number>('read', this.path, (done) => {
        fs.read(this.#fd, target, total, target.length - total, position + total, done)
      })
      if (count === 0) break
      total += count
    }
    return total
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const written = await call<number>('write', this.path, (done) => {
      fs.write(this.#fd, bytes, 0, bytes.length, position, done)
    })
    // Going on after a short write would be a retry, and the reason (a full disk, a failing one) would go unreported.
    if (written !== bytes.length) throw new FileSystemError('SHORT_WRITE', 'write', this.path)
    if (this.#syncsEachWrite) await this.sync()
  }

  sync(): Promise<void> {
    return call('sync', this.path, (done) => fs.fdatasync(this.#fd, (error) => done(error, undefined)))
  }

  truncate(sizeBytes: number): Promise<void> {
    return call('truncate', this.path, (done) => fs.ftruncate(this.#fd, sizeBytes, (error) => done(error, undefined)))
  }

  async sizeBytes(): Promise<number> {
    const stats = await call<fs.Stats>('stat', this.path, (done) => fs.fstat(this.#fd, done))
    return stats.size
  }

  close(): Promise<void> {
    return call('close', this.path, (done) => fs.close(this.#fd, (error) => done(error ?? null, undefined)))
  }
}

export class NodeFileSystem implements FileSystem {
  async open(path: string, options: OpenOptions): Promise<FileHandle> {
    const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants
    let flags = options.mode === 'read' ? O_RDONLY : O_RDWR
    if (options.mode === 'create') flags |= O_CREAT | O_EXCL
    if (options.isDurable && DURABLE_FLAG !== undefined) flags |= DURABLE_FLAG
    const fd = await call<number>('open', path, (done) => fs.open(path, flags, 0o600, done))
    return new NodeFileHandle(path, fd, options.isDurable && DURABLE_FLAG === undefined)
  }

  async stat(path: string): Promise<{ isDirectory: boolean; sizeBytes: number } | undefined> {
    try {
      const stats = await call<fs.Stats>('stat', path, (done) => fs.stat(path, done))
      return { isDirectory: stats.isDirectory(), sizeBytes: stats.size }
    } catch (error) {
      if (error instanceof FileSystemError && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  async readDirectory(path: string): Promise<readonly string[]> {
    const names = await call<string[]>('list', path, (done) => fs.readdir(path, done))
    return names.sort()
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await call<void>('mkdir', path, (done) => fs.mkdir(path, 0o700, (error) => done(error, undefined)))
    } catch (error) {
      if (!(error instanceof FileSystemError && error.code === 'EEXIST')) throw error
    }
  }

  rename(from: string, to: string): Promise<void> {
    return call('rename', from, (done) => fs.rename(from, to, (error) => done(error, undefined)))
  }

  remove(path: string): Promise<void> {
    return call('remove', path, (done) => fs.unlink(path, (error) => done(error, undefined)))
  }

  async syncDirectory(path: string): Promise<void> {
    // Windows has no sync of directories; its file systems log the change of a name before the call returns.
    if (process.platform === 'win32') return
    const fd = await call<number>('open', path, (done) => fs.open(path, fs.constants.O_RDONLY, done))
    try {
      await call<void>('sync directory', path, (done) => fs.fsync(fd, (error) => done(error, undefined)))
    } finally {
      await call<void>('close', path, (done) => fs.close(fd, (error) => done(error ?? null, undefined)))
    }
  }

  async freeBytes(path: string): Promise<number> {
    const stats = await call<fs.StatsFs>('statfs', path, (done) => fs.statfs(path, done))
    return stats.bavail * stats.bsize
  }
}

/** The disk of this machine. */
export const nodeFileSystem: FileSystem = new NodeFileSystem()
