// Small files that are replaced as a whole: a line of JSON that people can read, and a line with its checksum. A new version
// is written beside the old one, synced, renamed over it, and the directory synced: a crash leaves the old or the new one.
import { crc32 } from '../lib/checksum.ts'
import { CorruptionError } from './errors.ts'
import { directoryOf, readWholeFile } from './file-system.ts'
import type { FileSystem } from './file-system.ts'

/** The parsed content, or undefined when there is no such file. A damaged file is a {@link CorruptionError}. */
export async function readSmallFile(fileSystem: FileSystem, path: string): Promise<unknown> {
  const bytes = await readWholeFile(fileSystem, path)
  if (bytes === undefined) return undefined
  const text = bytes.toString('utf8')
  const end = text.indexOf('\n')
  const body = text.slice(0, end + 1)
  if (end < 0 || text.slice(end + 1) !== checksumLine(body)) {
    throw new CorruptionError({ file: path, offset: Math.max(end, 0) }, 'its checksum does not match its content')
  }
  try {
    return JSON.parse(body)
  } catch {
    throw new CorruptionError({ file: path, offset: 0 }, 'it is not JSON although its checksum is right')
  }
}

/** Resolves when the new content is durable. Calls for one path must not overlap. */
export async function replaceSmallFile(fileSystem: FileSystem, path: string, content: object): Promise<void> {
  const temporary = `${path}.tmp`
  if ((await fileSystem.stat(temporary)) !== undefined) await fileSystem.remove(temporary)
  const body = `${JSON.stringify(content)}\n`
  const handle = await fileSystem.open(temporary, { mode: 'create', isDurable: false })
  try {
    await handle.write(Buffer.from(body + checksumLine(body)), 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fileSystem.rename(temporary, path)
  await fileSystem.syncDirectory(directoryOf(path))
}

const checksumLine = (body: string): string => `crc32 ${crc32(Buffer.from(body)).toString(16).padStart(8, '0')}\n`
