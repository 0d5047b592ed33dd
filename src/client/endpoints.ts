// The nodes that a client knows: who is called what, who leads, who failed lately, and whom to ask next.
// It costs no requests: names and the leader are read from the headers of ordinary answers.
import { assert } from '../lib/assert.ts'
import type { Prng } from '../lib/prng.ts'

export interface Endpoint {
  /** The origin, such as http://127.0.0.1:7700. */
  readonly url: string
  readonly isConfigured: boolean
  /** The node's name, once one of its answers told. */
  name: string | undefined
  failuresInRow: number
  /** Avoided until then, while another will do. */
  downUntilMs: number
}

/** What an answer's headers say of the cluster. */
export interface Sighting {
  readonly name: string
  readonly leaderName: string | undefined
  readonly term: number
}

const LIMITS = {
  /** Members of a large cluster, and to spare: more advertised addresses than this are not believed. */
  endpointsMax: 64,
  /** An endpoint that failed is avoided for this long at first, then twice as long each time. Milliseconds. */
  downMsMin: 100,
  downMsMax: 5_000,
} as const

export class Endpoints {
  readonly #prng: Prng
  #all: readonly Endpoint[]
  #leaderName: string | undefined
  #term = -1

  constructor(urls: readonly string[], prng: Prng) {
    assert(urls.length > 0, 'a client without endpoints')
    this.#prng = prng
    this.#all = urls.map((url) => unknownEndpoint(url, true))
  }

  get all(): readonly Endpoint[] {
    return this.#all
  }

  /** The leader has a name, and none of our endpoints has it or may turn out to have it. */
  get lacksLeader(): boolean {
    const leader = this.#leaderName
    return leader !== undefined && this.#all.every(({ name }) => name !== undefined && name !== leader)
  }

  /**
   * Whom to ask next: not those in `tried` if there are others, not one that failed lately if there are others; of
   * those, the leader if `wantsLeader`. Where the leader is still hidden behind an endpoint without a name, one of those: any node
   * takes any request, so finding out costs nothing.
   */
  choose(options: { wantsLeader: boolean; tried: ReadonlySet<Endpoint>; nowMs: number }): Endpoint {
    const { wantsLeader, tried, nowMs } = options
    const untried = this.#all.filter((endpoint) => !tried.has(endpoint))
    const open = untried.length > 0 ? untried : this.#all
    const up = open.filter((endpoint) => endpoint.downUntilMs <= nowMs)
    if (up.length === 0) return open.reduce((a, b) => (b.downUntilMs < a.downUntilMs ? b : a))

    if (wantsLeader && this.#leaderName !== undefined) {
      const leader = up.find(({ name }) => name === this.#leaderName)
      if (leader !== undefined) return leader
      if (this.#all.every(({ name }) => name !== this.#leaderName)) {
        const unnamed = up.filter(({ name }) => name === undefined)
        if (unnamed.length > 0) return unnamed[this.#prng.below(unnamed.length)]!
      }
    }
    return up[this.#prng.below(up.length)]!
  }

  /** There is somebody else worth asking at once. */
  hasUntried(tried: ReadonlySet<Endpoint>, nowMs: number): boolean {
    return this.#all.some((endpoint) => !tried.has(endpoint) && endpoint.downUntilMs <= nowMs)
  }

  /** An answer came from this endpoint. */
  saw(endpoint: Endpoint, sighting: Sighting): void {
    // A node that was believed to lead knows best that it does not, even in a lower term: its cluster may be a new one.
    const isLeaderItself = endpoint.name !== undefined && endpoint.name === this.#leaderName
    endpoint.name = sighting.name
    if (sighting.term < this.#term && !isLeaderItself) return
    if (sighting.term > this.#term || isLeaderItself || sighting.leaderName !== undefined) {
      this.#leaderName = sighting.leaderName
    }
    this.#term = sighting.term
  }

  up(endpoint: Endpoint): void {
    endpoint.failuresInRow = 0
    endpoint.downUntilMs = 0
  }

  down(endpoint: Endpoint, nowMs: number): void {
    const ceiling = Math.min(LIMITS.downMsMax, LIMITS.downMsMin * 2 ** Math.min(endpoint.failuresInRow, 16))
    endpoint.failuresInRow++
    endpoint.downUntilMs = nowMs + this.#prng.between(ceiling / 2, ceiling)
  }

  /** The cluster's own list of members. Configured endpoints stay; advertised ones that are gone are forgotten. */
  advertised(members: readonly { name: string; url: string }[]): void {
    const kept = this.#all.filter(
      ({ isConfigured, url }) => isConfigured || members.some((member) => member.url === url),
    )
    const known = new Map(kept.map((endpoint) => [endpoint.url, endpoint]))
    for (const member of members) {
      if (known.has(member.url) || known.size >= LIMITS.endpointsMax) continue
      // A configured endpoint under this name leads there already, maybe by another address.
      if (kept.some(({ name }) => name === member.name)) continue
      const endpoint = unknownEndpoint(member.url, false)
      endpoint.name = member.name
      known.set(member.url, endpoint)
    }
    this.#all = [...known.values()]
  }
}

const unknownEndpoint = (url: string, isConfigured: boolean): Endpoint => ({
  url,
  isConfigured,
  name: undefined,
  failuresInRow: 0,
  downUntilMs: 0,
})
