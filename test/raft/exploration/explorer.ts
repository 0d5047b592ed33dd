// Breadth-first search over all schedules of a tiny cluster. A state is three nodes, everything ever sent, and what is committed;
// a message may be delivered at any time, any number of times or never, so loss, duplication and reordering need no steps of
// their own. Each state is kept as a short text of numbers: of each node's state, of each message, of the steps still allowed.
import type { Entry, LogIndex, Message, Term } from '../../../src/raft/index.ts'
import { checkCluster } from './checks.ts'
import type { Effect, Input, Local, Tuning } from './local.ts'
import { copyLocal, describeLocal, describeMessage, IDS, isPossible, newLocal, perform } from './local.ts'

/** How often each of these may happen within one schedule. The rest (deliveries, writes that complete) is not limited. */
export interface Budget {
  readonly campaign: number
  readonly tick: number
  readonly propose: number
  readonly crash: number
  readonly read: number
  readonly compact: number
  readonly gone: number
}
type Limited = keyof Budget
const LIMITED: readonly Limited[] = ['campaign', 'tick', 'propose', 'crash', 'read', 'compact', 'gone']

export interface Scope {
  readonly name: string
  readonly budget: Budget
  /** Terms beyond this are not entered. */
  readonly termMax: Term
  readonly tuning: Tuning
  readonly begin: (nodes: readonly Local[]) => Beginning
}

export interface Beginning {
  /** Steps from three empty nodes to where the search begins. */
  readonly steps: readonly Step[]
  /** What is still on its way there; all else that was sent is lost. */
  readonly sent: readonly Message[]
}

export interface Step {
  readonly node: number
  readonly input: Input
}

export interface Committed {
  readonly index: LogIndex
  readonly term: Term
  readonly text: string
  /** The term of the node that first knew. */
  readonly by: Term
}

export interface Exploration {
  readonly states: number
  /** Steps of the longest of the shortest schedules. */
  readonly depth: number
  /** There is nothing more within the scope. */
  readonly isExhausted: boolean
  readonly nodeStates: number
  readonly commits: number
  readonly leaderStates: number
}

interface Outcome {
  readonly local: number
  readonly messages: readonly number[]
  readonly committed: readonly Entry[]
}

interface State {
  readonly locals: readonly number[]
  readonly messages: readonly number[]
  readonly committed: number
  readonly spent: readonly number[]
}

/** Gives equal things equal numbers. */
class Names<T> {
  readonly items: T[] = []
  readonly #numbers = new Map<string, number>()

  number(text: string, make: () => T): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const number = this.items.length
    this.#numbers.set(text, number)
    this.items.push(make())
    return number
  }
}

export class ExplorationError extends Error {
  override readonly name = 'ExplorationError'
}

/** Each number takes two units of a text, so that keys are short and compare fast. */
const encode = (numbers: readonly number[]): string => {
  let text = ''
  for (const number of numbers) text += String.fromCharCode(number >>> 15, number & 0x7fff)
  return text
}

export class Explorer {
  readonly #scope: Scope
  readonly #beginning: Beginning
  /** Leaders of later terms were elected under our eyes. */
  readonly #termFrom: Term
  readonly #locals = new Names<Local>()
  readonly #messages = new Names<Message>()
  readonly #committed = new Names<readonly Committed[]>()
  readonly #outcomes = new Map<string, Outcome | undefined>()
  readonly #keys = new Set<string>()
  /** The states of the search in the order they were found; those behind `#next` wait to be expanded. */
  readonly #queue: State[] = []
  readonly #parents: number[] = []
  readonly #steps: Step[] = []
  readonly #depths: number[] = []
  #next = 0
  #leaderStates = 0

  constructor(scope: Scope) {
    this.#scope = scope
    const nodes = IDS.map((id) => newLocal(id, scope.tuning))
    this.#beginning = scope.begin(nodes.map(copyLocal))
    let state: State = {
      locals: nodes.map((node) => this.#nameLocal(node)),
      messages: [],
      committed: this.#committed.number('', () => []),
      spent: LIMITED.map(() => 0),
    }
    for (const step of this.#beginning.steps) {
      // A step without effect, such as a vote that is not needed any more, is no step.
      state = { ...(this.#take(state, step) ?? state), spent: state.spent }
    }
    this.#termFrom = Math.max(...state.locals.map((local) => this.#locals.items[local]!.raft.term))
    const messages = this.#beginning.sent.map((message) => this.#nameMessage(message)).sort((a, b) => a - b)
    this.#add({ ...state, messages }, -1, undefined, 0)
  }

  get found(): number {
    return this.#queue.length
  }

  /** Searches until so many states are known, or all. */
  run(statesMax: number): Exploration {
    while (this.#next < this.#queue.length && this.#queue.length < statesMax) this.#expand(this.#next++)
    return {
      states: this.#queue.length,
      depth: this.#depths.at(-1)!,
      isExhausted: this.#next === this.#queue.length,
      nodeStates: this.#locals.items.length,
      commits: this.#committed.items.length - 1,
      leaderStates: this.#leaderStates,
    }
  }

  #expand(at: number): void {
    const state = this.#queue[at]!
    for (let node = 0; node < IDS.length; node++) {
      for (const input of this.#inputs(state, node)) {
        const step = { node, input }
        let next: State | undefined
        try {
          next = this.#take(state, step)
          if (next !== undefined) this.#add(next, at, step, this.#depths[at]! + 1)
        } catch (error) {
          throw new ExplorationError(`${(error as Error).message}\n${this.#schedule(at, step)}`, { cause: error })
        }
      }
    }
    // What was expanded is never looked at again.
    const { locals, committed } = state
    this.#queue[at] = { locals, committed, messages: [], spent: [] }
  }

  *#inputs(state: State, node: number): Generator<Input> {
    const { spent, committed } = state
    const isAllowed = (kind: Limited): boolean => (spent[LIMITED.indexOf(kind)] ?? 0) < this.#scope.budget[kind]
    yield { kind: 'persist' }
    if (isAllowed('campaign')) yield { kind: 'campaign' }
    if (isAllowed('tick')) yield { kind: 'tick' }
    if (isAllowed('propose')) yield { kind: 'propose', text: `p${spent[LIMITED.indexOf('propose')]}` }
    if (isAllowed('read')) yield { kind: 'read', floor: this.#committed.items[committed]!.length }
    if (isAllowed('compact')) yield { kind: 'compact' }
    if (isAllowed('gone')) yield { kind: 'gone' }
    if (isAllowed('crash')) {
      yield { kind: 'crash', isWriteKept: false }
      yield { kind: 'crash', isWriteKept: true }
    }
    for (const number of state.messages) {
      const message = this.#messages.items[number]!
      if (message.to === IDS[node]) yield { kind: 'deliver', message }
    }
  }

  /** The state after a step; undefined when the step is not possible or changes nothing. */
  #take(state: State, step: Step): State | undefined {
    const { node, input } = step
    const outcome = this.#outcomeOf(state.locals[node]!, input)
    if (outcome === undefined) return undefined
    const isUnchanged = outcome.local === state.locals[node]
    const fresh = outcome.messages.filter((message) => !state.messages.includes(message))
    if (isUnchanged && fresh.length === 0) return undefined
    const locals = state.locals.with(node, outcome.local)
    const messages = fresh.length === 0 ? state.messages : [...state.messages, ...fresh].sort((a, b) => a - b)
    const at = LIMITED.indexOf(input.kind as Limited)
    const spent = at === -1 ? state.spent : state.spent.with(at, state.spent[at]! + 1)
    const by = this.#locals.items[outcome.local]!.raft.term
    const committed = this.#commit(state.committed, outcome.committed, by)
    return { locals, messages, committed, spent }
  }

  #outcomeOf(local: number, input: Input): Outcome | undefined {
    const key = `${local}/${nameOf(input, (message) => this.#nameMessage(message))}`
    const known = this.#outcomes.get(key)
    if (known !== undefined || this.#outcomes.has(key)) return known
    const outcome = this.#work(local, input)
    this.#outcomes.set(key, outcome)
    return outcome
  }

  #work(local: number, input: Input): Outcome | undefined {
    const before = this.#locals.items[local]!
    if (!isPossible(before, input)) return undefined
    const copy = copyLocal(before)
    const effect: Effect = perform(copy, input)
    if (copy.raft.term > this.#scope.termMax) return undefined
    const messages = effect.messages.map((message) => this.#nameMessage(message))
    return { local: this.#nameLocal(copy), messages, committed: effect.committed }
  }

  /** State Machine Safety (figure 3.2): what is committed at an index is so for good. */
  #commit(number: number, entries: readonly Entry[], by: Term): number {
    const committed = [...this.#committed.items[number]!]
    for (const { index, term, data } of entries) {
      const text = Buffer.from(data).toString()
      const known = committed[index - 1]
      if (known === undefined) committed.push({ index, term, text, by })
      else if (known.term !== term || known.text !== text)
        throw new Error(`entry ${index} is committed as ${term} "${text}" and as ${known.term} "${known.text}"`)
    }
    return this.#committed.number(JSON.stringify(committed), () => committed)
  }

  #add(state: State, parent: number, step: Step | undefined, depth: number): void {
    const { locals, messages, committed, spent } = state
    const key = encode([...locals, committed, spent.reduce((sum, count) => sum * 8 + count, 0), ...messages])
    if (this.#keys.has(key)) return
    this.#keys.add(key)
    this.#queue.push(state)
    this.#parents.push(parent)
    this.#depths.push(depth)
    if (step !== undefined) this.#steps[this.#queue.length - 1] = step
    const nodes = locals.map((local) => this.#locals.items[local]!)
    if (nodes.some(({ raft }) => raft.isLeader)) this.#leaderStates++
    checkCluster({
      nodes,
      committed: this.#committed.items[committed]!,
      messages: messages.map((message) => this.#messages.items[message]!),
      termFrom: this.#termFrom,
    })
  }

  #nameLocal(local: Local): number {
    return this.#locals.number(describeLocal(local), () => local)
  }

  #nameMessage(message: Message): number {
    return this.#messages.number(describeMessage(message), () => message)
  }

  #schedule(at: number, last: Step): string {
    const steps = [last]
    for (let state = at; this.#parents[state]! >= 0; state = this.#parents[state]!) steps.unshift(this.#steps[state]!)
    const lines = [...this.#beginning.steps, ...steps].map((step) => `  ${describeStep(step)}`)
    return `in "${this.#scope.name}", after\n${lines.join('\n')}`
  }
}

function nameOf(input: Input, nameMessage: (message: Message) => number): string {
  if (input.kind === 'deliver') return String(nameMessage(input.message))
  return JSON.stringify(input)
}

function describeStep({ node, input }: Step): string {
  if (input.kind !== 'deliver') return `${IDS[node]} ${JSON.stringify(input)}`
  const { type, from, to, ...rest } = input.message
  return `${from} → ${to} ${type} ${JSON.stringify(rest)}`
}
