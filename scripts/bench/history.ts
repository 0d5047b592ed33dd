// The gate of correctness: while a load runs, a few clients of the recorder's own read and write a few keys through all nodes, over
// plain HTTP, and what they saw must be linearizable. A figure that was bought with a stale read or a lost write is none.
import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'
import { checkHistory } from '../../test/linearizability/checker.ts'
import { HistoryRecorder } from '../../test/linearizability/history.ts'
import { registerModel } from '../../test/linearizability/models/register.ts'
import type { RegisterInput, RegisterOutput } from '../../test/linearizability/models/register.ts'
import { read, write } from './history-requests.ts'
import type { Asker, Recorder, Register } from './history-requests.ts'
import type { Dialect } from './load/requests.ts'

/** At a time. */
const KEYS = 5
/** Each of them asks one thing at a time; together they keep every key contended. */
const CLIENTS_PER_NODE = 3
const TIMEOUT_MS = 10_000
/** Enough to see anything that is wrong as a rule, and checked within a second. */
const OPERATIONS_MAX = 20_000
/** Of the last look at each key through each node: elections may be under way. */
const LAST_READ_MS = 30_000
const LAST_READ_PAUSE_MS = 100

export interface CheckedHistory {
  readonly operations: number
  /** Writes whose outcome nobody knows. */
  readonly unknown: number
}

export interface GateOptions {
  readonly dialect: Dialect
  /** Each client rests so long after each answer, so that it takes little from what is measured. */
  readonly pauseMs: number
  readonly timeoutMs: number
  /** How long a node may take to answer the last reads. */
  readonly lastReadMs?: number
}

/** Clients that record what they see from their creation on, until `finish`. */
export class HistoryGate {
  readonly #what: string
  readonly #options: GateOptions
  readonly #askers: readonly Asker[]
  readonly #clients: readonly Promise<void>[]
  readonly #registers: Register[] = []
  /** No two writes are of the same value: that is what makes one without an answer recognisable. */
  #values = 0
  #operations = 0
  #isRecording = true
  #keys = 0
  readonly #run = new Date().toISOString()

  constructor(urls: readonly string[], what: string, options: GateOptions) {
    this.#what = what
    this.#options = options
    const { dialect, timeoutMs } = options
    const pools = urls.map(
      (url) => new Pool(url, { connectTimeout: timeoutMs, headersTimeout: timeoutMs, bodyTimeout: timeoutMs }),
    )
    this.#askers = pools.map((pool, node) => ({ pool, dialect, name: `node ${node + 1}` }))
    this.takeFreshKeys()
    this.#clients = this.#askers.flatMap((asker, node) =>
      Array.from({ length: CLIENTS_PER_NODE }, (_, at) => this.#record(asker, node * CLIENTS_PER_NODE + at)),
    )
  }

  /**
   * From now on other keys: after a fault, so that writes without an answer, which make a key hard to judge, are few on each. What
   * the former ones hold is looked at once more at the end.
   */
  takeFreshKeys(): void {
    this.#keys++
    for (let at = 0; at < KEYS; at++) {
      const key = `checked/${this.#run}/${this.#keys}/${at}`
      this.#registers.push({ key, recorder: new HistoryRecorder<RegisterInput, RegisterOutput>() })
    }
  }

  /**
   * Ends the recording, reads every key once more through every node, and judges. Throws when the history cannot be explained, or
   * when nothing was answered, which would prove nothing.
   */
  async finish(): Promise<CheckedHistory> {
    try {
      await this.#stop()
      for (const asker of this.#askers) {
        for (const register of this.#registers) await this.#readAtLast(asker, register)
      }
    } finally {
      await this.close()
    }
    return judge(
      this.#what,
      this.#registers.map(({ recorder }) => recorder),
    )
  }

  /** Without a verdict. Harmless when repeated. */
  async close(): Promise<void> {
    await this.#stop()
    for (const { pool } of this.#askers) if (!pool.destroyed) await pool.destroy()
  }

  async #stop(): Promise<void> {
    this.#isRecording = false
    await Promise.all(this.#clients)
  }

  async #record(node: Asker, number: number): Promise<void> {
    const asker = { ...node, name: `client ${number + 1}` }
    for (let turn = number; this.#isRecording && this.#operations < OPERATIONS_MAX; turn++) {
      const register = this.#registers.at(-1 - (turn % KEYS))!
      this.#operations++
      // Reads and writes alternate.
      if (Math.floor(turn / KEYS) % 2 === number % 2) await write(asker, register, ++this.#values)
      else await read(asker, register)
      if (this.#options.pauseMs > 0) await pause(this.#options.pauseMs)
    }
  }

  async #readAtLast(asker: Asker, register: Register): Promise<void> {
    const endMs = performance.now() + (this.#options.lastReadMs ?? LAST_READ_MS)
    do {
      if (await read(asker, register)) return
      await pause(LAST_READ_PAUSE_MS)
    } while (performance.now() < endMs)
    throw new Error(`${asker.name} did not answer a read of ${register.key} after ${this.#what}`)
  }
}

/** Records for as long as `load` takes, and resolves with what was checked. */
export async function checkBeside(
  urls: readonly string[],
  what: string,
  load: Promise<unknown>,
): Promise<CheckedHistory> {
  const gate = new HistoryGate(urls, what, { dialect: 'quorate', pauseMs: 0, timeoutMs: TIMEOUT_MS })
  try {
    await load
    return await gate.finish()
  } finally {
    await gate.close()
  }
}

function judge(what: string, recorders: readonly Recorder[]): CheckedHistory {
  let operations = 0
  let unknown = 0
  for (const recorder of recorders) {
    const history = recorder.operations()
    operations += history.filter(({ outcome }) => outcome.kind === 'completed').length
    unknown += history.filter(({ input, outcome }) => input.op === 'write' && outcome.kind === 'unknown').length
    const result = checkHistory(registerModel, history)
    if (result.verdict === 'linearizable') continue
    const reason = result.verdict === 'undecided' ? result.reason : result.explanation
    throw new Error(`the history recorded beside ${what} is ${result.verdict}: ${reason}`)
  }
  if (operations === 0) throw new Error(`nothing was answered beside ${what}: there is no history to check`)
  return { operations, unknown }
}
