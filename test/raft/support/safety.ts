// The five properties of thesis figure 3.2, and what follows from them, watched from outside a cluster: one function each.
// Any of them broken is a bug in the core, whatever the schedule was.
import type { Entry, Message, NodeId, RaftNode, Ready } from '../../../src/raft/index.ts'
import { hasQuorum } from '../../../src/raft/quorum.ts'
import type { Cluster, Observer, TestNode } from './cluster.ts'

interface Seen {
  readonly prevTerm: number | undefined
  readonly text: string
}

export class Safety implements Observer {
  readonly #cluster: Cluster
  readonly #leaders = new Map<number, NodeId>()
  readonly #votes = new Map<string, NodeId>()
  readonly #entries = new Map<string, Seen>()
  /** What was applied anywhere, by index. */
  readonly committed: Entry[] = []
  readonly #leaderLogs = new Map<NodeId, { term: number; lastIndex: number; firstTerm: number }>()
  readonly #readFloors = new Map<string, number>()
  readonly #terms = new Map<NodeId, number>()
  confirmedReadCount = 0
  snapshotCount = 0
  truncationCount = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    cluster.observers.push(this)
  }

  /** Everything that can be checked between two inputs. */
  check(): void {
    for (const node of this.#cluster.nodes.values()) {
      if (node.raft === undefined) continue
      this.#electionSafety(node.raft)
      this.#leaderAppendOnly(node.raft)
      this.#termsGrow(node.raft)
    }
  }

  ready(node: TestNode, ready: Ready): void {
    for (const message of ready.messages) {
      this.#oneVote(message)
      this.#askedDurably(message)
      this.#acknowledgedTruly(message)
    }
    if (ready.write !== undefined) this.#noteWrite(node, ready.write.entries)
    if (ready.write?.snapshot !== undefined) this.snapshotCount++
    if (node.raft?.isLeader === true) this.#leaderCompleteness(node, node.raft)
    for (const entry of ready.committed) this.#stateMachineSafety(node, entry)
    for (const read of ready.confirmedReads) {
      this.confirmedReadCount++
      const floor = this.#readFloors.get(`${node.id}/${node.boot}/${read.id}`)
      if (floor === undefined) throw new Error(`${node.id} was given read ${read.id}, which it never asked for`)
      if (read.index < floor) {
        throw new Error(`stale read: ${node.id} may read at ${read.index}, but ${floor} was committed before it asked`)
      }
    }
  }

  /** A read begins: it must see everything that anyone has applied by now. */
  readBegins(node: TestNode, id: number): void {
    this.#readFloors.set(`${node.id}/${node.boot}/${id}`, this.committed.length)
  }

  /** At most one leader a term. */
  #electionSafety(raft: RaftNode): void {
    if (!raft.isLeader) return
    const known = this.#leaders.get(raft.term) ?? raft.id
    if (known !== raft.id) throw new Error(`two leaders in term ${raft.term}: ${known} and ${raft.id}`)
    this.#leaders.set(raft.term, raft.id)
  }

  /** A leader never overwrites or deletes its own entries. */
  #leaderAppendOnly(raft: RaftNode): void {
    if (!raft.isLeader) {
      this.#leaderLogs.delete(raft.id)
      return
    }
    const before = this.#leaderLogs.get(raft.id)
    if (before?.term === raft.term) {
      if (raft.lastIndex < before.lastIndex) throw new Error(`the leader ${raft.id} lost entries of its log`)
      const lastTerm = raft.termAt(before.lastIndex)
      if (lastTerm !== undefined && lastTerm !== before.firstTerm)
        throw new Error(`the leader ${raft.id} replaced an entry`)
    }
    this.#leaderLogs.set(raft.id, { term: raft.term, lastIndex: raft.lastIndex, firstTerm: raft.lastEntryId.term })
  }

  /** Two logs with an entry of the same index and term agree in it and in all before it. */
  #logMatching(id: NodeId, entry: Entry, prevTerm: number | undefined): void {
    const key = `${entry.index}@${entry.term}`
    const text = `${entry.kind}/${Buffer.from(entry.data).toString()}`
    const seen = this.#entries.get(key)
    if (seen === undefined) {
      this.#entries.set(key, { prevTerm, text })
      return
    }
    if (seen.text !== text) throw new Error(`${id}: entry ${key} is ${text}, elsewhere ${seen.text}`)
    if (seen.prevTerm !== undefined && prevTerm !== undefined && seen.prevTerm !== prevTerm) {
      throw new Error(`${id}: entry ${key} follows term ${prevTerm}, elsewhere term ${seen.prevTerm}`)
    }
  }

  /** A leader has every entry that was committed in an earlier term. */
  #leaderCompleteness(node: TestNode, raft: RaftNode): void {
    if (this.#leaders.get(raft.term) === raft.id) return
    this.#leaders.set(raft.term, this.#leaders.get(raft.term) ?? raft.id)
    for (const entry of this.committed) {
      const term = raft.termAt(entry.index) ?? node.disk.termAt(entry.index)
      const isCompacted = entry.index <= node.disk.base.index
      if (!isCompacted && entry.term < raft.term && term !== entry.term) {
        throw new Error(`leader ${raft.id} of term ${raft.term} lacks committed entry ${entry.index}@${entry.term}`)
      }
    }
  }

  /** No two state machines apply different entries at one index; and what is applied is durable on a quorum. */
  #stateMachineSafety(node: TestNode, entry: Entry): void {
    const known = this.committed[entry.index - 1]
    if (known === undefined) {
      if (this.committed.length !== entry.index - 1) throw new Error(`${node.id} applies ${entry.index} out of order`)
      this.committed.push(entry)
      this.#durableOnQuorum(node, entry)
    } else if (known.term !== entry.term || Buffer.compare(known.data, entry.data) !== 0) {
      throw new Error(`${node.id} applies ${entry.index}@${entry.term}, elsewhere ${entry.index}@${known.term}`)
    }
    const before = node.applied.at(-1)
    if (before !== undefined && before.index >= entry.index) throw new Error(`${node.id} applies ${entry.index} twice`)
  }

  #durableOnQuorum(node: TestNode, entry: Entry): void {
    const isHeld = (id: NodeId): boolean => {
      const { disk } = this.#cluster.node(id)
      return disk.base.index >= entry.index || disk.termAt(entry.index) === entry.term
    }
    const confState = node.raft?.confState
    if (confState === undefined || hasQuorum(confState, isHeld)) return
    throw new Error(`${node.id} applies ${entry.index}@${entry.term}, which no quorum has on disk`)
  }

  /** One vote a term, restarts included. */
  #oneVote(message: Message): void {
    if (message.type !== 'request-vote-response' || !message.isGranted) return
    const key = `${message.from}/${message.term}`
    const known = this.#votes.get(key) ?? message.to
    if (known !== message.to)
      throw new Error(`${message.from} voted for ${known} and ${message.to} in term ${message.term}`)
    this.#votes.set(key, message.to)
    const { hardState } = this.#cluster.node(message.from).disk
    if (hardState.term !== message.term || hardState.votedFor !== message.to) {
      throw new Error(`${message.from} granted a vote in term ${message.term} that is not on its disk`)
    }
  }

  /** A candidate that forgot its vote in a crash could vote for another in the same term. */
  #askedDurably(message: Message): void {
    if (message.type !== 'request-vote') return
    const { hardState } = this.#cluster.node(message.from).disk
    if (hardState.term === message.term && hardState.votedFor === message.from) return
    throw new Error(`${message.from} asks for votes in term ${message.term}, and its own vote is not on its disk`)
  }

  /** What is acknowledged is on the disk, and equals the log of the leader who is told. */
  #acknowledgedTruly(message: Message): void {
    if (message.type !== 'append-entries-response' || message.result.kind !== 'accepted') return
    const { from, to, term, result } = message
    const { disk } = this.#cluster.node(from)
    const { matchIndex } = result
    if (disk.hardState.term < term) throw new Error(`${from} acknowledges in term ${term}, its disk does not know it`)
    if (matchIndex > disk.last.index) throw new Error(`${from} acknowledges ${matchIndex}, it has ${disk.last.index}`)
    const { raft } = this.#cluster.node(to)
    if (raft?.isLeader !== true || raft.term !== term) return
    const [own, leaders] = [disk.termAt(matchIndex), raft.termAt(matchIndex)]
    if (own === undefined || leaders === undefined || own === leaders) return
    throw new Error(`${from} acknowledges entry ${matchIndex} of term ${own}, its leader ${to} has term ${leaders}`)
  }

  #termsGrow(raft: RaftNode): void {
    const { hardState } = this.#cluster.node(raft.id).disk
    if (hardState.term < (this.#terms.get(raft.id) ?? 0)) throw new Error(`${raft.id}: the term on disk fell`)
    this.#terms.set(raft.id, hardState.term)
  }

  #noteWrite(node: TestNode, entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    if (first.index <= node.disk.last.index) this.truncationCount++
    let prevTerm = node.raft?.termAt(first.index - 1)
    for (const entry of entries) {
      this.#logMatching(node.id, entry, prevTerm)
      prevTerm = entry.term
    }
  }
}
