// The state machine's face to the driver: the application of entries, what it keeps beside keys, and the policy that proposes
// what history to drop.
export { DIGEST_VERSION, recordShare, rowShare } from './digest.ts'
export { KV_LIMITS } from './limits.ts'
export { DEFAULT_RETENTION, Retention } from './retention.ts'
export type { RetentionLimits } from './retention.ts'
export { initialMeta, KvStateMachine } from './state-machine.ts'
export type * from './types.ts'
