// The whole zoo: bugs that can be planted, and traps that wait for the feature that could fall into them.
import type { Bug, Waiting } from './bug.ts'
import { NODE_BUGS } from './bugs/node.ts'
import { RAFT_BUGS } from './bugs/raft.ts'
import { STORAGE_BUGS } from './bugs/storage.ts'

export const BUGS: readonly Bug[] = [...RAFT_BUGS, ...STORAGE_BUGS, ...NODE_BUGS]

export const WAITING: readonly Waiting[] = [
  { id: 'M1', what: 'a change before the leader has committed in its term', waitsFor: 'membership changes' },
  { id: 'M2', what: 'two changes in flight', waitsFor: 'membership changes' },
  { id: 'M5', what: 'a leader counts itself after its removal', waitsFor: 'membership changes' },
  { id: 'R6', what: 'a lease is trusted after a pause', waitsFor: 'lease reads, which are decided against' },
  { id: 'A2', what: 'a repeated write applies twice', waitsFor: 'sessions' },
  { id: 'A3', what: 'sessions are missing in a snapshot', waitsFor: 'sessions' },
  { id: 'A5', what: 'a scan in the order of a Map', waitsFor: 'range reads' },
  { id: 'A7', what: 'a node lets keys expire by its own clock', waitsFor: 'leases' },
  { id: 'W2', what: 'a watch has a gap after a snapshot', waitsFor: 'watches' },
  { id: 'W3', what: 'a watch from the future gets old events', waitsFor: 'watches' },
]
