// Counts how often each situation of interest came about: a campaign that never met one has not tested it. Zeros are shown.

export const SITUATIONS = {
  elections: 'a node led for the first time in a term',
  'uncommitted-tail': 'a leader was elected while somebody held entries that were not committed',
  truncation: 'a conflicting suffix of a log was superseded',
  'log-compaction': 'a log was asked to forget its beginning',
  'load-from-log': 'a slow peer was served from the log on disk',
  'snapshot-sent': 'a state was streamed to a peer',
  'snapshot-install': 'a received state became current',
  'install-during-apply': 'a state was swapped while committed entries waited to be applied',
  'install-over-conflict': 'a received state superseded entries that contradicted it',
  'install-within-log': 'the log had grown past a received state by the time that it was installed',
  'install-cut-short': 'a crash fell between the swap of a state and the end of its installation',
  'history-compaction': 'history was compacted by command',
  'read-while-deposed': 'a node that was deposed, and did not know, was asked to read',
  'write-while-deposed': 'a node that was deposed, and did not know, was asked to write',
  forward: 'a follower forwarded writes',
  'late-answer': 'the answer to a forwarded write took seconds',
  'answer-across-install': 'the place of a forwarded write was heard of after a received state had covered it',
  'forward-lost': 'the connection broke before a forward was answered',
  'outcome-unknown': 'a client was told that the outcome is unknown',
  'outcome-not-applied': 'a client was told that a write was not applied',
  replay: 'a repeat was answered from the table of sessions',
  'replay-after-election': 'a repeat went into the log of a later leader than the first one',
  'key-replay': 'a repeat under an idempotency key was answered from the table',
  'key-mismatch': 'another request under a used idempotency key was refused',
  'key-expired': 'an idempotency key was used anew after its time',
  'session-expired': 'a session expired',
  'sessions-restored': 'a state with sessions in it was installed',
  txn: 'a transaction was applied',
  'lease-expired': 'a lease expired',
  'lock-handed-over': 'a lock went from one holder to the next',
  fenced: 'a fence kept a write out',
  listing: 'a page of a listing was answered',
  'listing-continued': 'a later page was answered, by another node',
  'listing-stale': 'a node listed what it had, without asking anybody',
  'past-read': 'a key or a range of the past was read',
  'past-compacted': 'a read was refused because its revision is compacted',
  'past-future': 'a read was refused because its revision is not yet there',
  'stale-read': 'a key was read without asking anybody',
  'too-stale': 'a stale read was refused because it would be too stale',
  'leader-observed': 'an observer of an election was told of a leader',
  'watch-resumed': 'a watch went on where it had been cut off',
  'watch-across-install': 'a watch went on across an installed state',
  'watch-compacted': 'a watch was told that its history is gone',
  'watch-paused': 'the reader of a watch asked for a pause',
  'watch-lagging': 'a watch was too slow',
  'program-event': 'a program was told of a change by its watch',
  'program-resumed': 'a program watched anew from where it was',
  'program-locked': 'a program was given a lock',
  'program-leased': 'a program was granted a lease',
  'program-counted': 'a program counted by a transaction',
  'program-lost': 'a program was told that its lock or lease may be lost',
  'client-death': 'a client died with an operation under way',
  transfer: 'leadership was to be handed over',
  crash: 'a process was killed',
  'power-loss': 'a machine lost power',
  'whole-cluster-crash': 'all nodes crashed at once',
  'crash-during-append': 'a crash fell into an append to the log',
  'crash-during-batch': 'a crash fell into a write of the state',
  'torn-tail': 'recovery cut a torn write off the log',
  restart: 'a node came back',
  'crash-during-truncation': 'a crash fell into a write that supersedes entries',
  stall: 'a process stood still for 1 to 30 seconds',
  depose: 'a leader was cut off with writes under way until another one led',
  'deaf-leader': 'a leader heard nobody for a while, and a follower restarted meanwhile',
  divergence: 'the last majority had logs that contradict each other',
  pause: 'a process stood still and woke up late',
  partition: 'the network was cut',
  'one-way-partition': 'the network was cut in one direction only',
  'connection-broken': 'a connection broke',
  'message-lost': 'a message was lost',
  'message-doubled': 'a message arrived twice',
  'message-overtaken': 'a message arrived before an earlier one',
  clog: 'a link was clogged',
  'sync-error': 'a sync or durable write failed',
  'short-write': 'a write was cut short',
  'disk-full': 'a write met a full disk',
  'space-low': 'a write was refused because space is low',
  'slow-disk': 'a disk was slow for a while',
  'bit-flip': 'a bit of a log flipped',
  'corruption-refused': 'a node refused to start on a damaged log',
  wipe: 'a member lost all its data',
  'wipe-refused': 'a member that had lost its data was refused',
  'no-leader': 'a request was refused for want of a leader',
} as const

export type Situation = keyof typeof SITUATIONS
export type SituationCounts = Partial<Record<Situation, number>>

export class Situations {
  readonly counts: SituationCounts = {}

  met(situation: Situation): void {
    this.counts[situation] = (this.counts[situation] ?? 0) + 1
  }
}

/** Adds one seed's counts to a campaign's. */
export function addCounts(total: SituationCounts, more: SituationCounts): void {
  for (const name of Object.keys(more) as Situation[]) total[name] = (total[name] ?? 0) + (more[name] ?? 0)
}
