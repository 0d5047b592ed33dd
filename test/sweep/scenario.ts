// A short life of one or three machines, and what was promised to its clients. Each write goes to a key of its own, so that what a
// crash left behind can be read off: an acknowledged key is there, a refused one is not, an unknown one may be either.
import { QuorateError } from '../../src/api/errors.ts'
import { assert } from '../../src/lib/assert.ts'
import type { Survival } from '../../src/storage/simulated-file-system.ts'
import { MemoryNetwork } from '../../src/transport/memory-network.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { Machine, put } from './machine.ts'
import type { Outcome } from './machine.ts'

const STEP_MS = 4
/** Large enough that a few of them fill a segment. */
const VALUE_BYTES = 1_500

const isRefused = (outcome: Outcome): boolean => outcome instanceof QuorateError && outcome.outcome === 'not-applied'

export class Scenario {
  readonly machines: readonly Machine[]
  readonly #clock = new VirtualClock()
  readonly #network: MemoryNetwork
  readonly #ids = new Map<string, string>()
  readonly #outcomes = new Map<string, Outcome | undefined>()
  #isHalted = false
  #keys = 0

  constructor(size: number) {
    const clock = this.#clock
    this.#network = new MemoryNetwork({
      schedule: (delivery) => void clock.after(1, () => delivery.deliver()),
      after: (delayMs, callback) => clock.after(delayMs, callback),
    })
    const members = Array.from({ length: size }, (_, at) => {
      const id = (at + 1).toString(16).padStart(16, '0')
      this.#ids.set(`n${at + 1}`, id)
      return { id, name: `n${at + 1}`, peer: `127.0.0.1:${at + 1}` }
    })
    this.machines = members.map((self) => new Machine({ self, members, clock, network: this.#network }))
  }

  machine(name: string): Machine {
    return this.machines.find((machine) => machine.name === name)!
  }

  get leader(): Machine | undefined {
    return this.machines.find(({ node }) => node?.status().role === 'leader' && node.vitals().leaderName !== undefined)
  }

  /** Once the machine under test has lost its power, the rest of the life does not happen. */
  haltWhenOff(machine: Machine): void {
    this.#watched = machine
  }
  #watched: Machine | undefined

  /** Lets time pass until the claim holds, or the power goes off. False in the second case, and when it takes too long. */
  async until(claim: () => boolean, withinMs = 20_000): Promise<boolean> {
    const endMs = this.#clock.now() + withinMs
    while (!claim()) {
      if (this.#watched?.isOff === true || this.#isHalted) return false
      const failed = this.machines.find(({ failure }) => failure !== undefined)
      if (failed !== undefined) throw new Error(`${failed.name} stopped itself`, { cause: failed.failure })
      if (this.#clock.now() >= endMs) return false
      this.#clock.advance(STEP_MS)
      for (let turn = 0; turn < 2; turn++) {
        await new Promise((resolve) => setImmediate(resolve))
        this.#clock.settle()
      }
    }
    return true
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.#clock.now() + ms
    await this.until(() => this.#clock.now() >= endMs)
  }

  /** Starts a machine. A node that refuses is the caller's to judge; a start cut short by the power is none. */
  async start(machine: Machine): Promise<void> {
    await this.settled(machine.start(), machine)
  }

  async settled(work: Promise<void>, machine: Machine): Promise<void> {
    let state: 'busy' | 'done' | { error: unknown } = 'busy'
    work.then(
      () => (state = 'done'),
      (error: unknown) => (state = { error }),
    )
    await this.until(() => state !== 'busy')
    const end = state as 'busy' | 'done' | { error: unknown }
    if (typeof end === 'object' && !machine.isOff) throw end.error
  }

  /** Writes through a node, and waits for the answer at most so long. */
  async write(machine: Machine | undefined, count = 1, withinMs = 3_000): Promise<void> {
    const keys = Array.from({ length: count }, () => `key${++this.#keys}`)
    for (const key of keys) {
      const { node } = machine ?? {}
      if (node === undefined) return
      this.#outcomes.set(key, undefined)
      put(node, key, Buffer.alloc(VALUE_BYTES, key), (outcome) => this.#outcomes.set(key, outcome))
      await this.until(() => this.#outcomes.get(key) !== undefined, withinMs)
    }
  }

  /** Hands leadership over to a machine, if it does not lead already. */
  async makeLeader(machine: Machine): Promise<void> {
    const { leader } = this
    if (leader !== undefined && leader !== machine)
      await this.settled(leader.node!.transferLeadership(machine.name), leader)
    await this.until(() => this.leader === machine)
  }

  isolate(machine: Machine, isUp = false): void {
    for (const other of this.machines) {
      if (other === machine) continue
      this.#network.setLink(this.#ids.get(machine.name)!, this.#ids.get(other.name)!, isUp)
    }
  }

  /** The power comes back, and goes off again after so many operations of the recovery. False when that many did not happen. */
  async crashAgain(machine: Machine, survival: Survival, operations: number): Promise<boolean> {
    this.#watched = machine
    await this.settled(machine.restart(survival, operations), machine)
    await this.until(() => machine.isOff, 100)
    return machine.isOff
  }

  /** The power comes back. The node must start, the cluster must lead and write, and every promise must hold. */
  async recoverAndCheck(machine: Machine, survival: Survival): Promise<void> {
    this.#watched = undefined
    await this.settled(machine.restart(survival), machine)
    for (const other of this.machines) {
      if (other.node === undefined) await this.start(other)
      this.isolate(other, true)
    }
    await this.until(() => this.machines.every(({ node }) => node?.vitals().leaderName !== undefined))
    assert(await this.#writesAgain(), 'no write succeeds after the crash')
    for (const { node, name } of this.machines) {
      for (const key of this.#outcomes.keys()) await this.#checkKey(node!, name, key)
    }
    await this.#checkStates()
  }

  /** Replicas that have applied the same entries hold the same. */
  async #checkStates(): Promise<void> {
    const states = (): string[] =>
      this.machines.map(({ state }) => (state === undefined ? 'none' : String(state.index)))
    const isLevel = await this.until(() => new Set(states()).size === 1)
    assert(isLevel, `the members do not reach the same entry: ${states().join(', ')}`)
    const digests = this.machines.map(({ name, state }) => `${name} ${state?.digest}`)
    const isEqual = new Set(this.machines.map(({ state }) => state?.digest)).size === 1
    assert(isEqual, `the states after entry ${states()[0]} differ: ${digests.join(', ')}`)
  }

  async close(): Promise<void> {
    this.#watched = undefined
    const closing = Promise.all(this.machines.map((machine) => machine.close()))
    let isClosed = false
    const end = (): void => void (isClosed = true)
    closing.then(end, end)
    await this.until(() => isClosed)
    this.#isHalted = true
  }

  async #writesAgain(): Promise<boolean> {
    for (let tries = 0; tries < 5; tries++) {
      const before = this.#keys
      await this.write(this.leader)
      if (this.#keys > before && this.#isAcknowledged(`key${this.#keys}`)) return true
      await this.pass(100)
    }
    return false
  }

  #isAcknowledged(key: string): boolean {
    const outcome = this.#outcomes.get(key)
    return outcome !== undefined && !(outcome instanceof QuorateError)
  }

  async #checkKey(node: NonNullable<Machine['node']>, name: string, key: string): Promise<void> {
    const options = {
      consistency: 'linearizable',
      maxStaleMs: undefined,
      minRevision: undefined,
      timeoutMs: 5_000,
    } as const
    let found: string | undefined
    node.read(key, options, (answer) => {
      if (answer instanceof QuorateError) found = answer.message
      else found = answer.entry === undefined ? 'absent' : Buffer.from(answer.entry.value).toString().slice(0, 40)
    })
    await this.until(() => found !== undefined)
    const whole = Buffer.alloc(VALUE_BYTES, key).toString().slice(0, 40)
    const outcome = this.#outcomes.get(key)
    const said = outcome === undefined ? 'nothing' : outcome instanceof QuorateError ? outcome.outcome : outcome.kind
    const allowed = this.#isAcknowledged(key) ? [whole] : isRefused(outcome!) ? ['absent'] : ['absent', whole]
    assert(allowed.includes(found ?? ''), `${name} reads ${key}: ${found}, although its writer was told: ${said}`)
  }
}
