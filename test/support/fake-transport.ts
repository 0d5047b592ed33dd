// A transport in memory: each endpoint is a function from request to answer. For what real sockets cannot show exactly.
import { TransportError } from '../../src/client/index.ts'
import type { Transport, TransportRequest, TransportResponse } from '../../src/client/index.ts'
import { BATCH_TYPE, foundEverywhere } from './batch-answers.ts'

export type FakeEndpoint = (request: TransportRequest) => TransportResponse | Promise<TransportResponse>

export class FakeTransport implements Transport {
  readonly requests: TransportRequest[] = []
  readonly #endpoints: ReadonlyMap<string, FakeEndpoint>
  isClosed = false

  constructor(endpoints: Readonly<Record<string, FakeEndpoint>>) {
    this.#endpoints = new Map(Object.entries(endpoints))
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    this.requests.push(request)
    const endpoint = this.#endpoints.get(request.endpoint)
    if (endpoint === undefined) throw new TransportError('not-sent', `${request.endpoint} refuses connections`)
    return endpoint(request)
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

/** Answers nothing until it is given up. */
export const neverAnswers: FakeEndpoint = ({ cancellation }) =>
  new Promise((_resolve, reject) => {
    cancellation.onCancel = () => reject(new TransportError('broken', 'given up'))
  })

/** A node that takes every put and whose keys all hold `hello`. */
export function healthyNode(name: string, cluster: { leader: string | undefined; term: number }): FakeEndpoint {
  return ({ method, path, body: asked }) => {
    const headers: Record<string, string> = {
      'quorate-node': name,
      'quorate-term': String(cluster.term),
      'quorate-revision': '42',
      'quorate-create-revision': '42',
      'quorate-key-version': '1',
      etag: '"42"',
    }
    if (cluster.leader !== undefined) headers['quorate-leader'] = cluster.leader
    if (path.startsWith('/v1/batch')) {
      return { status: 200, headers: { ...headers, ...BATCH_TYPE }, body: foundEverywhere(asked) }
    }
    const body = method === 'GET' ? Buffer.from('hello') : new Uint8Array(0)
    return { status: method === 'PUT' ? 201 : 200, headers, body }
  }
}

export function problemAnswer(code: string, status: number, extra: Readonly<Record<string, unknown>>): FakeEndpoint {
  const body = { code, detail: `about ${code}`, outcome: 'not-applied', retryable: true, ...extra }
  const headers = { 'content-type': 'application/problem+json' }
  return () => ({ status, headers, body: Buffer.from(JSON.stringify(body)) })
}
