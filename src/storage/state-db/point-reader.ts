// Reads of single keys, gathered: a hop to the thread pool costs ten times the look-up itself, so whatever is asked for while
// earlier calls run shares one `getMany`. A lone read leaves at the end of the current run of code, without waiting for others.
import type { CallGate } from './call-gate.ts'
import type { Engine } from './engine.ts'

/** Keys of one call: enough to spread the hop, few enough that one call does not hold a thread for long. */
const KEYS_PER_CALL = 256

interface Request {
  readonly keys: readonly Buffer[]
  resolve(values: readonly (Buffer | undefined)[]): void
  reject(error: unknown): void
}

export class PointReader {
  readonly #engine: Engine
  readonly #gate: CallGate
  #queue: Request[] = []
  #isDispatching = false

  constructor(engine: Engine, gate: CallGate) {
    this.#engine = engine
    this.#gate = gate
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    const [value] = await this.getMany([key])
    return value
  }

  /** The values as they are at some time between call and answer, all at the same time. */
  async getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return await new Promise((resolve, reject) => {
      this.#queue.push({ keys, resolve, reject })
      if (this.#isDispatching) return
      this.#isDispatching = true
      queueMicrotask(() => this.#dispatch())
    })
  }

  /** Takes its place at the gate first and fills the call when its turn comes: so the call carries all who wait by then. */
  #dispatch(): void {
    void this.#gate.run(async () => {
      const requests = this.#take()
      if (this.#queue.length > 0) queueMicrotask(() => this.#dispatch())
      else this.#isDispatching = false
      await this.#call(requests)
    })
  }

  #take(): readonly Request[] {
    let keys = 0
    let count = 0
    for (const request of this.#queue) {
      if (count > 0 && keys + request.keys.length > KEYS_PER_CALL) break
      keys += request.keys.length
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #call(requests: readonly Request[]): Promise<void> {
    try {
      const values = await this.#engine.getMany(requests.flatMap((request) => request.keys))
      let at = 0
      for (const request of requests) request.resolve(values.slice(at, (at += request.keys.length)))
    } catch (error) {
      for (const request of requests) request.reject(error)
    }
  }
}
