// The whole zoo: bugs that can be planted, and traps that wait for the feature that could fall into them.
import type { Bug, Waiting } from './bug.ts'
import { DATA_MODEL_BUGS } from './bugs/data-model.ts'
import { NODE_BUGS } from './bugs/node.ts'
import { RAFT_BUGS } from './bugs/raft.ts'
import { STORAGE_BUGS } from './bugs/storage.ts'

export const BUGS: readonly Bug[] = [...RAFT_BUGS, ...STORAGE_BUGS, ...NODE_BUGS, ...DATA_MODEL_BUGS]

export const WAITING: readonly Waiting[] = [
  { id: 'M1', what: 'a change before the leader has committed in its term', waitsFor: 'membership changes' },
  { id: 'M2', what: 'two changes in flight', waitsFor: 'membership changes' },
  { id: 'M5', what: 'a leader counts itself after its removal', waitsFor: 'membership changes' },
  { id: 'R6', what: 'a lease is trusted after a pause', waitsFor: 'lease reads, which are decided against' },
]
