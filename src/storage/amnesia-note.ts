// The durable note that the log has lost acknowledged entries (design, section 5): while it is there the node may not vote,
// also after another crash. It is a file whose presence says it all.
import type { AmnesiaNote } from '../node/ports.ts'
import type { FileSystem } from './file-system.ts'
import { directoryOf } from './file-system.ts'
import { readSmallFile, replaceSmallFile } from './small-file.ts'

/** `path` is `groups/0/amnesia` in the data directory. */
export async function openAmnesiaNote(fileSystem: FileSystem, path: string): Promise<AmnesiaNote> {
  let isSet = (await readSmallFile(fileSystem, path)) !== undefined
  return {
    get isSet() {
      return isSet
    },
    async set() {
      await replaceSmallFile(fileSystem, path, { amnesiac: true })
      isSet = true
    },
    async clear() {
      await fileSystem.remove(path)
      await fileSystem.syncDirectory(directoryOf(path))
      isSet = false
    },
  }
}
