// LevelDB reads its files instead of mapping them: what the kernel says that this process has mapped.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nodeFileSystem } from '../../../src/storage/node-file-system.ts'
import { LEVELDB_DEFAULTS, LevelDbStore } from '../../../src/storage/state-db/leveldb-engine.ts'
import { keepFilesUnmapped } from '../../../src/storage/state-db/unmapped-files.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-unmapped-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const mappedTables = (): readonly string[] =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory) && line.includes('.ldb'))

/** Writes one key, has LevelDB make a file of it by opening the database again, and reads it; gives the files mapped then. */
async function mappedByReading(name: string): Promise<readonly string[]> {
  const store = new LevelDbStore(join(directory, name), nodeFileSystem, LEVELDB_DEFAULTS)
  const first = await store.open(1, 'new')
  const batch = first.batch()
  batch.put(Buffer.from('key'), Buffer.from('value'))
  await batch.write()
  await first.close()
  const second = await store.open(1, 'existing')
  expect(await second.getMany([Buffer.from('key')])).toEqual([Buffer.from('value')])
  const mapped = mappedTables().filter((line) => line.includes(`${directory}/${name}/`))
  await second.close()
  return mapped
}

describe.skipIf(!existsSync('/proc/self/maps'))('files of LevelDB', () => {
  it('are mapped no more once the maps are used up, which can be tried again and is done once', async () => {
    expect(await mappedByReading('before')).toHaveLength(1)

    await expect(keepFilesUnmapped(join(directory, 'missing', 'maps'))).rejects.toThrow(
      'missing/maps failed with ENOENT',
    )
    expect(await mappedByReading('meanwhile')).toHaveLength(1)

    const maps = join(directory, 'maps')
    await Promise.all([keepFilesUnmapped(maps), keepFilesUnmapped(maps)])
    expect(existsSync(maps)).toBe(false)
    expect(mappedTables()).toHaveLength(1_000)
    expect(await mappedByReading('after')).toEqual([])

    await keepFilesUnmapped(join(directory, 'again'))
    expect(mappedTables()).toHaveLength(1_000)
  })
})
