// The incarnation rule (design, section 10): a founding member takes part only after a majority of the *others* has noted,
// durably, which random incarnation its data directory has. A member that lost its data has another one, and is refused, so
// it can neither vote a second time in a term nor forget what it has acknowledged.
import type { NodeId } from '../raft/index.ts'
import type { IncarnationRegistry, Logger, PeerTransport } from './ports.ts'

/** How many of the others must vouch: none of 1 member, two of 2 others, three of 4. */
export const registrationsNeeded = (others: number): number => (others === 0 ? 0 : Math.floor(others / 2) + 1)

export type RegisterAnswer = { readonly isRegistered: boolean }

const ASK_TIMEOUT_MS = 2_000

export class Registration {
  readonly #registry: IncarnationRegistry
  readonly #others: readonly NodeId[]
  readonly #transport: Pick<PeerTransport, 'control'>
  readonly #log: Logger
  readonly #vouched = new Set<NodeId>()
  readonly #asking = new Set<NodeId>()
  #isDone: boolean

  constructor(
    registry: IncarnationRegistry,
    others: readonly NodeId[],
    transport: Pick<PeerTransport, 'control'>,
    log: Logger,
  ) {
    this.#registry = registry
    this.#others = others
    this.#transport = transport
    this.#log = log
    this.#isDone = registry.isRegistered || others.length === 0
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Asks everybody who has not vouched yet. Resolves when this round of questions is over; call again until `isDone`. */
  async ask(): Promise<'registered' | 'waiting' | 'refused'> {
    if (this.#isDone) return 'registered'
    const open = this.#others.filter((id) => !this.#vouched.has(id) && !this.#asking.has(id))
    const answers = await Promise.all(open.map((id) => this.#askOne(id)))
    if (answers.includes('refused')) return 'refused'
    if (this.#vouched.size < registrationsNeeded(this.#others.length)) return 'waiting'
    await this.#registry.markRegistered()
    this.#isDone = true
    return 'registered'
  }

  async #askOne(id: NodeId): Promise<'vouched' | 'refused' | 'silent'> {
    this.#asking.add(id)
    try {
      const answer = await this.#transport.control(id, 'register', { incarnation: this.#registry.own }, ASK_TIMEOUT_MS)
      if (!isRegisterAnswer(answer)) return 'silent'
      if (!answer.isRegistered) return 'refused'
      this.#vouched.add(id)
      return 'vouched'
    } catch (error) {
      this.#log.debug({ peer: id, error: String(error) }, 'a founding member could not be asked to register us yet')
      return 'silent'
    } finally {
      this.#asking.delete(id)
    }
  }
}

/** The other side: vouches for the first incarnation a member shows, and for no other. */
export async function vouch(
  registry: IncarnationRegistry,
  member: NodeId,
  incarnation: string,
): Promise<RegisterAnswer> {
  if (!/^[0-9a-f]{32}$/.test(incarnation)) throw new Error('an incarnation is 32 hex digits')
  const known = registry.get(member)
  if (known === undefined) await registry.record(member, incarnation)
  return { isRegistered: known === undefined || known === incarnation }
}

const isRegisterAnswer = (value: unknown): value is RegisterAnswer =>
  typeof value === 'object' && value !== null && 'isRegistered' in value && typeof value.isRegistered === 'boolean'
