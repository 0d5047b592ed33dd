// Learns the addresses that a cluster advertises, once its leader turns out to be a node that none of our endpoints reach.
// Runs beside ordinary calls and never holds one up: any node takes any request, so the gain is one hop.
import { Call } from './call.ts'
import type { CallContext } from './call.ts'
import { ClientError } from './client-error.ts'
import { clusterOperation } from './operations.ts'
import { originOf } from './endpoint-address.ts'
import type { ClusterStatus } from '../api/status.ts'

const LIMITS = {
  timeoutMs: 2_000,
  /** Between two questions: an unreachable leader must not be asked for with every call. Milliseconds. */
  everyMs: 5_000,
} as const

export class Discovery {
  readonly #context: CallContext
  readonly #run: (call: Call<ClusterStatus>) => Promise<ClusterStatus>
  #isRunning = false
  #nextMs = 0

  constructor(context: CallContext, run: (call: Call<ClusterStatus>) => Promise<ClusterStatus>) {
    this.#context = context
    this.#run = run
    this.#nextMs = context.clock.now()
  }

  /** Called after each call: asks when there is something to find out. */
  consider(): void {
    const { endpoints, clock } = this.#context
    if (this.#isRunning || !endpoints.lacksLeader || clock.now() < this.#nextMs) return
    this.#isRunning = true
    this.#nextMs = clock.now() + LIMITS.everyMs
    void this.#ask()
  }

  async #ask(): Promise<void> {
    try {
      const settings = { timeoutMs: LIMITS.timeoutMs, signal: undefined }
      const { members } = await this.#run(new Call(this.#context, clusterOperation(), settings))
      const advertised = members.flatMap(({ name, url }) => {
        const origin = url === null ? undefined : originOf(url)
        return origin === undefined ? [] : [{ name, url: origin }]
      })
      this.#context.endpoints.advertised(advertised)
    } catch (error) {
      // Nobody waits for this answer, and everything works without it; the next question follows in its time.
      if (!(error instanceof ClientError)) throw error
    } finally {
      this.#isRunning = false
    }
  }
}
