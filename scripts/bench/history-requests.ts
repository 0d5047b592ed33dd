// One read or write of a register that is recorded: over plain HTTP in each system's own words, settled as honestly as the answer allows.
import type { Pool } from 'undici'
import type { HistoryRecorder } from '../../test/linearizability/history.ts'
import type { RegisterInput, RegisterOutput } from '../../test/linearizability/models/register.ts'
import { base64 } from './load/requests.ts'
import type { Dialect } from './load/requests.ts'

export type Recorder = HistoryRecorder<RegisterInput, RegisterOutput>

export interface Register {
  readonly key: string
  readonly recorder: Recorder
}

export interface Asker {
  readonly pool: Pool
  readonly dialect: Dialect
  /** For words only. */
  readonly name: string
}

interface Answer {
  readonly status: number
  readonly text: string
}

export async function write({ pool, dialect, name }: Asker, { key, recorder }: Register, value: number): Promise<void> {
  const id = recorder.invoke(name, { op: 'write', value })
  try {
    const { status, text } = await (dialect === 'etcd'
      ? post(pool, '/v3/kv/put', { key: base64(key), value: base64(String(value)) })
      : ask(pool, 'PUT', `/v1/kv/${key}`, String(value)))
    if (status < 300) recorder.complete(id, { kind: 'written' })
    else if (isRefused(text)) recorder.refuse(id)
    else recorder.giveUp(id)
  } catch (error) {
    // Nobody listens there, so nothing was sent. Otherwise the connection was lost: nobody knows what became of the write, and the
    // checker is told so.
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') recorder.refuse(id)
    else recorder.giveUp(id)
  }
}

/** True when it was answered. */
export async function read({ pool, dialect, name }: Asker, { key, recorder }: Register): Promise<boolean> {
  const id = recorder.invoke(name, { op: 'read' })
  try {
    const { status, text } = await (dialect === 'etcd'
      ? post(pool, '/v3/kv/range', { key: base64(key) })
      : ask(pool, 'GET', `/v1/kv/${key}`, null))
    const value = dialect === 'etcd' ? etcdValue(status, text) : quorateValue(status, text)
    if (value !== undefined) {
      recorder.complete(id, { kind: 'read', value })
      return true
    }
  } catch {
    // As below.
  }
  // A read that was not answered observed nothing.
  recorder.giveUp(id)
  return false
}

/** Null where there is no such key, undefined where that was not answered. */
function quorateValue(status: number, text: string): number | null | undefined {
  if (status === 200) return Number(text)
  return status === 404 ? null : undefined
}

function etcdValue(status: number, text: string): number | null | undefined {
  if (status !== 200) return undefined
  const [found] = (JSON.parse(text) as { readonly kvs?: readonly { readonly value: string }[] }).kvs ?? []
  return found === undefined ? null : Number(Buffer.from(found.value, 'base64').toString('latin1'))
}

const post = (pool: Pool, path: string, body: object): Promise<Answer> => ask(pool, 'POST', path, JSON.stringify(body))

async function ask(pool: Pool, method: 'GET' | 'PUT' | 'POST', path: string, body: string | null): Promise<Answer> {
  const answer = await pool.request({ method, path, body })
  return { status: answer.statusCode, text: await answer.body.text() }
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
