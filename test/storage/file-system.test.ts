// The port to files: what both disks do alike, and how the simulated one forgets.
import path from 'node:path'

import { describe, expect, test } from 'vitest'

import { Prng } from '../../src/lib/prng.ts'
import { createZeroFilled, readWholeFile } from '../../src/storage/file-system.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import { nodeFileSystem } from '../../src/storage/node-file-system.ts'
import { SimulatedFileSystem } from '../../src/storage/simulated-file-system.ts'
import { temporaryDirectory } from './support.ts'

const disks: readonly [string, () => { disk: FileSystem; root: string; remove: () => void }][] = [
  [
    'this machine',
    () => {
      const temporary = temporaryDirectory()
      return { disk: nodeFileSystem, root: temporary.path, remove: () => temporary.remove() }
    },
  ],
  ['the simulated disk', () => ({ disk: new SimulatedFileSystem(), root: '', remove: () => {} })],
]

describe.each(disks)('files on %s', (_, make) => {
  test('are created, written, read, renamed, listed, truncated and removed', async () => {
    const { disk, root, remove } = make()
    const folder = `${root}/folder`
    await disk.makeDirectory(folder)
    await disk.makeDirectory(folder)
    const handle = await disk.open(`${folder}/a`, { mode: 'create', isDurable: true })
    await handle.write(Buffer.from('hello'), 3)
    await handle.truncate(6)
    const bytes = Buffer.alloc(10)
    expect(await handle.read(bytes, 1)).toBe(5)
    expect(bytes.toString('latin1', 0, 5)).toBe('\0\0hel')
    await handle.sync()
    await handle.close()
    await createZeroFilled(disk, `${folder}/b`, 1024 * 1024 + 10)
    expect(await disk.stat(`${folder}/b`)).toEqual({ isDirectory: false, sizeBytes: 1024 * 1024 + 10 })
    await disk.rename(`${folder}/a`, `${folder}/c`)
    await disk.syncDirectory(folder)
    expect(await disk.readDirectory(folder)).toEqual(['b', 'c'])
    expect((await readWholeFile(disk, `${folder}/c`))?.toString('latin1')).toBe('\0\0\0hel')
    await disk.remove(`${folder}/b`)
    expect(await disk.stat(`${folder}/b`)).toBeUndefined()
    expect(await disk.freeBytes(folder)).toBeGreaterThan(0)
    remove()
  })

  test('that are missing, or there already, are refused by code', async () => {
    const { disk, root, remove } = make()
    const create = { mode: 'create', isDurable: false } as const
    await (await disk.open(`${root}/a`, create)).close()
    await expect(disk.open(`${root}/a`, create)).rejects.toMatchObject({ code: 'EEXIST', path: `${root}/a` })
    await expect(disk.open(`${root}/x`, { ...create, mode: 'update' })).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(disk.remove(`${root}/x`)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(disk.open(path.join(root, 'no/where'), create)).rejects.toMatchObject({ code: 'ENOENT' })
    remove()
  })
})

const written = async (isDurable: boolean): Promise<SimulatedFileSystem> => {
  const disk = new SimulatedFileSystem()
  const handle = await disk.open('/a', { mode: 'create', isDurable })
  await disk.syncDirectory('/')
  await handle.write(Buffer.alloc(2048, 'x'), 0)
  return disk
}
const survivingBytes = (disk: SimulatedFileSystem): number => disk.content('/a').filter((byte) => byte !== 0).length

const survivor = async (seed: string): Promise<string> => {
  const disk = await written(false)
  return disk
    .crash({ keep: 'random', prng: new Prng(seed) })
    .content('/a')
    .toString('hex')
}

describe('the simulated disk', () => {
  test('D2: keeps what was synced, and of the rest what the crash says', async () => {
    expect(survivingBytes((await written(true)).crash({ keep: 'none' }))).toBe(2048)
    const disk = await written(false)
    expect(survivingBytes(disk.crash({ keep: 'none' }))).toBe(0)
    expect(survivingBytes(disk.crash({ keep: 'all' }))).toBe(2048)
    expect(survivingBytes(disk.crash({ keep: 'torn', bytesOfLastWrite: 77 }))).toBe(77)
    const kept = survivingBytes(disk.crash({ keep: 'random', prng: new Prng('sectors') }))
    expect(kept % 512).toBe(0)
  })

  test('D10: forgets names whose directory was not synced', async () => {
    const disk = await written(true)
    await disk.rename('/a', '/b')
    expect(disk.crash({ keep: 'none' }).paths()).toEqual(['/a'])
    expect(disk.crash({ keep: 'all' }).paths()).toEqual(['/b'])
    await disk.clone().syncDirectory('/')
    const other = await written(true)
    await other.rename('/a', '/b')
    await other.syncDirectory('/')
    expect(other.crash({ keep: 'none' }).paths()).toEqual(['/b'])
  })

  test('fails as told: by code, by a short write, by a full disk, by the power', async () => {
    const disk = await written(false)
    const handle = await disk.open('/a', { mode: 'update', isDurable: true })
    disk.configure({ fault: ({ kind }) => (kind === 'sync' ? { kind: 'error', code: 'EIO' } : undefined) })
    await expect(handle.sync()).rejects.toMatchObject({ code: 'EIO' })
    expect(survivingBytes(disk.crash({ keep: 'none' }))).toBe(0)
    const short = await written(true)
    const target = await short.open('/a', { mode: 'update', isDurable: true })
    short.configure({ fault: ({ kind }) => (kind === 'durable-write' ? { kind: 'short', bytes: 3 } : undefined) })
    await expect(target.write(Buffer.from('yyyyyy'), 0)).rejects.toMatchObject({ code: 'SHORT_WRITE' })
    expect(short.content('/a').toString('latin1', 0, 5)).toBe('yyyxx')
    short.configure({ capacityBytes: 4096 })
    await expect(target.write(Buffer.alloc(4096), 1024)).rejects.toMatchObject({ code: 'ENOSPC' })
    short.powerOff()
    await expect(short.readDirectory('/')).rejects.toMatchObject({ code: 'POWER_OFF' })
  })

  test('is deterministic: equal seeds leave equal disks', async () => {
    expect(await survivor('same')).toBe(await survivor('same'))
  })
})
