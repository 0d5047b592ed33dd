// `quorate status --check`: is this one node ready? Made for health checks that run every few seconds, so it loads nothing
// but node:http: no client, no tables.
import { request } from 'node:http'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { CommonOptions } from './data-options.ts'
import { EXIT, printable } from './output.ts'

/** A health report is a page of text at most. Bytes. */
const BODY_BYTES_MAX = 65_536

interface Readiness {
  readonly isReady: boolean
  /** What is wrong, or `ready`. */
  readonly text: string
  readonly report: unknown
}

export async function checkStatus(io: DataIo, options: CommonOptions): Promise<void> {
  const [endpoint] = options.endpoints
  const { isReady, text, report } = await askReadiness(endpoint!, options.timeout)
  if (options.json === true) await write(io.stdout, `${JSON.stringify(report ?? { ok: false, error: text })}\n`)
  else if (isReady) await write(io.stdout, 'ready\n')
  else await write(io.stderr, `error: ${endpoint} is not ready: ${printable(text)}\n`)
  io.exitWith(isReady ? EXIT.ok : EXIT.unavailable)
}

function askReadiness(endpoint: string, timeoutMs: number): Promise<Readiness> {
  return new Promise((resolve) => {
    const fail = (error: Error): void =>
      resolve({ isReady: false, text: error.message || String(error), report: undefined })
    const signal = AbortSignal.timeout(timeoutMs)
    signal.addEventListener('abort', () => fail(new Error(`no answer within ${timeoutMs} ms`)))
    if (!endpoint.startsWith('http://')) {
      fail(new Error('only http:// can be checked'))
      return
    }
    const asked = request(`${endpoint}/readyz?verbose`, { signal, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > BODY_BYTES_MAX) response.destroy(new Error('the answer is too long'))
      })
      response.on('error', fail)
      response.on('end', () => resolve(readinessOf(response.statusCode ?? 0, body)))
    })
    asked.on('error', fail)
    asked.end()
  })
}

function readinessOf(statusCode: number, body: string): Readiness {
  const report = parse(body)
  const isReady = statusCode === 200 && report?.['ok'] === true
  const checks = Object.entries((report?.['checks'] ?? {}) as Readonly<Record<string, unknown>>)
  const wrong = checks.filter(([, line]) => line !== 'ok').map(([name, line]) => `${name}: ${String(line)}`)
  const text = wrong.length > 0 ? wrong.join('; ') : `it answers with status ${statusCode}`
  return { isReady, text: isReady ? 'ready' : text, report }
}

function parse(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    // Not a node's answer; the caller says what it got instead.
    return undefined
  }
}
