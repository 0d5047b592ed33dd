// Mistakes in the consensus core: elections, replication, reads, snapshots.
import type { Bug, Patch } from '../bug.ts'

const core = (file: string, find: string, replace: string): Patch => ({ file: `src/raft/${file}`, find, replace })

const GOLDEN = 'test/raft/golden.test.ts'
const RANDOM = 'test/raft/random.test.ts'
const ELECTION = 'test/raft/election.test.ts'
const FAILOVER = 'test/raft/failover.test.ts'
const REPLICATION = 'test/raft/replication.test.ts'
const READS = 'test/raft/reads.test.ts'
const EXPLORATION = 'test/raft/exploration/exploration.test.ts'

const ELECTIONS: readonly Bug[] = [
  {
    id: 'E1a',
    what: 'a vote is granted before it is durable',
    isStarred: true,
    patches: [core('election.ts', '!role.isGrantPending || !core.isVoteDurable ||', '!role.isGrantPending ||')],
    suites: [EXPLORATION, RANDOM],
  },
  {
    id: 'E1b',
    what: 'votes are asked for before the own vote is durable',
    isStarred: true,
    patches: [core('election.ts', 'role.isRequested || !core.isVoteDurable) return', 'role.isRequested) return')],
    suites: [EXPLORATION, RANDOM],
  },
  {
    id: 'E3a',
    what: 'term and index of the last entry are compared separately',
    isStarred: true,
    patches: [
      core(
        'log.ts',
        'last.term > own.term || (last.term === own.term && last.index >= own.index)',
        'last.term >= own.term && last.index >= own.index',
      ),
    ],
    suites: [ELECTION],
  },
  {
    id: 'E3b',
    what: 'only a longer log is up to date, whatever its last term',
    isStarred: true,
    patches: [
      core(
        'log.ts',
        'last.term > own.term || (last.term === own.term && last.index >= own.index)',
        'last.index >= own.index',
      ),
    ],
    suites: [ELECTION, RANDOM],
  },
  {
    id: 'E3c',
    what: 'an equal log is not up to date',
    patches: [core('log.ts', '&& last.index >= own.index)', '&& last.index > own.index)')],
    suites: [GOLDEN],
  },
  {
    id: 'E5a',
    what: 'a vote that arrives twice counts twice',
    isStarred: true,
    patches: [
      core(
        'election.ts',
        `dropped('unexpected')
  if (!core.role.votes.has(message.from)) core.role.votes.set(message.from, message.isGranted)
  countVotes(core)`,
        `dropped('unexpected')
  for (const id of otherVoters(core))
    if (core.role.votes.has(message.from) && !core.role.votes.has(id)) {
      core.role.votes.set(id, message.isGranted)
      break
    }
  core.role.votes.set(message.from, message.isGranted)
  countVotes(core)`,
      ),
    ],
    suites: [ELECTION],
  },
  {
    id: 'E5b',
    what: 'votes of an earlier term count',
    isStarred: true,
    patches: [
      core(
        'terms.ts',
        "    case 'install-snapshot':\n      // A state",
        "    case 'request-vote-response':\n    case 'install-snapshot':\n      // A state",
      ),
    ],
    suites: [EXPLORATION],
    narrowedTo: 'two campaigns from nothing',
  },
  {
    id: 'E6',
    what: 'half of the voters are a quorum',
    isStarred: true,
    patches: [core('quorum.ts', 'Math.floor(count / 2) + 1', 'Math.ceil(count / 2)')],
    suites: ['test/raft/quorum.test.ts'],
  },
  {
    id: 'E7',
    what: 'a leader does not step down for a higher term in an answer',
    patches: [
      core(
        'terms.ts',
        "    case 'heartbeat-response':\n    case 'request-vote-response':\n    case 'install-snapshot':\n    case 'request-snapshot':",
        "    case 'heartbeat-response':\n      return dropped('stale-term')\n    case 'request-vote-response':\n    case 'install-snapshot':\n    case 'request-snapshot':",
      ),
    ],
    suites: [ELECTION],
  },
  {
    id: 'E10a',
    what: 'whoever is gone, the stickiness to the leader ends',
    patches: [core('haste.ts', "role.kind !== 'follower' || role.leaderId !== peer ||", "role.kind !== 'follower' ||")],
    suites: [FAILOVER],
  },
  {
    id: 'E10b',
    what: 'a leader that was taken for gone, and is heard, stays without stickiness',
    patches: [
      core('following.ts', '  core.role.haste = undefined\n', ''),
      core(
        'terms.ts',
        'core.role.leaderId === message.from) core.role.haste = undefined',
        'core.role.leaderId === message.from) {}',
      ),
    ],
    suites: [FAILOVER],
  },
  {
    id: 'E11',
    what: 'a leader that hears from nobody goes on leading',
    isStarred: true,
    patches: [core('election.ts', 'if (!isHeard) return becomeFollower(core, core.term, undefined)', '')],
    suites: [GOLDEN],
  },
  {
    id: 'E17',
    what: 'two candidates get the vote of one term',
    patches: [
      core('election.ts', '(core.votedFor === candidate || isFree)', '(core.votedFor === candidate || isFree || true)'),
    ],
    suites: [ELECTION],
  },
]

const LOG: readonly Bug[] = [
  {
    id: 'L1',
    what: 'entries of earlier terms are committed by counting copies (figure 8)',
    isStarred: true,
    patches: [core('acknowledgements.ts', ' && core.log.termAt(index) === core.term) core', ') core')],
    suites: [EXPLORATION],
    narrowedTo: 'figure 8',
  },
  {
    id: 'L2',
    what: 'a late, short append truncates a longer log that agrees',
    isStarred: true,
    patches: [
      core(
        'log.ts',
        'reconcile(entries: readonly Entry[]): void {\n',
        `reconcile(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first !== undefined && first.index <= this.lastIndex) this.#truncateFrom(first.index)
`,
      ),
    ],
    suites: [REPLICATION, RANDOM],
  },
  {
    id: 'L5',
    what: 'a previous entry below what memory holds is taken for a conflict',
    isStarred: true,
    patches: [
      core(
        'following.ts',
        'if (prev.index < log.commitIndex) {',
        'if (prev.index < log.commitIndex && prev.index > log.base.index) {',
      ),
    ],
    suites: [REPLICATION],
  },
  {
    id: 'L6',
    what: 'an acknowledgement claims the whole own log, not what the append proved',
    isStarred: true,
    patches: [
      core(
        'following.ts',
        'return acknowledge(core, role, prev.index + entries.length, message)',
        'return acknowledge(core, role, log.lastIndex, message)',
      ),
    ],
    suites: [REPLICATION],
  },
  {
    id: 'L7',
    what: 'the hint of a refusal counts as a match',
    isStarred: true,
    patches: [
      core(
        'acknowledgements.ts',
        '    progress.rejected(result.index, core.log',
        '    if (result.hint.index <= core.log.lastIndex) progress.accepted(result.hint.index)\n    maybeCommit(core, leader)\n    progress.rejected(result.index, core.log',
      ),
    ],
    suites: [RANDOM],
  },
  {
    id: 'L8a',
    what: 'an append commits beyond the entries that it proved to match',
    patches: [
      core(
        'following.ts',
        'core.log.commitTo(Math.min(message.commitIndex, matchIndex))',
        'core.log.commitTo(Math.min(message.commitIndex, core.log.lastIndex))',
      ),
    ],
    suites: [REPLICATION],
  },
  {
    id: 'L8b',
    what: 'a heartbeat commits what the follower was never seen to hold',
    patches: [
      core(
        'following.ts',
        'core.log.commitTo(Math.min(message.commitIndex, known))',
        'core.log.commitTo(Math.min(message.commitIndex, core.log.lastIndex))',
      ),
      core('replication.ts', 'const commitIndex = committedAt(core, progress)\n', 'const { commitIndex } = core.log\n'),
    ],
    suites: [REPLICATION, RANDOM],
  },
  {
    id: 'L17',
    what: 'a write that was superseded while it was in flight makes the new entries count as durable',
    patches: [
      core(
        'log.ts',
        'this.#persistedIndex = Math.min(this.#persistedIndex, index - 1)\n    this.#writingIndex = Math.min(this.#writingIndex, index - 1)',
        'this.#persistedIndex = Math.min(this.#persistedIndex, index - 1)',
      ),
    ],
    suites: [EXPLORATION],
  },
  {
    id: 'L18',
    what: 'installing a snapshot moves the commit index back',
    patches: [
      core('log.ts', 'this.#commitIndex = Math.max(this.#commitIndex, state.index)', 'this.#commitIndex = state.index'),
    ],
    suites: [REPLICATION],
  },
  {
    id: 'L21',
    what: 'a leader counts its own entries before they are durable',
    patches: [
      core('acknowledgements.ts', 'id === core.id ? core.log.persistedIndex', 'id === core.id ? core.log.lastIndex'),
    ],
    suites: [RANDOM],
  },
  {
    id: 'M10',
    what: 'learners count towards the quorum of a commit',
    patches: [
      core(
        'quorum.ts',
        'const incoming = majorityIndex(conf.voters, indexOf)',
        'const incoming = majorityIndex([...conf.voters, ...conf.learners], indexOf)',
      ),
    ],
    suites: ['test/raft/quorum.test.ts', RANDOM],
    beyondSimulation: 'its clusters have no learners',
  },
  {
    id: 'M4',
    what: 'the configuration in a snapshot is ignored',
    isStarred: true,
    patches: [core('durability.ts', '  core.confState = snapshot.confState\n', '')],
    suites: [REPLICATION],
    beyondSimulation: 'the configuration of its clusters never changes',
  },
]

const READ: readonly Bug[] = [
  {
    id: 'R1',
    what: 'a new leader answers reads before it has committed in its term',
    isStarred: true,
    patches: [
      core(
        'reads.ts',
        '!leader.reads.isWaiting || core.log.commitIndex < leader.termStartIndex',
        '!leader.reads.isWaiting',
      ),
    ],
    suites: [READS, RANDOM],
  },
  {
    id: 'R2',
    what: 'a leader answers reads without asking anybody',
    isStarred: true,
    patches: [
      core('reads.ts', "role.reads.add({ kind: 'local', id })", 'core.out.confirmRead(id, core.log.commitIndex)'),
    ],
    suites: [READS, RANDOM],
  },
  {
    id: 'R3',
    what: 'acknowledgements of earlier rounds confirm later reads',
    isStarred: true,
    patches: [core('reads.ts', '    this.number++\n', '    this.number = 1\n')],
    suites: [READS, RANDOM],
  },
  {
    id: 'R4',
    what: 'an answer to a read of an earlier term is taken',
    isStarred: true,
    patches: [
      core(
        'terms.ts',
        "    case 'install-snapshot':\n      // A state",
        "    case 'read-index-response':\n    case 'install-snapshot':\n      // A state",
      ),
      core(
        'reads.ts',
        "core.role.kind !== 'follower' || core.role.leaderId !== message.from) return dropped",
        "core.role.kind === 'leader') return dropped",
      ),
      core('reads.ts', 'if (!core.role.reads.delete(message.id)) return', 'if (message.id < 0) return'),
    ],
    suites: [READS],
  },
]

const SNAPSHOTS: readonly Bug[] = [
  {
    id: 'S1b',
    what: "the term of a snapshot's last entry is forgotten",
    isStarred: true,
    patches: [
      core(
        'log.ts',
        'this.#base = { term: state.term, index: state.index }',
        'this.#base = { term: 0, index: state.index }',
      ),
    ],
    suites: [REPLICATION],
  },
  {
    id: 'S3',
    what: 'a snapshot older than the commit index is installed',
    isStarred: true,
    patches: [core('following.ts', 'snapshot.index <= log.commitIndex || isHeld', 'isHeld')],
    suites: [EXPLORATION],
    narrowedTo: 'the same snapshot again and again',
  },
  {
    id: 'S4',
    what: "the suffix of the log is kept though its entry at the snapshot's index conflicts",
    isStarred: true,
    patches: [
      core('log.ts', 'if (this.termAt(state.index) === state.term) {', 'if (this.termAt(state.index) !== undefined) {'),
    ],
    suites: [REPLICATION, RANDOM],
  },
  {
    id: 'S7',
    what: 'what a snapshot covers is handed out to be applied again',
    patches: [core('log.ts', '    this.#emittedIndex = state.index\n', '')],
    suites: [REPLICATION, RANDOM],
  },
]

export const RAFT_BUGS: readonly Bug[] = [...ELECTIONS, ...LOG, ...READ, ...SNAPSHOTS]
