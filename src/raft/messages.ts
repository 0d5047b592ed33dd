// What nodes say to each other: one tagged type a message, no field that means different things in different places.
// Every message names its sender, its addressee and the sender's term. The transport checks shapes; `step` checks sense.
import type { Boot, ConfState, Entry, EntryId, LogIndex, NodeId, ReadId, SnapshotMeta, Term } from './types.ts'

interface Envelope {
  readonly from: NodeId
  readonly to: NodeId
  readonly term: Term
}

/** Replication (§3.5). Also carries the round of reads that its acknowledgement confirms (§6.4). */
export interface AppendEntries extends Envelope {
  readonly type: 'append-entries'
  readonly prev: EntryId
  readonly entries: readonly Entry[]
  readonly commitIndex: LogIndex
  readonly readRound: number
  /** The leader's last index: what a node that lost entries must reach before it may vote again. */
  readonly lastIndex: LogIndex
}

export interface AppendEntriesResponse extends Envelope {
  readonly type: 'append-entries-response'
  readonly readRound: number
  /** Accepted: everything up to `matchIndex` is durable here and equals the leader's. */
  readonly result:
    | { readonly kind: 'accepted'; readonly matchIndex: LogIndex }
    /**
     * `index`: the refused prev index; 0 = no append was refused, but this process does not know yet that its log matches
     * (it restarted in the leader's term): probe it. `hint`: where the follower suggests to continue; never evidence of a match.
     */
    | { readonly kind: 'rejected'; readonly index: LogIndex; readonly hint: EntryId }
  readonly isSpaceLow: boolean
}

/** Empty proof of leadership; carries the commit index and a read round. */
export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat'
  /** min(leader's commit index, the peer's match index): safe to adopt without a log check. */
  readonly commitIndex: LogIndex
  readonly readRound: number
  readonly lastIndex: LogIndex
}

export interface HeartbeatResponse extends Envelope {
  readonly type: 'heartbeat-response'
  readonly readRound: number
  /** Free disk space is below the reserve: the leader refuses growth when too many voters say so. */
  readonly isSpaceLow: boolean
}

/** Would you vote for me in `term`? Changes nobody's term (§9.6). `term` is the term the sender would campaign in. */
export interface RequestPreVote extends Envelope {
  readonly type: 'request-pre-vote'
  readonly last: EntryId
}

/** A grant carries the proposed term, a refusal the refuser's own. */
export interface RequestPreVoteResponse extends Envelope {
  readonly type: 'request-pre-vote-response'
  readonly isGranted: boolean
}

/** (§3.4) */
export interface RequestVote extends Envelope {
  readonly type: 'request-vote'
  readonly last: EntryId
  /** Asked for by the leader itself (§3.10): leader stickiness does not apply. */
  readonly isTransfer: boolean
}

export interface RequestVoteResponse extends Envelope {
  readonly type: 'request-vote-response'
  readonly isGranted: boolean
}

/** Stepped by the receiving driver itself, once the streamed state is verified on its disk; never sent over the wire. */
export interface InstallSnapshot extends Envelope {
  readonly type: 'install-snapshot'
  readonly snapshot: SnapshotMeta
}

/** A node without usable state asks the leader for a snapshot, whatever its progress says. */
export interface RequestSnapshot extends Envelope {
  readonly type: 'request-snapshot'
}

/** Campaign at once (§3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeout-now'
}

/** A follower asks for a read index (§6.4). `id` is unique within the asker's `boot`. */
export interface ReadIndexRequest extends Envelope {
  readonly type: 'read-index'
  readonly id: ReadId
  readonly boot: Boot
}

export interface ReadIndexResponse extends Envelope {
  readonly type: 'read-index-response'
  readonly id: ReadId
  readonly boot: Boot
  readonly index: LogIndex
}

export type Message =
  | AppendEntries
  | AppendEntriesResponse
  | Heartbeat
  | HeartbeatResponse
  | RequestPreVote
  | RequestPreVoteResponse
  | RequestVote
  | RequestVoteResponse
  | InstallSnapshot
  | RequestSnapshot
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse

export type MessageType = Message['type']

/** Re-exported for readers of messages: the configuration inside a snapshot's meta. */
export type { ConfState }
