// Where the searches begin and how far they may go. Searches from nothing reach the first leader after a dozen steps; those that
// begin with a leader, or with logs that disagree, spend their states on replication, recovery and truncation instead.
import type { Message } from '../../../src/raft/index.ts'
import type { Beginning, Budget, Scope, Step } from './explorer.ts'
import type { Input, Local } from './local.ts'
import { IDS, perform } from './local.ts'

const NOTHING: Budget = { campaign: 0, tick: 0, propose: 0, crash: 0, read: 0, compact: 0, gone: 0 }

/** Plays a schedule on three nodes and writes down its steps. */
class Script implements Beginning {
  readonly steps: Step[] = []
  readonly sent: Message[] = []
  readonly #nodes: Local[]

  constructor(nodes: readonly Local[]) {
    this.#nodes = [...nodes]
  }

  input(node: number, input: Input): this {
    this.sent.push(...perform(this.#nodes[node]!, input).messages)
    this.steps.push({ node, input })
    return this
  }

  /** Delivers all messages between these nodes, and completes their writes, until nothing is left to do. */
  settle(nodes: readonly number[], isWanted: (message: Message) => boolean = () => true): this {
    const isAmong = (message: Message): boolean =>
      nodes.includes(IDS.indexOf(message.from)) && nodes.includes(IDS.indexOf(message.to)) && isWanted(message)
    for (let isBusy = true; isBusy;) {
      isBusy = false
      for (const node of nodes) {
        if (this.#nodes[node]!.write === undefined) continue
        this.input(node, { kind: 'persist' })
        isBusy = true
      }
      const at = this.sent.findIndex(isAmong)
      if (at < 0) continue
      const [message] = this.sent.splice(at, 1)
      this.input(IDS.indexOf(message!.to), { kind: 'deliver', message: message! })
      isBusy = true
    }
    return this
  }

  /** Makes one node the leader, as far as these are asked for their votes; they hear no more than that. */
  elect(node: number, ...voters: readonly number[]): this {
    this.input(node, { kind: 'campaign' })
    return this.settle([node, ...voters], ({ type }) => type.startsWith('request-vote'))
  }

  /** Everything that is on its way is lost. */
  quiet(): this {
    this.sent.length = 0
    return this
  }
}

const nothing = (nodes: readonly Local[]): Beginning => new Script(nodes)

/** One leads, and the others follow as far as they are named. */
const leader =
  (...followers: readonly number[]) =>
  (nodes: readonly Local[]): Script =>
    new Script(nodes).input(0, { kind: 'campaign' }).settle([0, ...followers])

/** Entries of two terms at one index, each on one node: the first steps of figure 8. */
const divergence = (nodes: readonly Local[]): Script =>
  leader(1, 2)(nodes).input(0, { kind: 'propose', text: 'old' }).settle([0]).quiet().elect(1, 0, 2).quiet()

/** The first of them leads again; the copy of its old entry is on its way. */
const figure8 = (nodes: readonly Local[]): Script =>
  divergence(nodes)
    .settle([1])
    .quiet()
    .elect(0, 2)
    .settle([0, 2], (message) => message.type !== 'append-entries' || message.entries[0]?.index !== 2)

const isState = ({ type }: Message): boolean => type === 'install-snapshot'

/** A follower was given a state and goes on from there; the same state may arrive again. */
const installed = (nodes: readonly Local[]): Script => {
  const script = leader(1)(nodes)
  script.input(0, { kind: 'propose', text: 'a' }).settle([0, 1]).quiet().input(0, { kind: 'compact' })
  script.input(0, { kind: 'tick' }).settle([0, 2], () => !script.sent.some(isState))
  const state = script.sent.find(isState)
  script.settle([0, 2]).input(0, { kind: 'propose', text: 'b' }).settle([0, 1, 2]).quiet()
  script.sent.push(state!)
  return script
}

export const SCOPES: readonly Scope[] = [
  {
    name: 'elections from nothing, with pre-votes',
    budget: { ...NOTHING, tick: 4, crash: 1 },
    termMax: 2,
    tuning: 'plain',
    begin: nothing,
  },
  {
    name: 'two campaigns from nothing',
    budget: { ...NOTHING, campaign: 2, crash: 1, propose: 1 },
    termMax: 2,
    tuning: 'plain',
    begin: nothing,
  },
  {
    name: 'a leader, a rival and two proposals',
    budget: { ...NOTHING, campaign: 1, propose: 2, crash: 1 },
    termMax: 3,
    tuning: 'plain',
    begin: leader(1),
  },
  {
    name: 'a leader that is taken for gone',
    budget: { ...NOTHING, gone: 2, tick: 3, propose: 1, crash: 1 },
    termMax: 3,
    tuning: 'plain',
    begin: leader(1, 2),
  },
  {
    name: 'a leader, a rival and a read',
    budget: { ...NOTHING, campaign: 1, propose: 1, read: 1, tick: 1 },
    termMax: 3,
    tuning: 'plain',
    begin: leader(1, 2),
  },
  {
    name: 'logs that disagree',
    budget: { ...NOTHING, campaign: 1, crash: 1, propose: 1 },
    termMax: 4,
    tuning: 'plain',
    begin: divergence,
  },
  {
    name: 'an old entry copied anew (figure 8)',
    budget: { ...NOTHING, campaign: 1 },
    termMax: 4,
    tuning: 'entry-alone',
    begin: figure8,
  },
  {
    name: 'snapshots to a follower that lags or disagrees',
    budget: { ...NOTHING, campaign: 1, crash: 1, propose: 1, compact: 1, tick: 1 },
    termMax: 3,
    tuning: 'short-memory',
    begin: divergence,
  },
  {
    name: 'the same snapshot again and again',
    budget: { ...NOTHING, campaign: 1, crash: 1, propose: 2, compact: 1, tick: 2 },
    termMax: 3,
    tuning: 'short-memory',
    begin: installed,
  },
]
