// Commands: what an entry's payload asks the state machine to do, and what it answers. Plain data; bytes in command-codec.ts.
// The same types serve the HTTP edge, the driver, the state machine and the client's batches.
import type { KeyString } from '../lib/bytes.ts'

/** 16 lower-case hexadecimal digits: a positive int64. The empty string stands for no lease. */
export type LeaseId = string

/** 16 lower-case hexadecimal digits. */
export type SessionId = string

/** A half-open range of keys in byte order. Without `to` it has no end; one key is [key, key + '\0'). */
export interface KeyRange {
  readonly from: KeyString
  readonly to: KeyString | undefined
}

/** The one condition a write may carry, on the key's modRevision (0 = absent). */
export type Condition =
  | { readonly kind: 'none' }
  | { readonly kind: 'revision'; readonly revision: number }
  | { readonly kind: 'exists' }
  /** A well-formed entity tag that no revision of ours can have: never current. */
  | { readonly kind: 'never' }

export const NO_CONDITION: Condition = { kind: 'none' }

/** A write that has effect only while this token holds that lock. */
export interface Fence {
  readonly lock: KeyString
  readonly token: number
}

/** What makes a repeated write known as such, so that it is applied once (thesis §6.3). */
export type Once =
  | {
      readonly kind: 'session'
      readonly session: SessionId
      /** From 1, in any order. */
      readonly sequence: number
      /** The client has heard the results of all lower ones, and asks for none of them again. */
      readonly acknowledgedBelow: number
    }
  | {
      readonly kind: 'key'
      /** The caller's scope and its Idempotency-Key. One code unit a byte. */
      readonly key: string
      /** Of method, target, conditions and body: 16 hexadecimal digits. */
      readonly fingerprint: string
    }

/** What every command of a client may carry. */
interface Repeatable {
  readonly once?: Once
}

export interface PutCommand extends Repeatable {
  readonly op: 'put'
  readonly key: KeyString
  readonly value: Uint8Array
  /** '' stands for application/octet-stream. At most 255 bytes, one code unit a byte. */
  readonly contentType: string
  readonly condition: Condition
  /** Answer with the entry that was replaced. */
  readonly wantsPrevious: boolean
  /** The key dies with this lease. Not together with `ttlMs`. */
  readonly lease?: LeaseId
  /** The key dies after this time, with a lease of its own. */
  readonly ttlMs?: number
  readonly fence?: Fence
}

export interface DeleteCommand extends Repeatable {
  readonly op: 'delete'
  readonly key: KeyString
  readonly condition: Condition
  readonly wantsPrevious: boolean
  readonly fence?: Fence
}

/** Deletes all keys of a range in one revision. */
export interface DeleteRangeCommand extends Repeatable {
  readonly op: 'delete-range'
  readonly range: KeyRange
  readonly fence?: Fence
}

/** A decimal counter, int64; 0 when the key is absent. It keeps content type and lease. */
export interface AddCommand extends Repeatable {
  readonly op: 'add'
  readonly key: KeyString
  readonly by: bigint
  readonly condition: Condition
  readonly fence?: Fence
}

export type CompareOperator = '=' | '!=' | '<' | '>'

/** Holds when it holds for every key of the range; a range without keys counts as one missing key. */
export type Compare = {
  readonly range: KeyRange
  readonly operator: CompareOperator
} & (
  | { readonly target: 'version' | 'createRevision' | 'modRevision'; readonly operand: number }
  | { readonly target: 'value'; readonly operand: Uint8Array }
  | { readonly target: 'lease'; readonly operand: LeaseId }
)

/** A read inside a transaction: it sees what the transaction did before it. */
export interface TxnGet {
  readonly op: 'get'
  readonly range: KeyRange
  /** Entries at most. */
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
  readonly countOnly: boolean
}

/** Inside a transaction nothing carries a condition, a fence or `once` of its own: the transaction has them. */
export type TxnOperation = PutCommand | DeleteCommand | DeleteRangeCommand | AddCommand | TxnGet | TxnCommand

export interface TxnCommand extends Repeatable {
  readonly op: 'txn'
  readonly compares: readonly Compare[]
  readonly success: readonly TxnOperation[]
  readonly failure: readonly TxnOperation[]
  readonly fence?: Fence
}

export interface LeaseGrantCommand extends Repeatable {
  readonly op: 'lease-grant'
  readonly lease: LeaseId
  readonly ttlMs: number
}

export interface LeaseKeepAliveCommand extends Repeatable {
  readonly op: 'lease-keep-alive'
  readonly lease: LeaseId
}

/** Deletes the lease and its keys, in one revision. */
export interface LeaseRevokeCommand extends Repeatable {
  readonly op: 'lease-revoke'
  readonly lease: LeaseId
}

/** Locks and elections are one mechanism in two namespaces. */
export type LockKind = 'lock' | 'election'

/** Joins the queue of a lock with a lease of its own; whoever is first holds it. */
export interface LockCommand extends Repeatable {
  readonly op: 'lock'
  readonly kind: LockKind
  readonly name: KeyString
  /** To be granted for this place in the queue. */
  readonly lease: LeaseId
  /** Of the lease, from when the lock is held. */
  readonly ttlMs: number
  /** How long the place in the queue is kept while others hold the lock. 0: do not queue. */
  readonly waitMs: number
  readonly owner: string
  /** What an elected leader proclaims; empty for a lock. */
  readonly value: Uint8Array
}

/** Leaves the queue of a lock, as its holder or while waiting. */
export interface UnlockCommand extends Repeatable {
  readonly op: 'unlock'
  readonly kind: LockKind
  readonly name: KeyString
  readonly token: number
  /** Of one whose patience is over: `held` once the place has come first, because somebody may have been told so. */
  readonly onlyWaiting?: boolean
}

/** Changes what the elected leader proclaims. */
export interface ProclaimCommand extends Repeatable {
  readonly op: 'proclaim'
  readonly name: KeyString
  readonly token: number
  readonly value: Uint8Array
}

export interface SessionOpenCommand {
  readonly op: 'session-open'
  readonly session: SessionId
  /** The session is forgotten when nothing used it for this long. */
  readonly ttlMs: number
}

export interface SessionKeepAliveCommand {
  readonly op: 'session-keep-alive'
  readonly session: SessionId
}

export interface SessionCloseCommand {
  readonly op: 'session-close'
  readonly session: SessionId
}

/** Forget history below a revision. Proposed by the leader's retention policy, or by a caller. */
export interface CompactCommand extends Repeatable {
  readonly op: 'compact'
  readonly revision: number
}

/** Proposed by the leader for what is due; apply looks at each again, by cluster time. */
export interface ExpireCommand {
  readonly op: 'expire'
  readonly leases: readonly LeaseId[]
  readonly sessions: readonly SessionId[]
}

/** The writes of one key that a register knows. */
export type KeyWrite = PutCommand | DeleteCommand

/** What clients may ask for. */
export type ClientCommand =
  | PutCommand
  | DeleteCommand
  | DeleteRangeCommand
  | AddCommand
  | TxnCommand
  | LeaseGrantCommand
  | LeaseKeepAliveCommand
  | LeaseRevokeCommand
  | LockCommand
  | UnlockCommand
  | ProclaimCommand
  | SessionOpenCommand
  | SessionKeepAliveCommand
  | SessionCloseCommand
  | CompactCommand

export type Command = ClientCommand | ExpireCommand

/** An entry as answers give it: key, value and the key's own counters. */
export interface KeyEntry {
  readonly key: KeyString
  readonly value: Uint8Array
  readonly contentType: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly lease: LeaseId
}

export interface PutResult {
  readonly kind: 'put'
  readonly revision: number
  readonly isCreated: boolean
  readonly previous: KeyEntry | undefined
}

export interface DeletedResult {
  readonly kind: 'deleted'
  readonly revision: number
  readonly count: number
  readonly previous: KeyEntry | undefined
}

export interface AddedResult {
  readonly kind: 'added'
  readonly revision: number
  readonly value: bigint
}

export interface RangeResult {
  readonly kind: 'range'
  readonly revision: number
  /** Without values with `keysOnly`; none with `countOnly`. */
  readonly entries: readonly KeyEntry[]
  /** With `countOnly` of the whole range, else of `entries`. */
  readonly count: number
  readonly isMore: boolean
}

export interface TxnResult {
  readonly kind: 'txn'
  readonly revision: number
  readonly succeeded: boolean
  /** For each operation of the branch taken. */
  readonly results: readonly TxnOperationResult[]
}

export type TxnOperationResult = PutResult | DeletedResult | AddedResult | RangeResult | TxnResult

/** Refusals that need no further word. None of them had any effect. */
export type RefusalReason =
  /** `add` on what is not a decimal int64, or past its range. */
  | 'not-a-number'
  | 'lease-not-found'
  /** The chosen id is taken. */
  | 'lease-exists'
  | 'lease-full'
  | 'too-many-leases'
  | 'range-too-large'
  /** The fence's token does not hold its lock. */
  | 'fenced'
  /** The token is not in the queue of that lock. */
  | 'token-not-found'
  /** Held by another, and the caller does not wait. */
  | 'locked'
  | 'queue-full'
  /** Unknown or expired: whether the write was applied before cannot be told any more. */
  | 'session-gone'
  /** Below the acknowledged mark: its result was forgotten. */
  | 'sequence-forgotten'
  | 'too-many-sessions'
  | 'too-many-sequences'
  | 'too-many-idempotency-keys'
  | 'idempotency-mismatch'
  /** More than can be remembered for a repeat. */
  | 'result-too-large'
  | 'compacted'
  | 'future-revision'
  /** The place holds the lock, and was to be given up only while it waited. */
  | 'held'

/**
 * A refusal is a result like any other: equal on all nodes (design, section 7). `revision` is the store's after the command;
 * of a compaction, the compact revision that is in force now.
 */
export type CommandResult =
  | PutResult
  | DeletedResult
  | AddedResult
  | TxnResult
  | { readonly kind: 'precondition-failed'; readonly revision: number; readonly currentRevision: number }
  | { readonly kind: 'refused'; readonly revision: number; readonly reason: RefusalReason }
  | { readonly kind: 'compacted'; readonly revision: number }
  | { readonly kind: 'lease'; readonly revision: number; readonly lease: LeaseId; readonly ttlMs: number }
  /** `count` keys were deleted with it. */
  | { readonly kind: 'lease-revoked'; readonly revision: number; readonly count: number }
  | {
      readonly kind: 'lock'
      readonly revision: number
      /** Grows over all locks and for ever. */
      readonly token: number
      readonly lease: LeaseId
      readonly isHeld: boolean
    }
  /** `wasHeld`: it was the holder's, not that of one who waited. */
  | { readonly kind: 'unlocked'; readonly revision: number; readonly wasHeld: boolean }
  | { readonly kind: 'proclaimed'; readonly revision: number }
  | { readonly kind: 'session'; readonly revision: number; readonly session: SessionId; readonly ttlMs: number }
  | { readonly kind: 'session-closed'; readonly revision: number }
  | { readonly kind: 'expired'; readonly revision: number; readonly count: number }
  /** A repeat: this is what the first one was answered. */
  | { readonly kind: 'replayed'; readonly revision: number; readonly result: CommandResult }

/** Which process asked for a group of commands, so that it can recognise its own when it applies them. */
export interface GroupTag {
  /** 16 hex digits. */
  readonly member: string
  readonly boot: number
  /** The forward's number within that boot; 0 in the leader's own group. */
  readonly number: number
}

export interface CommandGroup {
  readonly tag: GroupTag
  readonly commands: readonly Command[]
}

/** The payload of one `normal` entry: everything that arrived in one turn of the leader's event loop. */
export interface EntryBatch {
  readonly clusterTimeMs: number
  readonly groups: readonly CommandGroup[]
}
