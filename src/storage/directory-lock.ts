// One process a data directory. Node has no flock, but LevelDB holds one: an empty database is opened in the directory itself
// and kept open. The operating system lets go of the lock when the process ends, however it ends.
import { Level } from 'level'

import { DataDirectoryError } from './errors.ts'
import type { FileSystem } from './file-system.ts'

/** The files that LevelDB keeps for an empty database. */
export const LOCK_FILES = /^(?:CURRENT|LOCK|LOG|LOG\.old|MANIFEST-\d+|\d+\.(?:log|dbtmp))$/

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Takes the lock. `makeRoom` is called when the database cannot be opened although nobody holds the lock, which is how
 * a full disk shows; it says whether another attempt is worth it.
 */
export async function lockDirectory(
  fileSystem: FileSystem,
  path: string,
  makeRoom: () => Promise<boolean>,
): Promise<DirectoryLock> {
  let failure = await attempt(path)
  if (failure instanceof Error && (await makeRoom())) failure = await attempt(path)
  if (failure instanceof Error) {
    // Nothing is in that database. If it cannot be opened it is damaged, and a new one locks as well.
    await removeDatabase(fileSystem, path)
    failure = await attempt(path)
  }
  if (!(failure instanceof Error)) return failure
  throw new DataDirectoryError('NOT_WRITABLE', `${path} cannot be locked: ${failure.message}`, failure)
}

/** The lock, or why not. That another process holds it is thrown. */
async function attempt(path: string): Promise<DirectoryLock | Error> {
  const database = new Level(path, { keyEncoding: 'view', valueEncoding: 'view' })
  try {
    await database.open()
    return { release: () => database.close() }
  } catch (error) {
    const cause = (error as Error).cause as (Error & { code?: string }) | undefined
    if (cause?.code === 'LEVEL_LOCKED') {
      throw new DataDirectoryError(
        'LOCKED',
        `${path} is in use by another process. Each node needs a data directory of its own; stop the other process first`,
        error,
      )
    }
    return cause ?? (error as Error)
  }
}

async function removeDatabase(fileSystem: FileSystem, path: string): Promise<void> {
  for (const name of await fileSystem.readDirectory(path)) {
    if (LOCK_FILES.test(name) && name !== 'LOCK') await fileSystem.remove(`${path}/${name}`)
  }
}
