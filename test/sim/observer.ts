// Watches all nodes together through their ports and says when a promise is broken: the five of thesis figure 3.2, votes and terms
// across restarts, what may be said only when it is durable, equal states at equal indexes, and that what was refused is never
// seen. It runs at each append, message and applied entry, not now and then.
import type { Change, KvMeta } from '../../src/kv/types.ts'
import { hashToHex } from '../../src/lib/hash.ts'
import type { LogWrite, RecoveredLog } from '../../src/node/ports.ts'
import type { Entry, EntryId, LogIndex, Message, NodeId, Term } from '../../src/raft/index.ts'
import { valueText } from '../linearizability/models/quorate-types.ts'
import { LogMirror } from './log-mirror.ts'
import { Oracle } from './oracle.ts'
import { RevisionTimes } from './revision-times.ts'
import type { Situations } from './situations.ts'
import type { World } from './world.ts'

interface Member {
  readonly name: string
  readonly id: NodeId
  mirror: LogMirror
  /** What it held when it was wiped: what it had acknowledged then was durable when that counted. */
  lost: LogMirror | undefined
  /** The append under way. */
  pending: LogWrite | undefined
  appliedIndex: LogIndex
  /** The last state that was installed in this life. */
  installedIndex: LogIndex
  /** A state is swapped, and its log does not know yet. */
  isSwapping: boolean
  /** Of the entry that is being applied. */
  changes: Change[]
  installs: number
}

/** An entry that some node has applied. */
interface Applied {
  readonly term: Term
  readonly digest: string
  /** The latest term in which anybody had led by then. */
  readonly ledTerm: Term
}

export class Observer {
  /** Knows what each entry must do, and what every answer must be. */
  readonly oracle: Oracle
  readonly reached = new RevisionTimes()
  readonly #world: World
  readonly #situations: Situations
  readonly #members: readonly Member[]
  readonly #voters: number
  readonly #leaders = new Map<Term, number>()
  readonly #votes = new Map<string, NodeId>()
  /** By `index/term`: what came before it, and what it says. */
  readonly #entries = new Map<string, string>()
  readonly #applied: Applied[] = []
  /** By value: the revision that its write made. Values are unique. */
  readonly #values = new Map<string, number>()
  readonly #refused = new Map<string, string>()
  /** By term: what its leader took over as committed when it began. */
  readonly #inherited = new Map<Term, LogIndex>()
  #ledTerm = 0
  #committedMax: LogIndex = 0
  #revisionMax = 0

  constructor(world: World, situations: Situations, members: readonly { name: string; id: NodeId }[]) {
    this.#world = world
    this.#situations = situations
    this.oracle = new Oracle(world, situations)
    this.#voters = members.length
    this.#members = members.map(({ name, id }) => ({
      name,
      id,
      mirror: new LogMirror(),
      lost: undefined,
      pending: undefined,
      appliedIndex: 0,
      installedIndex: 0,
      isSwapping: false,
      changes: [],
      installs: 0,
    }))
  }

  get appliedMax(): LogIndex {
    return this.#applied.length
  }

  /** Up to here entries are known to be committed, to whomever. */
  get committedMax(): LogIndex {
    return Math.max(this.#committedMax, this.#applied.length)
  }

  get ledTerm(): Term {
    return this.#ledTerm
  }

  /** What a read that begins now must see at least. */
  get revisionMax(): number {
    return this.#revisionMax
  }

  appliedIndex(node: number): LogIndex {
    return this.#members[node]!.appliedIndex
  }

  installedIndex(node: number): LogIndex {
    return this.#members[node]!.installedIndex
  }

  /** States installed so far, in all its lives. */
  installs(node: number): number {
    return this.#members[node]!.installs
  }

  isAppending(node: number): boolean {
    return this.#members[node]!.pending !== undefined
  }

  /** The disk was replaced by an empty one. */
  onWiped(node: number): void {
    const member = this.#members[node]!
    member.lost = member.mirror
    member.mirror = new LogMirror()
    member.pending = undefined
    member.appliedIndex = 0
  }

  // ------------------------------------------------------------------------------------------------------- the log

  onRecovered(node: number, recovered: RecoveredLog): void {
    const member = this.#members[node]!
    const contradiction = member.mirror.contradictionAfter(member.pending, recovered)
    if (contradiction !== undefined) this.#violate(`${member.name} restarted, and ${contradiction}`)
    member.mirror.recover(recovered)
    member.pending = undefined
    const { prev, entries } = recovered.tail
    this.#checkEntries(member, prev, entries)
    const { index, term } = member.mirror.last
    this.#world.note('recovered', member.name, recovered.hardState.term, index, term)
  }

  /** True when it supersedes entries that are on disk. */
  onAppending(node: number, write: LogWrite): boolean {
    const member = this.#members[node]!
    member.pending = write
    const { term, votedFor } = member.mirror.hardState
    const next = write.hardState
    if (next !== undefined && next.term < term)
      this.#violate(`${member.name} goes back from term ${term} to ${next.term}`)
    if (next?.term === term && votedFor !== undefined && next.votedFor !== votedFor)
      this.#violate(`${member.name} changes its vote in term ${term}`)
    const [first] = write.entries
    if (first === undefined) return false
    const prevTerm = member.mirror.termAt(first.index - 1) ?? write.snapshot?.term
    this.#checkEntries(member, { index: first.index - 1, term: prevTerm ?? -1 }, write.entries)
    const lastKept = Math.min(first.index - 1, member.mirror.last.index)
    for (let index = lastKept + 1; index <= member.mirror.last.index; index++) {
      const applied = this.#applied[index - 1]
      if (applied === undefined || applied.term !== member.mirror.termAt(index)) continue
      // A leader of the past may still reach who has heard of no later one: then the others must be enough to hold it.
      if (index > member.appliedIndex)
        this.#checkQuorum({ index, term: applied.term }, `without ${member.name}`, member)
      else this.#violate(`${member.name} supersedes entry ${index} of term ${applied.term}, which it has applied`)
    }
    return lastKept < member.mirror.last.index
  }

  onAppended(node: number, write: LogWrite): void {
    const member = this.#members[node]!
    member.pending = undefined
    this.#noteInstall(member, write)
    const superseded = member.mirror.append(write)
    if (superseded > 0) this.#situations.met('truncation')
    const { index, term } = member.mirror.last
    this.#world.note('appended', member.name, index, term, superseded)
  }

  #noteInstall({ mirror }: Member, { snapshot }: LogWrite): void {
    const held = snapshot && mirror.termAt(snapshot.index)
    if (snapshot === undefined || held === undefined) return
    this.#situations.met(held === snapshot.term ? 'install-within-log' : 'install-over-conflict')
  }

  /** Log Matching: an index and a term name one entry, and all that came before it (§3.5). */
  #checkEntries(member: Member, prev: EntryId, entries: readonly Entry[]): void {
    let prevTerm = prev.term
    for (const entry of entries) {
      const { index, term, kind, data } = entry
      const what = `${prevTerm} ${kind} ${valueText(data)}`
      const key = `${index}/${term}`
      const known = this.#entries.get(key)
      if (known === undefined) this.oracle.onEntry(entry)
      if (known === undefined || known.startsWith('-1 ')) this.#entries.set(key, what)
      else if (known !== what && prevTerm !== -1)
        this.#violate(`${member.name} has another entry ${index} of term ${term} than others, or another before it`)
      prevTerm = term
    }
  }

  // -------------------------------------------------------------------------------------------------- what is said

  onSend(node: number, message: Message): void {
    const member = this.#members[node]!
    const { type, term } = message
    if (type === 'append-entries') this.#checkCommitted(member, term, message.commitIndex)
    if (type === 'append-entries' || type === 'heartbeat') this.#checkLeader(node, term)
    if (type === 'request-vote') this.#checkCampaign(member, term)
    if (type === 'request-vote-response' && message.isGranted) this.#checkVote(member, term, message.to)
    if (type !== 'append-entries-response') return
    const { result } = message
    if (result.kind === 'accepted') this.#checkAcknowledged(member, term, result.matchIndex)
    // What is applied equals every leader's log; only leaders of the past are refused in any case, with an empty hint.
    else if (!member.isSwapping && result.index > 0 && result.index <= member.appliedIndex && result.hint.index > 0)
      this.#violate(`${member.name} refuses an append after entry ${result.index}, which it has applied`)
  }

  /** What a follower acknowledges is durable there, and is what the leader has. */
  #checkAcknowledged(member: Member, term: Term, matchIndex: LogIndex): void {
    const { mirror, name } = member
    if (matchIndex > mirror.last.index)
      this.#violate(`${name} acknowledges ${matchIndex}, but only ${mirror.last.index} is durable`)
    const leader = this.#members[this.#leaders.get(term) ?? -1]?.mirror
    if (leader?.hardState.term !== term) return
    // Beyond what a leader has on disk, all is of its own term: it had everything else on disk when it campaigned.
    const wanted = matchIndex > leader.last.index ? term : leader.termAt(matchIndex)
    const own = mirror.termAt(matchIndex)
    if (own !== undefined && wanted !== undefined && own !== wanted)
      this.#violate(
        `${name} acknowledges ${matchIndex}, where it has term ${own} and the leader of ${term} has ${wanted}`,
      )
  }

  #checkCampaign(member: Member, term: Term): void {
    const { hardState } = member.mirror
    if (hardState.term < term || (hardState.term === term && hardState.votedFor !== member.id))
      this.#violate(`${member.name} campaigns in term ${term} before its own vote is durable`)
  }

  #checkVote(member: Member, term: Term, candidate: NodeId): void {
    const key = `${member.id}/${term}`
    const before = this.#votes.get(key)
    if (before !== undefined && before !== candidate) this.#violate(`${member.name} votes twice in term ${term}`)
    this.#votes.set(key, candidate)
    const { hardState } = member.mirror
    if (hardState.term < term || (hardState.term === term && hardState.votedFor !== candidate))
      this.#violate(`${member.name} grants a vote in term ${term} that is not durable`)
  }

  /** Election Safety and Leader Completeness. */
  #checkLeader(node: number, term: Term): void {
    const known = this.#leaders.get(term)
    if (known === node) return
    const member = this.#members[node]!
    if (known !== undefined) {
      this.#violate(`two leaders in term ${term}: ${this.#members[known]!.name} and ${member.name}`)
      return
    }
    this.#leaders.set(term, node)
    this.#world.note('leader', member.name, term)
    this.#situations.met('elections')
    const mirror = member.pending === undefined ? member.mirror : member.mirror.copy()
    if (member.pending !== undefined) mirror.append(member.pending)
    let last = this.#applied.length
    while (last > 0 && this.#applied[last - 1]!.ledTerm >= term) last--
    const applied = this.#applied[last - 1]
    if (applied !== undefined && !mirror.covers({ index: last, term: applied.term }))
      this.#violate(
        `${member.name} leads in term ${term} without entry ${last} of term ${applied.term}, which is committed`,
      )
    const hasTail = this.#members.some((other) => other.mirror.last.index > this.#applied.length)
    if (hasTail && this.#ledTerm > 0) this.#situations.met('uncommitted-tail')
    this.#ledTerm = Math.max(this.#ledTerm, term)
  }

  /** What a leader calls committed must be on the disks of a majority. */
  #checkCommitted(leader: Member, leaderTerm: Term, commitIndex: LogIndex): void {
    const inherited = this.#inherited.get(leaderTerm)
    if (inherited === undefined) this.#inherited.set(leaderTerm, commitIndex)
    const term = leader.mirror.termAt(commitIndex)
    // By counting copies a leader commits entries of its own term only (§3.6.2).
    if (commitIndex > (inherited ?? commitIndex) && term !== undefined && term !== leaderTerm)
      this.#violate(`${leader.name} commits entry ${commitIndex} of term ${term} by counting, in term ${leaderTerm}`)
    if (commitIndex > this.#applied.length && term !== undefined)
      this.#checkQuorum({ index: commitIndex, term }, `${leader.name} calls`)
    this.#committedMax = Math.max(this.#committedMax, commitIndex)
  }

  /** A majority holds it on disk, whatever becomes of what `except` holds. */
  #checkQuorum(id: EntryId, who: string, except?: Member): void {
    const others = this.#members.filter((member) => member !== except)
    const holders = others.filter(({ mirror, lost }) => mirror.covers(id) || lost?.covers(id) === true)
    if (holders.length * 2 > this.#voters) return
    const names = holders.map(({ name }) => name).join(', ')
    this.#violate(
      `${who} entry ${id.index} of term ${id.term} committed, but it is durable only on: ${names || 'nobody'}`,
    )
  }

  // ------------------------------------------------------------------------------------------------- what is applied

  onOpened(node: number, meta: KvMeta): void {
    this.#members[node]!.appliedIndex = meta.index
    this.#members[node]!.installedIndex = 0
    this.#members[node]!.isSwapping = false
    this.#members[node]!.changes = []
    this.#checkState(node, meta, 'opened')
  }

  onInstalled(node: number, meta: KvMeta): void {
    const member = this.#members[node]!
    this.#situations.met('snapshot-install')
    if (this.oracle.hasSessions) this.#situations.met('sessions-restored')
    member.changes = []
    member.installs++
    if (meta.index < member.appliedIndex)
      this.#violate(`${member.name} installs a state at ${meta.index}, older than its own at ${member.appliedIndex}`)
    member.appliedIndex = meta.index
    member.installedIndex = meta.index
    member.isSwapping = true
    this.#checkState(node, meta, 'installed')
  }

  onInstallEnded(node: number): void {
    this.#members[node]!.isSwapping = false
  }

  onChange(node: number, change: Change): void {
    const { record } = change
    this.#members[node]!.changes.push(change)
    if (record.value === undefined) return
    const value = valueText(record.value)
    // Counters come to equal values again.
    if (/^-?\d+$/.test(value)) return
    const { revision } = record.at
    const before = this.#values.get(value)
    if (before === undefined) this.#values.set(value, revision)
    else if (before !== revision)
      this.#violate(`${this.#members[node]!.name} applies a write twice: at revision ${before} and at ${revision}`)
    const refused = this.#refused.get(value)
    if (refused !== undefined)
      this.#violate(`${this.#members[node]!.name} applies a write whose caller was told that it is not: ${refused}`)
  }

  onApplied(node: number, meta: KvMeta): void {
    const member = this.#members[node]!
    if (meta.index !== member.appliedIndex + 1)
      this.#violate(`${member.name} applies entry ${meta.index} after ${member.appliedIndex}`)
    member.appliedIndex = meta.index
    this.#checkState(node, meta, 'applied')
    member.changes = []
  }

  /** State Machine Safety, and more: not only the same entry, the same state after it. */
  #checkState(node: number, meta: KvMeta, how: string): void {
    const { index, term, revision, compactRevision, clusterTimeMs, liveKeys } = meta
    if (index === 0) return
    const { live, history } = meta.digest
    const { name } = this.#members[node]!
    const digest = `${revision}/${compactRevision}/${clusterTimeMs}/${liveKeys}/${hashToHex(live)}/${hashToHex(history)}`
    this.#world.note(how, name, index, term, revision)
    const known = this.#applied[index - 1]
    if (known === undefined) {
      if (index !== this.#applied.length + 1) {
        this.#violate(`${name} has ${how} entry ${index}, but nobody ${this.#applied.length + 1}`)
        return
      }
      this.#applied.push({ term, digest, ledTerm: this.#ledTerm })
      if (revision > this.#revisionMax) this.reached.note(this.#world.nowMs, revision)
      this.#revisionMax = Math.max(this.#revisionMax, revision)
      this.oracle.onFirstApplied(name, meta, how === 'applied' ? this.#members[node]!.changes : undefined)
      this.#checkQuorum({ index, term }, `${name} takes`)
      return
    }
    if (known.term !== term)
      this.#violate(`${name} has ${how} entry ${index} of term ${term}, where others have term ${known.term}`)
    else if (known.digest !== digest)
      this.#violate(`${name} has another state than others after entry ${index}: ${digest}, not ${known.digest}`)
  }

  // ------------------------------------------------------------------------------------------- what clients were told

  onAcknowledged(value: string, revision: number): void {
    const made = this.#values.get(value)
    if (made !== revision)
      this.#violate(`a write was acknowledged with revision ${revision}, but ${made ?? 'nothing'} was applied`)
  }

  /** `floor`: the revision that some node had reached when the read began. No later read may see less (§6.4). */
  onRead(name: string, floor: number, revision: number): void {
    if (revision < floor)
      this.#violate(`${name} answers a read from revision ${revision}, which began when ${floor} had been reached`)
  }

  onRefused(value: string, how: string): void {
    if (this.#values.has(value)) this.#violate(`a caller is told that its write is not applied (${how}), and it is`)
    this.#refused.set(value, how)
  }

  #violate(message: string): void {
    this.#world.violate(message)
  }
}
