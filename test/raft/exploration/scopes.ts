// Where the searches begin and how far they may go. Searches from nothing reach the first leader after a dozen steps; those that
// begin with a leader, or with logs that disagree, spend their states on replication, recovery and truncation instead.
import type { Message } from '../../../src/raft/index.ts'
import type { Budget, Scope, Step } from './explorer.ts'
import type { Input } from './local.ts'
import { copyLocal, IDS, newLocal, perform } from './local.ts'

const NOTHING: Budget = { campaign: 0, tick: 0, propose: 0, crash: 0, read: 0, compact: 0 }

/** Plays a schedule on three nodes and writes down its steps: messages are named by type and ends when they are delivered. */
class Script {
  readonly #start: Step[] = []
  readonly #nodes = IDS.map((id) => newLocal(id))
  readonly #sent: Message[] = []

  get ends(): Pick<Scope, 'start' | 'sent'> {
    return { start: this.#start, sent: this.#sent }
  }

  input(node: number, input: Input): this {
    const local = copyLocal(this.#nodes[node]!)
    this.#sent.push(...perform(local, input).messages)
    this.#nodes[node] = local
    this.#start.push({ node, input })
    return this
  }

  /** Delivers all messages between these nodes, and completes their writes, until nothing is left to do. */
  settle(nodes: readonly number[]): this {
    const isAmong = (message: Message): boolean =>
      nodes.includes(IDS.indexOf(message.from)) && nodes.includes(IDS.indexOf(message.to))
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const node of nodes) {
        if (this.#nodes[node]!.write === undefined) continue
        this.input(node, { kind: 'persist' })
        isBusy = true
      }
      const at = this.#sent.findIndex(isAmong)
      if (at < 0) continue
      const [message] = this.#sent.splice(at, 1)
      this.input(IDS.indexOf(message!.to), { kind: 'deliver', message: message! })
      isBusy = true
    }
    return this
  }
}

const leaderOf = (node: number, others: readonly number[]): Script =>
  new Script().input(node, { kind: 'campaign' }).settle([node, ...others])

/** Entries that only an old leader has, which another has written over elsewhere: the beginning of Figure 8. */
const divergence = (): Script =>
  leaderOf(0, [1, 2])
    .input(0, { kind: 'propose', text: 'old' })
    .settle([0])
    .input(1, { kind: 'campaign' })
    .settle([1, 2])
    .input(1, { kind: 'propose', text: 'new' })
    .settle([1])

export const SCOPES: readonly Scope[] = [
  {
    name: 'elections from nothing, with pre-votes',
    budget: { ...NOTHING, tick: 4, crash: 1 },
    termMax: 2,
    ...new Script().ends,
  },
  {
    name: 'two campaigns from nothing',
    budget: { ...NOTHING, campaign: 2, crash: 1, propose: 1 },
    termMax: 2,
    ...new Script().ends,
  },
  {
    name: 'a leader, a rival and two proposals',
    budget: { ...NOTHING, campaign: 1, propose: 2, crash: 1 },
    termMax: 3,
    ...leaderOf(0, [1]).ends,
  },
  {
    name: 'a leader, a rival and a read',
    budget: { ...NOTHING, campaign: 1, propose: 1, read: 1, tick: 1 },
    termMax: 3,
    ...leaderOf(0, [1, 2]).ends,
  },
  {
    name: 'logs that disagree (figure 8)',
    budget: { ...NOTHING, campaign: 2, crash: 1, propose: 1 },
    termMax: 4,
    ...divergence().ends,
  },
  {
    name: 'snapshots to a follower that lags or disagrees',
    budget: { ...NOTHING, campaign: 1, crash: 1, propose: 1, compact: 2, tick: 1 },
    termMax: 3,
    ...divergence().ends,
  },
]
