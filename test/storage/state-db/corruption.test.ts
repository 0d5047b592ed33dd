// A failing disk under the state: every damage that we can see stops the store, and none of it becomes an answer.
import { promises as fs } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { StateCorruptionError } from '../../../src/storage/state-db/index.ts'
import { META_KEY, isRecordKey, recordKey, witnessKey } from '../../../src/storage/state-db/keys.ts'
import { STATE_FORMAT } from '../../../src/storage/state-db/meta-codec.ts'
import { beginValue, sealValue } from '../../../src/storage/state-db/stored-value.ts'
import { Writer, levelHome, memoryHome, textOf } from './support.ts'
import type { Home, MemoryHome } from './support.ts'

const homes: Home[] = []

afterEach(async () => {
  for (const home of homes.splice(0)) await home.dispose()
})

const bytes = (text: string): Buffer => Buffer.from(text)

/** A closed state with a few keys. */
async function written(): Promise<MemoryHome> {
  const home = await memoryHome()
  const { current: store } = await home.open()
  for (const key of ['a', 'b', 'c']) {
    await new Writer(store).entry([[key, bytes(`value of ${key}`)]])
    await store.drain()
  }
  await store.close()
  return home
}

describe('D5: a damaged state', () => {
  it('stops the store at each byte of a stored value, with an error that names the key and what to do', async () => {
    const home = await written()
    const cells: { key: Buffer; length: number }[] = []
    home.store.damage(1, (key, value) => {
      if ('kz'.includes(key.toString('latin1', 0, 1))) cells.push({ key, length: value.length })
      return value
    })
    expect(cells).toHaveLength(6)
    for (const { key, length } of cells) {
      for (let at = 0; at < length; at++) {
        const damaged = await home.crash()
        const { store } = damaged as MemoryHome
        store.damage(1, (found, value) => {
          if (found.equals(key)) value[at]! ^= 0x10
          return value
        })
        const { current } = await damaged.open()
        const failures: Error[] = []
        current.onFailure((error) => failures.push(error))
        const reads = await Promise.allSettled(['a', 'b', 'c'].map(async (name) => textOf(await current.get(name))))
        for (const [nth, read] of reads.entries()) {
          if (read.status === 'fulfilled') expect(read.value).toBe(`value of ${'abc'[nth]}`)
        }
        expect(failures).toHaveLength(1)
        expect(failures[0]).toBeInstanceOf(StateCorruptionError)
        expect(failures[0]!.message).toMatch(new RegExp(`damaged: key ${key.toString('hex')}.*Do not delete`))
        await expect(current.get('d')).rejects.toThrow(/earlier failure/)
        await current.close()
      }
    }
  })

  it('stops the store when a value turns up under another key', async () => {
    const home = await written()
    let other: Buffer | undefined
    home.store.damage(1, (key, value) => {
      if (!isRecordKey(key)) return value
      const before = other
      other = value
      return before ?? value
    })
    const { current } = await home.open()
    const reads = await Promise.allSettled(['a', 'b', 'c'].map(async (key) => await current.get(key)))
    expect(reads.at(-1)?.status).toBe('rejected')
    await current.close()
  })

  it('stops the store when a record is missing, and is refused at opening when it is the last one of a batch', async () => {
    const home = await memoryHome()
    const { current: store } = await home.open()
    await new Writer(store).entry(['a', 'b', 'c'].map((key) => [key, bytes(`value of ${key}`)]))
    await store.drain()
    await store.close()
    const lose = (revision: number): unknown =>
      home.store.damage(1, (key, value) => (key.equals(recordKey({ revision, sub: 0 })) ? undefined : value))
    lose(3)
    const { current } = await home.open()
    await expect(current.get('b')).rejects.toThrow(/the record of the latest change of a key is missing/)
    await current.close()
    lose(4)
    await expect(home.open()).rejects.toThrow(/the records of batch 2 are missing although the rest of it is there/)
  })

  it('is not handed on: a stream ends at the first damaged value', async () => {
    const home = await written()
    home.store.damage(1, (key, value) => {
      if (key.equals(bytes('kb'))) value[3]! ^= 1
      return value
    })
    const { current } = await home.open()
    const snapshot = await current.openSnapshot()
    const drained = (async () => {
      for await (const chunk of snapshot.chunks()) expect(chunk.length).toBeGreaterThan(0)
    })()
    await expect(drained).rejects.toThrow(StateCorruptionError)
    await expect(current.get('z')).rejects.toThrow(/earlier failure/)
    await snapshot.close()
    await current.close()
  })

  it('is refused at opening where its metadata is damaged or a batch in the middle is lost', async () => {
    for (const [name, key] of [...Object.entries(META_KEY), ['batch 2', witnessKey(2)] as const]) {
      if (name === 'digests') continue
      for (const isLost of [false, true]) {
        const home = await written()
        home.store.damage(1, (found, value) => {
          if (!found.equals(key)) return value
          if (isLost) return undefined
          value[1]! ^= 1
          return value
        })
        await expect(home.open(), `${name}, lost: ${isLost}`).rejects.toThrow(/state in memory\/1 is damaged/)
      }
    }
  })

  it('D14: is refused with a clear message when its format is newer or older', async () => {
    for (const [format, message] of [
      [STATE_FORMAT + 1, /written by a newer release/],
      [STATE_FORMAT - 1, /written by an older release/],
    ] as const) {
      const home = await written()
      home.store.damage(1, (key, value) => {
        if (!key.equals(META_KEY.format)) return value
        const writer = new ByteWriter()
        beginValue(writer).varint(format)
        return Buffer.from(sealValue(writer, key))
      })
      await expect(home.open()).rejects.toThrow(message)
    }
    const sealed = await written()
    sealed.store.damage(1, (key, value) => {
      if (key.equals(META_KEY.format)) value[0]! |= 0x80
      return value
    })
    await expect(sealed.open()).rejects.toThrow(/written by a newer release/)
  })

  it.each([
    ['state/1/records', /the records of batch \d+ are missing although the rest of it is there/],
    ['state/1', /batches \d+ to \d+ are missing although later ones are there/],
  ])('is found out when LevelDB silently drops a batch in the middle of its log in %s', async (folder, message) => {
    const home = await levelHome()
    homes.push(home)
    const { current: store } = await home.open()
    for (let entry = 0; entry < 40; entry++) {
      await new Writer(store).entry([[`key-${entry}`.padEnd(2_000), Buffer.alloc(2_000, entry)]])
      await store.drain()
    }
    const crashed = (await home.crash()) as typeof home
    await store.close()
    const directory = `${crashed.directory}/${folder}`
    const log = (await fs.readdir(directory)).find((name) => name.endsWith('.log'))!
    const content = await fs.readFile(`${directory}/${log}`)
    content[Math.floor(content.length / 2)]! ^= 1
    await fs.writeFile(`${directory}/${log}`, content)
    await expect(crashed.open()).rejects.toThrow(message)
  })

  it('D5: a flipped bit in a table file of LevelDB, which LevelDB itself returns without an error, is found out', async () => {
    const home = await levelHome()
    homes.push(home)
    const leveldb = { recordsBufferSize: 64 * 1024 }
    const { current: store } = await home.open({ leveldb })
    const marker = bytes('the-value-to-be-flipped')
    await new Writer(store).entry([['victim', marker]])
    for (let entry = 0; entry < 60; entry++) {
      await new Writer(store).entry([[`key-${entry}`, Buffer.alloc(4_000, entry)]])
      await store.drain()
    }
    await store.close()
    const directory = `${home.directory}/state/1/records`
    let flipped = 0
    for (const name of await fs.readdir(directory)) {
      if (!name.endsWith('.ldb')) continue
      const content = await fs.readFile(`${directory}/${name}`)
      const at = content.indexOf(marker)
      if (at < 0) continue
      content[at + 5]! ^= 1
      flipped++
      await fs.writeFile(`${directory}/${name}`, content)
    }
    expect(flipped).toBeGreaterThan(0)
    const { current: again } = await home.open({ leveldb })
    await expect(again.get('victim')).rejects.toThrow(/fails its checksum/)
    await again.close()
  })

  it('D15: is never repaired automatically', async () => {
    const folder = new URL('../../../src/storage/state-db/', import.meta.url)
    for (const name of await fs.readdir(folder)) {
      if (!name.endsWith('.ts')) continue
      const source = await fs.readFile(new URL(name, folder), 'utf8')
      expect(source, name).not.toMatch(/\.(repair|destroy)\s*\(|db\.clear\s*\(/)
    }
  })
})

describe('D3: a write that fails', () => {
  it('is final: nothing is written after it, everyone who waits learns of it, and what was durable stays', async () => {
    let writes = 0
    const home = await memoryHome(async (kind, work) => {
      await Promise.resolve()
      if (kind === 'write' && ++writes > 3) throw new Error('EIO: i/o error, fdatasync')
      return work()
    })
    const { current: store } = await home.open({ tableBytesMax: 1_000 })
    const failures: Error[] = []
    store.onFailure((error) => failures.push(error))
    const writer = new Writer(store)
    await writer.entry([['a', bytes('1')]])
    await store.drain()
    await writer.entry([['a', Buffer.alloc(2_000)]])
    const room = store.room()
    const drained = store.drain()
    await expect(drained).rejects.toThrow(/fdatasync/)
    await expect(room).rejects.toThrow(/fdatasync/)
    expect(failures.map((error) => error.message)).toEqual(['EIO: i/o error, fdatasync'])
    expect(() => writer.entryNow([])).toThrow(/earlier failure/)
    await expect(store.drain()).rejects.toThrow(/earlier failure/)
    await expect(store.openSnapshot()).rejects.toThrow(/earlier failure/)
    expect(writes).toBe(4)
    await store.close()
    const { current: again } = await (await home.crash()).open()
    expect(textOf(await again.get('a'))).toBe('1')
  })

  it('D16: a read that fails is final too', async () => {
    let isBroken = false
    const home = await memoryHome(async (kind, work) => {
      await Promise.resolve()
      if (isBroken && kind === 'read') throw new Error('LEVEL_IO_ERROR')
      return work()
    })
    const { current: store } = await home.open()
    isBroken = true
    const failures: Error[] = []
    store.onFailure((error) => failures.push(error))
    await expect(store.get('a')).rejects.toThrow('LEVEL_IO_ERROR')
    expect(failures).toHaveLength(1)
    await store.close()
  })
})
