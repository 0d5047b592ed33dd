// The data directory as a whole: locked before anything else, checked to be ours, complete, and of our version; made when it
// is new. What it refuses it refuses with a message that names both sides and says what to do.
import fs from 'node:fs'

import type { DiskSpace, IncarnationRegistry, Logger, MemberInfo } from '../node/ports.ts'
import { BallastFile } from './ballast.ts'
import type { Ballast } from './ballast.ts'
import { LOCK_FILES, lockDirectory } from './directory-lock.ts'
import type { DirectoryLock } from './directory-lock.ts'
import { asError, DataDirectoryError } from './errors.ts'
import type { FileSystem } from './file-system.ts'
import { readIdentity, writeIdentity } from './identity-file.ts'
import type { Claim, Identity } from './identity-file.ts'
import { createIncarnations, openIncarnations } from './incarnation-registry.ts'
import { makeDirectories } from './make-directories.ts'
import { nodeFileSystem } from './node-file-system.ts'
import { OneAtATime } from './one-at-a-time.ts'

export type { Identity } from './identity-file.ts'
export type { Ballast } from './ballast.ts'

export interface DataDirectoryOptions {
  readonly path: string
  /** Of this machine unless told; the lock is always taken on this machine. */
  readonly fileSystem?: FileSystem
  /** Who this process is. The members are remembered at the first start and ignored afterwards: see `updateMembers`. */
  readonly identity: Omit<Identity, 'formatVersion' | 'founders'> & { readonly formatVersion?: number }
  /**
   * Is a directory that remembers another cluster id ours all the same, because only the addresses of its members have
   * changed? No, unless told.
   */
  readonly isSameCluster?: (remembered: Identity) => boolean
  /** 0 for none. 64 MiB unless told. */
  readonly ballastBytes?: number
  readonly logger: Logger
  /** For this node's incarnation. */
  readonly random?: (bytes: number) => Uint8Array
}

export interface DataDirectory {
  readonly path: string
  /** Where the one Raft group keeps its log, vote, state and pointer. */
  readonly groupPath: string
  /** As the directory remembers it, with the members of the first start or the latest update. */
  readonly identity: Identity
  readonly isNew: boolean
  readonly incarnations: IncarnationRegistry
  readonly diskSpace: DiskSpace
  readonly ballast: Ballast
  /** Remembers new addresses; resolves when durable. */
  updateMembers(members: readonly MemberInfo[]): Promise<void>
  close(): Promise<void>
}

/** The version of the layout that this release reads and writes. */
export const DATA_FORMAT_VERSION = 1

const BALLAST_BYTES = 64 * 1024 * 1024

/** What may lie in a directory whose initialisation was cut short, besides the lock's files. (`lost+found`: a mount point.) */
const BEGINNINGS = new Set([
  'incarnations',
  'incarnations.tmp',
  'identity.tmp',
  'ballast',
  'ballast.tmp',
  'groups',
  'lost+found',
])

const cryptoRandom = (bytes: number): Uint8Array => globalThis.crypto.getRandomValues(new Uint8Array(bytes))

export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const { path, logger } = options
  const fileSystem = options.fileSystem ?? nodeFileSystem
  const self: Claim = {
    formatVersion: DATA_FORMAT_VERSION,
    founders: options.identity.members,
    ...options.identity,
    isSameCluster: options.isSameCluster ?? (() => false),
  }
  await ensureDirectory(path)
  await refuseForeignContent(fileSystem, path)
  const sizeBytes = options.ballastBytes ?? BALLAST_BYTES
  const ballast = new BallastFile({ fileSystem, directory: path, sizeBytes, logger })
  let lock: DirectoryLock | undefined
  try {
    lock = await lockDirectory(fileSystem, path, () => ballast.releaseIfFull())
    await ballast.releaseIfFull()
    const places = { fileSystem, path, groupPath: `${path}/groups/0` }
    return await openLocked(places, self, options.random ?? cryptoRandom, { lock, ballast })
  } catch (error) {
    await lock?.release()
    throw explained(path, error)
  }
}

interface Places {
  readonly fileSystem: FileSystem
  readonly path: string
  readonly groupPath: string
}

async function openLocked(
  places: Places,
  self: Claim,
  random: (bytes: number) => Uint8Array,
  held: { lock: DirectoryLock; ballast: BallastFile },
): Promise<DataDirectory> {
  const { fileSystem, path, groupPath } = places
  const { lock, ballast } = held
  const identityPath = `${path}/identity`
  const remembered = await readIdentity(fileSystem, identityPath, self)
  if (remembered === undefined) await initialise(places, self, random)
  const incarnations = await openIncarnations(fileSystem, `${path}/incarnations`)
  await refuseIncomplete(places, incarnations.isRegistered)
  void ballast.ensure()
  const updates = new OneAtATime()
  let current = remembered ?? self
  return {
    path,
    groupPath,
    get identity() {
      return current
    },
    isNew: remembered === undefined,
    incarnations,
    diskSpace: ballast,
    ballast,
    updateMembers(members) {
      return updates.run(async () => {
        const next = { ...current, members }
        await writeIdentity(fileSystem, identityPath, next)
        current = next
      })
    },
    async close() {
      await updates.idle()
      await ballast.close()
      await lock.release()
    },
  }
}

/** The identity comes last: without it, nothing in the directory has been promised to anybody. */
async function initialise(places: Places, self: Identity, random: (bytes: number) => Uint8Array): Promise<void> {
  const { fileSystem, path, groupPath } = places
  const groups = `${path}/groups`
  const found = (await fileSystem.stat(groupPath)) === undefined ? [] : await fileSystem.readDirectory(groupPath)
  if (found.length > 0) {
    throw new DataDirectoryError(
      'INCOMPLETE',
      `${path} holds data (${found.join(', ')} in ${groupPath}) but no file named identity. Restore the whole directory ` +
        'from before it was damaged; if it never belonged to a running cluster, remove it',
    )
  }
  for (const directory of [groups, groupPath]) await fileSystem.makeDirectory(directory)
  await fileSystem.syncDirectory(groups)
  await fileSystem.syncDirectory(path)
  await createIncarnations(fileSystem, `${path}/incarnations`, random)
  await writeIdentity(fileSystem, `${path}/identity`, self)
}

/** Others have vouched for this member, so it has been running, so its log and state were there. */
async function refuseIncomplete({ fileSystem, path, groupPath }: Places, isRegistered: boolean): Promise<void> {
  const expected = isRegistered ? ['', '/log', '/vote', '/pointer'] : ['']
  for (const name of expected) {
    if ((await fileSystem.stat(groupPath + name)) !== undefined) continue
    throw new DataDirectoryError(
      'INCOMPLETE',
      `${groupPath}${name} is missing although ${path} was in use: this member has lost data. ` +
        'Restore the whole directory or, once membership can change, replace the member',
    )
  }
}

/** A typing error must not make us put our files among somebody else's. */
async function refuseForeignContent(fileSystem: FileSystem, path: string): Promise<void> {
  const names = await fileSystem.readDirectory(path)
  if (names.includes('identity')) return
  const foreign = names.find((name) => !BEGINNINGS.has(name) && !LOCK_FILES.test(name))
  if (foreign === undefined) return
  throw new DataDirectoryError(
    'NOT_EMPTY',
    `${path} is not empty (it holds ${foreign}) and is not a data directory: it has no file named identity. ` +
      'Give an empty or new directory as --data-dir',
  )
}

async function ensureDirectory(path: string): Promise<void> {
  try {
    makeDirectories(path, 0o700)
    await fs.promises.access(path, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
  } catch (error) {
    throw explained(path, error)
  }
}

/** The usual refusals of an operating system, in terms of what to do. */
function explained(path: string, error: unknown): Error {
  const { code } = error as { code?: string }
  const { message } = asError(error)
  if (
    code === 'EACCES' ||
    code === 'EPERM' ||
    code === 'EROFS' ||
    code === 'EEXIST' ||
    code === 'ENOTDIR' ||
    code === 'ENOENT'
  ) {
    return new DataDirectoryError(
      'NOT_WRITABLE',
      `${path} cannot be written as a directory by this process: ${message}`,
      error,
    )
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new DataDirectoryError('DISK_FULL', `there is no space left for ${path}: ${message}`, error)
  }
  return asError(error)
}
