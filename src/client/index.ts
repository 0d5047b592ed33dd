// The public surface of `quorate/client`, listed by hand.
export { Client } from './client.ts'
export type { ClientPorts } from './client.ts'
export { ClientError } from './client-error.ts'
export type { ClientErrorCode } from './client-error.ts'
export { Entry, GetResult } from './entry.ts'
export type { Key } from './key-path.ts'
export type { DeleteResult, PutResult } from './answers.ts'
export type { AddResult, DeleteRangeResult, RangeAnswer } from './results.ts'
export type { Page } from './listing.ts'
export type { VersionInfo } from './admin-answers.ts'
export { op, when } from './txn-steps.ts'
export type { Comparison, TxnPutOptions, TxnRangeOptions, TxnStep } from './txn-steps.ts'
export type { CommitOptions, ResultsOf, Txn, TxnOutcome } from './txn.ts'
export type { Transaction, TransactionOptions } from './transaction.ts'
export type { Watcher, WatchEvent, WatchOptions } from './watch.ts'
export type { Mirror, MirrorChange } from './mirror.ts'
export type { Lease, LeaseOptions } from './lease.ts'
export type { LeaseInfo, LeaseSummary } from './lease-info.ts'
export type { Leader, Lock, LockInfo, LockOptions, LockPlace } from './lock.ts'
export type { CampaignOptions, Election, Leadership } from './election.ts'
export type { Counter } from './recipes/counter.ts'
export type { Hold, LineOptions } from './recipes/line.ts'
export type { ReadWriteLock } from './recipes/read-write-lock.ts'
export type { Semaphore } from './recipes/semaphore.ts'
export type {
  AddOptions,
  CallOptions,
  ClientOptions,
  CountOptions,
  DeleteOptions,
  DeleteRangeOptions,
  FenceOption,
  GetOptions,
  Lifetime,
  ListOptions,
  PageOptions,
  PutJsonOptions,
  PutOptions,
  RangeOptions,
  ReadOptions,
  WriteConditions,
} from './options.ts'
export { Cancellation, TransportError } from './transport.ts'
export type {
  ClientClock,
  Transport,
  TransportFailure,
  TransportRequest,
  TransportResponse,
  TransportStream,
} from './transport.ts'
export type { Outcome } from '../api/errors.ts'
export type { Compare, CompareOperator } from '../api/commands.ts'
export type { ClusterStatus, MemberStatus, NodeRole, NodeStatus } from '../api/status.ts'
