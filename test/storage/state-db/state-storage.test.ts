// The directory of states: the swap to a received one, and what every crash in between leaves behind.
import { promises as fs } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import type { StateStorage } from '../../../src/node/ports.ts'
import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import { MemoryStore } from '../../../src/storage/state-db/index.ts'
import { HOMES, Writer, levelHome, memoryHome, textOf, transfer } from './support.ts'
import type { Home } from './support.ts'

const homes: Home[] = []

afterEach(async () => {
  for (const home of homes.splice(0)) await home.dispose()
})

async function fresh<T extends Home>(makeHome: () => Promise<T>): Promise<T> {
  const home = await makeHome()
  homes.push(home)
  return home
}

const bytes = (text: string): Buffer => Buffer.from(text)

async function sourceState(): Promise<StateStorage> {
  const source = await (await memoryHome()).open()
  for (let entry = 0; entry < 10; entry++) await new Writer(source.current).entry([['a', bytes(`new-${entry}`)]])
  await source.current.drain()
  return source
}

describe.each(HOMES)('S2: a crash during a swap over %s', (_name, makeHome) => {
  it('before the install leaves the old state, and removes the received one', async () => {
    const home = await fresh(makeHome)
    const target = await home.open()
    await new Writer(target.current).entry([['a', bytes('old')]])
    await target.current.drain()
    const source = await sourceState()
    const receiver = await target.receive()
    await receiver.write(Buffer.alloc(3))
    const halfway = await home.crash()
    await receiver.abort()
    await target.current.close()
    const again = await halfway.open()
    expect(textOf(await again.current.get('a'))).toBe('old')
    await transfer(source.current, again)
    const arrived = await halfway.crash()
    await again.current.close()
    const later = await arrived.open()
    expect(textOf(await later.current.get('a'))).toBe('old')
    expect(later.pendingMarker).toBeUndefined()
    await later.current.close()
  })

  it('between install and marker shows the new state and says that the marker is pending', async () => {
    const home = await fresh(makeHome)
    const target = await home.open()
    await new Writer(target.current).entry([['a', bytes('old')]])
    const old = target.current
    const source = await sourceState()
    const received = await transfer(source.current, target)
    const installed = await target.install(received)
    expect(target.pendingMarker).toEqual(received.meta)
    expect(textOf(await old.get('a'))).toBe('old')
    const after = await home.crash()
    await installed.close()
    await old.close()
    const again = await after.open()
    expect(again.pendingMarker).toEqual(received.meta)
    expect(textOf(await again.current.get('a'))).toBe('new-9')
    await again.finishInstall()
    expect(again.pendingMarker).toBeUndefined()
    await again.current.close()
    const last = await after.open()
    expect(last.pendingMarker).toBeUndefined()
    await last.current.close()
  })
})

describe('a swap', () => {
  it('survives a power cut at each operation on the pointer file: one state or the other, never none', async () => {
    const source = await sourceState()
    let sawOld = 0
    let sawNew = 0
    for (let cut = 1; ; cut++) {
      let counted = 0
      let isArmed = false
      const fileSystem = new SimulatedFileSystem({
        fault: () => (isArmed && ++counted === cut ? { kind: 'power-off' } : undefined),
      })
      await fileSystem.makeDirectory('/0')
      await fileSystem.syncDirectory('/')
      const home = await memoryHome()
      const store = new MemoryStore()
      const target = await home.open({ fileSystem, store })
      await new Writer(target.current).entry([['a', bytes('old')]])
      await target.current.drain()
      const received = await transfer(source.current, target)
      isArmed = true
      const isDone = await Promise.race([
        target
          .install(received)
          .then(async () => await target.finishInstall())
          .then(
            () => true,
            () => false,
          ),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 20)),
      ])
      isArmed = false
      for (const keep of ['all', 'none'] as const) {
        const again = await home.open({
          fileSystem: fileSystem.crash({ keep }),
          store: new MemoryStore({ from: store }),
        })
        const value = textOf(await again.current.get('a'))
        if (value === 'old') sawOld++
        else sawNew++
        expect(['old', 'new-9']).toContain(value)
        if (isDone) expect(value).toBe('new-9')
        if (value === 'old') expect(again.pendingMarker).toBeUndefined()
      }
      if (isDone && counted < cut) break
    }
    expect(sawOld).toBeGreaterThan(0)
    expect(sawNew).toBeGreaterThan(0)
  })

  it('S7: does not let the applied index of a state move backwards', async () => {
    const target = await (await memoryHome()).open()
    await new Writer(target.current).entry([['a', bytes('old')]])
    expect(() => target.current.commitEntry({ ...target.current.meta })).toThrow(/was committed after entry 1/)
    const installed = await target.install(await transfer((await sourceState()).current, target))
    expect(installed.meta.index).toBe(10)
    expect(() => installed.commitEntry({ ...installed.meta, index: 5 })).toThrow(/was committed after entry 10/)
  })

  it('closes and removes the old state, also while a stream of it is open', async () => {
    const home = await fresh(levelHome)
    const target = await home.open()
    await new Writer(target.current).entry([['a', bytes('old')]])
    await target.current.drain()
    const old = target.current
    const snapshot = await old.openSnapshot()
    await target.install(await transfer((await sourceState()).current, target))
    await target.finishInstall()
    expect(await fs.readdir(`${home.directory}/state`)).toEqual(['2'])
    await expect(old.get('b')).rejects.toThrow(/closed/)
    await snapshot.close()
    await target.current.close()
  })
})

describe('D14: opening', () => {
  it('makes the first state anew when its making was cut short', async () => {
    const home = await fresh(levelHome)
    await fs.mkdir(`${home.directory}/state/1`, { recursive: true })
    const first = await home.open()
    await first.current.close()
    await fs.rm(`${home.directory}/pointer`)
    await fs.writeFile(`${home.directory}/pointer.new`, 'torn')
    const storage = await home.open()
    expect(storage.current.meta.revision).toBe(1)
    await storage.current.close()
  })

  it('refuses a state without its pointer file rather than start over', async () => {
    const home = await fresh(levelHome)
    const storage = await home.open()
    await new Writer(storage.current).entry([['a', bytes('1')]])
    await storage.current.close()
    const pointer = await fs.readFile(`${home.directory}/pointer`)
    await fs.rm(`${home.directory}/pointer`)
    await expect(home.open()).rejects.toThrow(/pointer is missing, but .*state\/1 holds a state/)
    await fs.writeFile(`${home.directory}/pointer`, pointer)
    const again = await home.open()
    expect(textOf(await again.current.get('a'))).toBe('1')
    await again.current.close()
  })

  it('refuses a pointer file that is damaged, newer, or names a state that is not there', async () => {
    const home = await fresh(levelHome)
    await (await home.open()).current.close()
    const path = `${home.directory}/pointer`
    const whole = await fs.readFile(path, 'utf8')
    await fs.writeFile(path, whole.replace('"state":1', '"state":2'))
    await expect(home.open()).rejects.toThrow(/pointer is damaged: its checksum/)
    await fs.writeFile(path, whole)
    await fs.rename(`${home.directory}/state/1`, `${home.directory}/state/2`)
    await expect(home.open()).rejects.toThrow(/state\/1 is damaged: it is missing/)
    expect(await fs.readdir(`${home.directory}/state`)).toEqual(['2'])
  })

  it('refuses a second process', async () => {
    const home = await fresh(levelHome)
    const storage = await home.open()
    await expect(home.open()).rejects.toThrow(/in use by another process/)
    await storage.current.close()
  })
})
