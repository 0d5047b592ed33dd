// Commands: what an entry's payload asks the state machine to do, and what it answers. Plain data; bytes in command-codec.ts.
// The same types serve the HTTP edge, the driver, the state machine and, later, the client's batches.
import type { KeyString } from '../lib/bytes.ts'

/** The one condition a write may carry, on the key's modRevision (0 = absent). */
export type Condition =
  | { readonly kind: 'none' }
  | { readonly kind: 'revision'; readonly revision: number }
  | { readonly kind: 'exists' }
  /** A well-formed entity tag that no revision of ours can have: never current. */
  | { readonly kind: 'never' }

export const NO_CONDITION: Condition = { kind: 'none' }

export interface PutCommand {
  readonly op: 'put'
  readonly key: KeyString
  readonly value: Uint8Array
  /** '' stands for application/octet-stream. At most 255 bytes, one code unit a byte. */
  readonly contentType: string
  readonly condition: Condition
  /** Answer with the entry that was replaced. */
  readonly wantsPrevious: boolean
}

export interface DeleteCommand {
  readonly op: 'delete'
  readonly key: KeyString
  readonly condition: Condition
  readonly wantsPrevious: boolean
}

/** Forget history below a revision. Proposed by the leader's retention policy. */
export interface CompactCommand {
  readonly op: 'compact'
  readonly revision: number
}

/** What clients may ask for. */
export type ClientCommand = PutCommand | DeleteCommand
export type Command = ClientCommand | CompactCommand

/** An entry as answers give it: key, value and the key's own counters. */
export interface KeyEntry {
  readonly key: KeyString
  readonly value: Uint8Array
  readonly contentType: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly lease: string
}

/**
 * A refusal is a result like any other: equal on all nodes (design, section 7). `revision` is the store's after the command;
 * of a compaction, the compact revision that is in force now.
 */
export type CommandResult =
  | {
      readonly kind: 'put'
      readonly revision: number
      readonly isCreated: boolean
      readonly previous: KeyEntry | undefined
    }
  | {
      readonly kind: 'deleted'
      readonly revision: number
      readonly count: number
      readonly previous: KeyEntry | undefined
    }
  | { readonly kind: 'compacted'; readonly revision: number }
  | { readonly kind: 'precondition-failed'; readonly revision: number; readonly currentRevision: number }

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
