// What each member may do, given what has reached it in this life: leading takes a majority of votes that arrived, and goes on only
// while a majority answers (§6.2); what a follower acknowledges and commits was proved to it by messages (§3.5). The observer
// compares members with each other; here each is held against its own mail.
import type { LogIndex, Message, NodeId, Term } from '../../src/raft/index.ts'
import type { World } from './world.ts'

/** A leader without a quorum steps down within two election timeouts by its own count; late timers may stretch that. */
const CONTACT_TIMEOUTS = 3

interface Life {
  readonly name: string
  readonly id: NodeId
  /** Of the latest leader whose appends have arrived. */
  term: Term
  /** By term: how far the appends reach that have arrived. What a turn acknowledges leaves at its end, maybe in a later term. */
  readonly proven: Map<Term, LogIndex>
  /** How far this life may have learned that entries are committed. */
  mayCommit: LogIndex
  /** Votes that arrived, for the latest term that any arrived for. */
  voteTerm: Term
  readonly voters: Set<NodeId>
  leadsTerm: Term
  /** When each peer was last heard as a follower of this leader: milliseconds that this process has run. */
  readonly heardMs: Map<NodeId, number>
  ledSinceMs: number
}

export class Conduct {
  readonly #world: World
  readonly #electionTimeoutMs: number
  readonly #lives: Life[]

  constructor(world: World, members: readonly { name: string; id: NodeId }[], electionTimeoutMs: number) {
    this.#world = world
    this.#electionTimeoutMs = electionTimeoutMs
    this.#lives = members.map(newLife)
  }

  onStarted(node: number): void {
    this.#lives[node] = newLife(this.#lives[node]!)
  }

  /** A message is about to be handled. */
  onDelivered(node: number, message: Message, ranMs: number): void {
    const life = this.#lives[node]!
    switch (message.type) {
      case 'append-entries':
        this.#proves(life, message.term, message.prev.index + message.entries.length)
        this.#commits(life, message.term, message.commitIndex)
        break
      case 'heartbeat':
        this.#commits(life, message.term, message.commitIndex)
        break
      case 'request-vote-response':
        if (message.term > life.voteTerm) {
          life.voteTerm = message.term
          life.voters.clear()
        }
        if (message.isGranted && message.term === life.voteTerm) life.voters.add(message.from)
        break
      case 'append-entries-response':
      case 'heartbeat-response':
      case 'request-snapshot':
        if (message.term === life.leadsTerm) life.heardMs.set(message.from, ranMs)
        break
      case 'install-snapshot':
      case 'read-index':
      case 'read-index-response':
      case 'request-pre-vote':
      case 'request-pre-vote-response':
      case 'request-vote':
      case 'timeout-now':
        break
    }
  }

  /** A state has come: what it covers is committed. */
  onReceived(node: number, index: LogIndex): void {
    const life = this.#lives[node]!
    life.proven.set(life.term, Math.max(life.proven.get(life.term) ?? 0, index))
    life.mayCommit = Math.max(life.mayCommit, index)
  }

  /** `committedMax`: what is known to be committed anywhere; it agrees with every later leader (Leader Completeness). */
  onSend(node: number, message: Message, ranMs: number, committedMax: LogIndex): void {
    const life = this.#lives[node]!
    const { type, term } = message
    if (type === 'append-entries' || type === 'heartbeat') this.#checkLeader(life, term, ranMs)
    if (type !== 'append-entries-response' || message.result.kind !== 'accepted') return
    const { matchIndex } = message.result
    const proven = Math.max(life.proven.get(term) ?? 0, committedMax)
    if (matchIndex > proven)
      this.#world.violate(
        `${life.name} acknowledges ${matchIndex}, but only ${proven} was proved to it in term ${term}`,
      )
  }

  onApplied(node: number, index: LogIndex): void {
    const { mayCommit, leadsTerm, name } = this.#lives[node]!
    if (index <= mayCommit || leadsTerm > 0 || this.#lives.length === 1) return
    this.#world.violate(`${name} applies entry ${index}, but was told of commitment up to ${mayCommit} only`)
  }

  #proves(life: Life, term: Term, index: LogIndex): void {
    if (term < life.term) return
    life.term = term
    life.proven.set(term, Math.max(life.proven.get(term) ?? 0, index))
  }

  #commits(life: Life, term: Term, commitIndex: LogIndex): void {
    if (term !== life.term) return
    life.mayCommit = Math.max(life.mayCommit, Math.min(commitIndex, life.proven.get(term) ?? 0))
  }

  #checkLeader(life: Life, term: Term, ranMs: number): void {
    const { name } = life
    const voters = this.#lives.length
    if (life.leadsTerm !== term) {
      const votes = 1 + (life.voteTerm === term ? life.voters.size : 0)
      if (votes * 2 <= voters) this.#world.violate(`${name} leads in term ${term} with ${votes} of ${voters} votes`)
      life.leadsTerm = term
      life.heardMs.clear()
      life.ledSinceMs = ranMs
    }
    const sinceMs = ranMs - CONTACT_TIMEOUTS * this.#electionTimeoutMs
    if (life.ledSinceMs >= sinceMs) return
    let heard = 1
    for (const heardMs of life.heardMs.values()) if (heardMs >= sinceMs) heard++
    if (heard * 2 > voters) return
    this.#world.violate(
      `${name} still leads in term ${term}, though only ${heard} of ${voters} were heard for ${CONTACT_TIMEOUTS} election timeouts`,
    )
  }
}

const newLife = ({ name, id }: { readonly name: string; readonly id: NodeId }): Life => ({
  name,
  id,
  term: 0,
  proven: new Map(),
  mayCommit: 0,
  voteTerm: 0,
  voters: new Set(),
  leadsTerm: 0,
  heardMs: new Map(),
  ledSinceMs: 0,
})
