// The state machine's face to the driver: apply, what apply reads, and the policy that proposes what history to drop.
export { DIGEST_VERSION, recordShare } from './digest.ts'
export { reads } from './reads.ts'
export { DEFAULT_RETENTION, Retention } from './retention.ts'
export type { RetentionLimits } from './retention.ts'
export { initialMeta, KvStateMachine } from './state-machine.ts'
export type { Applied, AppliedId } from './state-machine.ts'
export type * from './types.ts'
