// The rare questions: who leads, how the cluster is, hand leadership over. Any node answers them, by asking the leader.
import { ERRORS, type ErrorCode, QuorateError } from '../api/errors.ts'
import type { ClusterStatus } from '../api/status.ts'
import { unreachable } from '../lib/assert.ts'
import { describeCluster } from './cluster-view.ts'
import type { NodeDriver } from './node-driver.ts'
import type { NodeOptions, NodePorts } from './node-options.ts'
import { noLeader } from './pending-write.ts'
import type { ControlKind, PeerHello } from './ports.ts'
import { vouch } from './registration.ts'

const ASK_TIMEOUT_MS = 2_000
/** How long a transfer may take before the caller hears that it did not work: the core gives up after an election timeout. */
const TRANSFER_TIMEOUT_MS = 3_000

/** An answer to a question passed on to the leader: a value, or an error of the table. */
type Passed = { readonly ok: unknown } | { readonly code: string; readonly detail: string }

export class ControlPlane {
  readonly #options: NodeOptions
  readonly #ports: NodePorts
  readonly #driver: NodeDriver
  readonly #onRoleChange = new Set<() => void>()

  constructor(options: NodeOptions, ports: NodePorts, driver: NodeDriver) {
    this.#options = options
    this.#ports = ports
    this.#driver = driver
  }

  leader(): { name: string; url: string } | null {
    const { leaderId } = this.#driver.raft
    const { self, url, members } = this.#options
    const leader = members.find((member) => member.id === leaderId)
    if (leader === undefined) return null
    return { name: leader.name, url: leader.id === self.id ? url : (this.#ports.transport.hello(leader.id)?.url ?? '') }
  }

  /** The leader's view; without a leader, our own with nulls for what we cannot know. */
  async cluster(): Promise<ClusterStatus> {
    const { raft } = this.#driver
    if (raft.isLeader || raft.leaderId === undefined) return this.#describe()
    try {
      return (await this.#askLeader('cluster', {})) as ClusterStatus
    } catch {
      return this.#describe()
    }
  }

  async transferLeadership(to: string | undefined): Promise<void> {
    const { raft } = this.#driver
    if (raft.isLeader) return this.#transferAway(to)
    if (raft.leaderId === undefined) throw noLeader()
    await this.#askLeader('transfer', to === undefined ? {} : { to })
  }

  /** A peer asks. What is thrown here reaches it as a failed question. */
  async answer(from: PeerHello, kind: ControlKind, body: unknown): Promise<unknown> {
    switch (kind) {
      case 'register':
        return vouch(this.#ports.registry, from.id, requiredText(body, 'incarnation'))
      case 'cluster':
        return this.#passed(() => Promise.resolve(this.#describe()))
      case 'transfer':
        return this.#passed(() => this.#transferAway(optionalText(body, 'to')))
      default:
        return unreachable(kind)
    }
  }

  onRoleChange(): void {
    for (const listener of this.#onRoleChange) listener()
  }

  #describe(): ClusterStatus {
    return describeCluster({ ...this.#options, transport: this.#ports.transport, raft: this.#driver.raft })
  }

  async #transferAway(to: string | undefined): Promise<void> {
    const { raft } = this.#driver
    if (!raft.isLeader) throw noLeader()
    const target = to === undefined ? undefined : this.#options.members.find((member) => member.name === to)
    if (to !== undefined && target === undefined)
      throw new QuorateError('MEMBER_NOT_FOUND', `There is no member named ${to}.`)
    if (target?.id === this.#options.self.id) return
    const { term } = raft
    const outcome = raft.transferLeadership(target?.id)
    if (outcome.kind === 'dropped') {
      throw new QuorateError('CONFLICT', `Leadership cannot be handed over now (${outcome.reason}).`)
    }
    this.#driver.requestTurn()
    // A leader that steps down in its own term has lost the others: nobody is about to take over.
    await this.#until(() => !raft.isLeader && (raft.leaderId !== undefined || raft.term === term))
    if (raft.isLeader || raft.leaderId === undefined || (target !== undefined && raft.leaderId !== target.id)) {
      throw new QuorateError(
        'CONFLICT',
        'The member did not take over in time; it may be unreachable or too far behind.',
      )
    }
  }

  /** Resolves when the claim holds after a change of role or leader, or when the time for a transfer is up. */
  #until(claim: () => boolean): Promise<void> {
    if (claim()) return Promise.resolve()
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        this.#onRoleChange.delete(check)
        resolve()
      }
      const check = (): void => {
        if (claim()) end()
      }
      const timer = this.#ports.clock.after(TRANSFER_TIMEOUT_MS, end)
      this.#onRoleChange.add(check)
    })
  }

  async #askLeader(kind: ControlKind, body: unknown): Promise<unknown> {
    const { leaderId } = this.#driver.raft
    if (leaderId === undefined) throw noLeader()
    const timeoutMs = ASK_TIMEOUT_MS + TRANSFER_TIMEOUT_MS
    const answer = await this.#ports.transport.control(leaderId, kind, body, timeoutMs).catch((error: unknown) => {
      throw new QuorateError(
        'NO_LEADER',
        `The leader could not be asked: ${error instanceof Error ? error.message : String(error)}.`,
      )
    })
    if (!isPassed(answer)) throw new QuorateError('INTERNAL', 'The leader gave an answer that makes no sense.')
    if ('ok' in answer) return answer.ok
    throw new QuorateError(Object.hasOwn(ERRORS, answer.code) ? (answer.code as ErrorCode) : 'INTERNAL', answer.detail)
  }

  async #passed(answer: () => Promise<unknown>): Promise<Passed> {
    try {
      return { ok: (await answer()) ?? null }
    } catch (error) {
      if (error instanceof QuorateError) return { code: error.code, detail: error.message }
      throw error
    }
  }
}

const isPassed = (value: unknown): value is Passed =>
  typeof value === 'object' &&
  value !== null &&
  ('ok' in value ||
    ('code' in value && typeof value.code === 'string' && 'detail' in value && typeof value.detail === 'string'))

function optionalText(body: unknown, name: string): string | undefined {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined
  const value: unknown = Reflect.get(body, name)
  if (typeof value !== 'string' || value.length > 256) throw new Error(`"${name}" must be a short text`)
  return value
}

function requiredText(body: unknown, name: string): string {
  const value = optionalText(body, name)
  if (value === undefined) throw new Error(`"${name}" is missing`)
  return value
}
