// The port's exam, taken by the log on this machine's disk, by the same on a simulated disk, and by the log in memory.
import { nodeFileSystem } from '../../../src/storage/node-file-system.ts'
import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import { MemoryLogDisk, openMemoryRaftLog } from '../../../src/storage/wal/index.ts'
import { raftStorageSuite } from '../raft-storage.suite.ts'
import { openOn, temporaryDirectory } from '../support.ts'

raftStorageSuite('the log on disk', () => {
  const directory = temporaryDirectory()
  const at = { directory: `${directory.path}/log`, votePath: `${directory.path}/vote` }
  return Promise.resolve({
    open: (keepFrom = 1) => openOn(nodeFileSystem, { at, keepFrom, segmentBytes: 64 * 1024 }),
    dispose: () => Promise.resolve(directory.remove()),
  })
})

raftStorageSuite('the log on a simulated disk', () => {
  const disk = new SimulatedFileSystem()
  return Promise.resolve({
    open: (keepFrom = 1) => openOn(disk, { keepFrom, segmentBytes: 8 * 1024, memoryBytesMax: 4096 }),
    dispose: () => Promise.resolve(),
  })
})

raftStorageSuite('the log in memory', () => {
  const disk = new MemoryLogDisk()
  return Promise.resolve({
    open: () => Promise.resolve(openMemoryRaftLog({ disk })),
    dispose: () => Promise.resolve(),
  })
})
