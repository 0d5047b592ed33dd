// The public surface of the consensus core: a pure state machine. Inputs change it, `takeReady` says what must be done.
// The driver in node/ is its only caller in production; the simulator and the tests are the others.
export { RaftNode } from './raft-node.ts'
export type {
  DropReason,
  PeerStatus,
  ProposeOutcome,
  RaftConfig,
  RaftInit,
  RaftStatus,
  ReadIndexOutcome,
  Ready,
  StepOutcome,
  TransferOutcome,
} from './raft-node.ts'
export type * from './types.ts'
export { ORIGIN } from './types.ts'
export type * from './messages.ts'
