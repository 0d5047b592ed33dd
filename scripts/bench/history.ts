// The gate of correctness: while a load runs, a few clients of the recorder's own read and write a few keys through all nodes, over
// plain HTTP, and what they saw must be linearizable. A figure that was bought with a stale read or a lost write is none.
import { Pool } from 'undici'
import { checkHistory } from '../../test/linearizability/checker.ts'
import { HistoryRecorder } from '../../test/linearizability/history.ts'
import { registerModel } from '../../test/linearizability/models/register.ts'
import type { RegisterInput, RegisterOutput } from '../../test/linearizability/models/register.ts'

const KEYS = 5
/** Each of them asks one thing at a time; together they keep every key contended. */
const CLIENTS_PER_NODE = 3
const TIMEOUT_MS = 10_000
/** Enough to see anything that is wrong as a rule, and checked within a second. */
const OPERATIONS_MAX = 20_000

export interface CheckedHistory {
  readonly operations: number
  /** Whose outcome nobody knows. */
  readonly unknown: number
}

type Recorder = HistoryRecorder<RegisterInput, RegisterOutput>

/**
 * Records for as long as `load` takes, and resolves with what was checked. Throws when the history cannot be explained, or when
 * nothing was answered, which would prove nothing.
 */
export async function checkBeside(
  urls: readonly string[],
  what: string,
  load: Promise<unknown>,
): Promise<CheckedHistory> {
  const run = new Date().toISOString()
  const registers = Array.from({ length: KEYS }, (_, at) => ({
    path: `/v1/kv/checked/${run}/${at}`,
    recorder: new HistoryRecorder<RegisterInput, RegisterOutput>(),
  }))
  const state = { isLoaded: true, operations: 0, values: 0 }
  const client = async (pool: Pool, name: string, number: number): Promise<void> => {
    for (let turn = number; state.isLoaded && state.operations < OPERATIONS_MAX; turn++) {
      const { path, recorder } = registers[turn % KEYS]!
      state.operations++
      // Reads and writes alternate, and no two writes are of the same value.
      if (Math.floor(turn / KEYS) % 2 === number % 2) await write(pool, path, recorder, name, ++state.values)
      else await read(pool, path, recorder, name)
    }
  }
  const pools = urls.map((url) => new Pool(url, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }))
  const clients = pools.flatMap((pool, node) =>
    Array.from({ length: CLIENTS_PER_NODE }, (_, at) => {
      const number = node * CLIENTS_PER_NODE + at
      return client(pool, `client ${number + 1}`, number)
    }),
  )
  try {
    await load
  } finally {
    state.isLoaded = false
    await Promise.all(clients)
    await Promise.all(pools.map((pool) => pool.close()))
  }
  return judge(
    what,
    registers.map(({ recorder }) => recorder),
  )
}

function judge(what: string, recorders: readonly Recorder[]): CheckedHistory {
  let operations = 0
  let unknown = 0
  for (const recorder of recorders) {
    const history = recorder.operations()
    operations += history.filter(({ outcome }) => outcome.kind === 'completed').length
    unknown += history.filter(({ outcome }) => outcome.kind === 'unknown').length
    const result = checkHistory(registerModel, history)
    if (result.verdict === 'linearizable') continue
    const reason = result.verdict === 'undecided' ? result.reason : result.explanation
    throw new Error(`the history recorded beside ${what} is ${result.verdict}: ${reason}`)
  }
  if (operations === 0) throw new Error(`nothing was answered beside ${what}: there is no history to check`)
  return { operations, unknown }
}

async function write(pool: Pool, path: string, recorder: Recorder, name: string, value: number): Promise<void> {
  const id = recorder.invoke(name, { op: 'write', value })
  try {
    const answer = await pool.request({ method: 'PUT', path, body: String(value) })
    const text = await answer.body.text()
    if (answer.statusCode < 300) recorder.complete(id, { kind: 'written' })
    else if (isRefused(text)) recorder.refuse(id)
    else recorder.giveUp(id)
  } catch {
    // The connection was lost: nobody knows what became of the write, and the checker is told so.
    recorder.giveUp(id)
  }
}

async function read(pool: Pool, path: string, recorder: Recorder, name: string): Promise<void> {
  const id = recorder.invoke(name, { op: 'read' })
  try {
    const answer = await pool.request({ method: 'GET', path })
    const text = await answer.body.text()
    if (answer.statusCode === 200) recorder.complete(id, { kind: 'read', value: Number(text) })
    else if (answer.statusCode === 404) recorder.complete(id, { kind: 'read', value: null })
    else recorder.giveUp(id)
  } catch {
    // A read that was not answered observed nothing.
    recorder.giveUp(id)
  }
}

/** The error's own promise that the write never takes effect. */
function isRefused(text: string): boolean {
  try {
    return (JSON.parse(text) as { readonly outcome?: string }).outcome === 'not-applied'
  } catch {
    // Not the store's own error: nothing was promised.
    return false
  }
}
