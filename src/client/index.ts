// The public surface of `quorate/client`, listed by hand.
export { Client } from './client.ts'
export type { ClientPorts } from './client.ts'
export { ClientError } from './client-error.ts'
export type { ClientErrorCode } from './client-error.ts'
export { Entry, GetResult } from './entry.ts'
export type { Key } from './key-path.ts'
export type { DeleteResult, PutResult } from './answers.ts'
export type { VersionInfo } from './admin-answers.ts'
export type {
  CallOptions,
  ClientOptions,
  DeleteOptions,
  GetOptions,
  PutJsonOptions,
  PutOptions,
  WriteConditions,
} from './options.ts'
export { TransportError } from './transport.ts'
export type { ClientClock, Transport, TransportFailure, TransportRequest, TransportResponse } from './transport.ts'
export type { Outcome } from '../api/errors.ts'
export type { ClusterStatus, MemberStatus, NodeRole, NodeStatus } from '../api/status.ts'
