// The log's door: what the composition root opens, and the same in memory.
export { openRaftLog } from './open-raft-log.ts'
export type { RaftLogOptions } from './open-raft-log.ts'
export { MemoryLogDisk, openMemoryRaftLog } from './memory-raft-log.ts'
