// Writers that go on through faults and remember what they were told: each key counts up, so that what was acknowledged can be
// looked for afterwards, and nothing that was refused for certain may be found. The client repeats writes by itself; the key's
// version counts how often the store applied one, so that a write that was applied twice shows. No two loads share a key.
import { randomUUID } from 'node:crypto'
import { Client, ClientError } from '../../src/client/index.ts'

interface KeyLog {
  /** The highest value that was acknowledged, and how many were. */
  acknowledged: number
  acknowledgements: number
  /** The highest value whose write may have taken effect. */
  attempted: number
  /** Values that were refused for certain. */
  readonly refused: Set<number>
  /**
   * Values whose outcome nobody knows. A copy that is still on its way may take effect until the client's session has acknowledged
   * its number, and that waits for every lower number, those of the other writers too.
   */
  readonly unknown: Set<number>
}

export class WriteLoad {
  /** Of its first writer. */
  readonly firstKey: string
  readonly #client: Client
  readonly #keys: Map<string, KeyLog>
  readonly #workers: Promise<void>[]
  #isRunning = true
  acknowledgedCount = 0
  unknownCount = 0
  refusedCount = 0
  /** When the latest write was acknowledged, in milliseconds of `performance.now`. */
  lastAcknowledgedMs = performance.now()

  constructor(endpoints: string[], writers = 8) {
    this.#client = new Client({ endpoints })
    const prefix = `load/${randomUUID()}`
    this.firstKey = `${prefix}/0`
    this.#keys = new Map(
      Array.from({ length: writers }, (_, at) => [
        `${prefix}/${at}`,
        { acknowledged: 0, acknowledgements: 0, attempted: 0, refused: new Set(), unknown: new Set() },
      ]),
    )
    this.#workers = [...this.#keys].map(([key, log]) => this.#write(key, log))
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#workers)
    await this.#client[Symbol.asyncDispose]()
  }

  /** Reads every key and lists what contradicts what the writers were told. */
  async contradictions(endpoints: string[]): Promise<string[]> {
    await using client = new Client({ endpoints })
    const found: string[] = []
    for (const [key, log] of this.#keys) {
      const entry = await client.get(key)
      const value = entry === undefined ? 0 : Number(entry.text())
      const version = entry?.version ?? 0
      if (value < log.acknowledged && !log.unknown.has(value))
        found.push(`${key}: ${log.acknowledged} was acknowledged, but ${value} is there`)
      if (value > log.attempted) found.push(`${key}: ${value} is there, but nobody wrote it`)
      if (log.refused.has(value)) found.push(`${key}: ${value} is there, but it was refused for certain`)
      if (version < log.acknowledgements || version > log.acknowledgements + log.unknown.size)
        found.push(`${key}: ${log.acknowledgements} writes (and maybe ${log.unknown.size}) made version ${version}`)
    }
    return found
  }

  async #write(key: string, log: KeyLog): Promise<void> {
    while (this.#isRunning) {
      const value = log.attempted + 1
      log.attempted = value
      try {
        await this.#client.put(key, String(value))
        log.acknowledged = value
        log.acknowledgements++
        this.acknowledgedCount++
        this.lastAcknowledgedMs = performance.now()
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        if (error.outcome === 'unknown') {
          this.unknownCount++
          log.unknown.add(value)
        } else {
          this.refusedCount++
          log.refused.add(value)
        }
      }
    }
  }
}
