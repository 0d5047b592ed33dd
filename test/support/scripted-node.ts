// An HTTP server on loopback that answers like a node, or misbehaves as told: refuses, resets, cuts, stalls, talks rubbish.
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { ERRORS } from '../../src/api/errors.ts'
import type { ErrorCode } from '../../src/api/errors.ts'
import { BATCH_TYPE, foundEverywhere } from './batch-answers.ts'

export interface SeenRequest {
  readonly node: string
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What happens to one request, after its body has arrived. */
export type Step = (request: SeenRequest, response: ServerResponse, socket: Socket) => void

/** Several nodes that share one script: the first request to any of them meets the first step; the last step repeats. */
export class ScriptedCluster {
  readonly nodes: ScriptedNode[] = []
  readonly requests: SeenRequest[] = []
  leader: string | undefined = 'n1'
  term = 3
  #steps: Step[] = []

  static async start(names: readonly string[]): Promise<ScriptedCluster> {
    const cluster = new ScriptedCluster()
    for (const name of names) cluster.nodes.push(await ScriptedNode.start(name, cluster))
    return cluster
  }

  get endpoints(): string[] {
    return this.nodes.map(({ url }) => url)
  }

  script(...steps: Step[]): void {
    this.#steps = steps
    this.requests.length = 0
  }

  next(): Step {
    return (this.#steps.length > 1 ? this.#steps.shift() : this.#steps[0]) ?? ok()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }
}

export class ScriptedNode {
  readonly name: string
  readonly #server: Server
  /** Overrides the cluster's script. */
  step: Step | undefined

  static async start(name: string, cluster: ScriptedCluster): Promise<ScriptedNode> {
    const server = createServer()
    const node = new ScriptedNode(name, server)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('error', () => response.destroy())
      request.on('end', () => {
        const { method = '', url = '', headers } = request
        const seen: SeenRequest = { node: name, method, url, headers, body: Buffer.concat(chunks) }
        cluster.requests.push(seen)
        response.setHeader('quorate-node', name)
        response.setHeader('quorate-term', cluster.term)
        response.setHeader('quorate-revision', 42)
        if (cluster.leader !== undefined) response.setHeader('quorate-leader', cluster.leader)
        const step = node.step ?? cluster.next()
        step(seen, response, request.socket)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return node
  }

  private constructor(name: string, server: Server) {
    this.name = name
    this.#server = server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** An address that refuses connections. */
export async function refusedEndpoint(): Promise<string> {
  const cluster = await ScriptedCluster.start(['gone'])
  const [url] = cluster.endpoints
  await cluster[Symbol.asyncDispose]()
  return url!
}

// --------------------------------------------------------------------------------------------------------------- steps

/** What a node answers when all is well. */
export function ok(): Step {
  return ({ method, url, node, body }, response) => {
    const path = url.split('?', 1)[0]!
    if (path === '/v1/status') return json(200, statusOf(node))({} as SeenRequest, response, response.socket!)
    if (path === '/v1/cluster') return json(200, CLUSTER)({} as SeenRequest, response, response.socket!)
    if (path === '/version') {
      return json(200, { version: '0.1.0', node: 'v20.0.0', api: 1 })({} as SeenRequest, response, response.socket!)
    }
    if (path === '/v1/batch') {
      response.writeHead(200, BATCH_TYPE).end(foundEverywhere(body))
      return
    }
    if (method === 'POST') return json(200, {})({} as SeenRequest, response, response.socket!)
    if (method === 'DELETE') {
      return json(200, { deleted: 1, revision: 42, prev: ENTRY })({} as SeenRequest, response, response.socket!)
    }
    if (method === 'PUT') {
      if (url.includes('prev')) response.setHeader('content-type', 'application/json')
      response.writeHead(201, { etag: '"42"' }).end(url.includes('prev') ? JSON.stringify({ prev: ENTRY }) : '')
      return
    }
    response
      .writeHead(200, {
        etag: '"17"',
        'content-type': 'text/plain',
        'quorate-create-revision': '7',
        'quorate-key-version': '3',
      })
      .end('hello')
  }
}

const ENTRY = { key: 'k', value: 'before', createRevision: 7, modRevision: 17, version: 3 }

const statusOf = (name: string): unknown => ({
  name,
  id: '8f3c8f3c8f3c8f3c',
  clusterId: '0123456789abcdef',
  role: name === 'n1' ? 'leader' : 'follower',
  term: 3,
  leader: { name: 'n1', url: 'http://127.0.0.1:7700' },
  commitIndex: 9,
  appliedIndex: 9,
  revision: 42,
  logBytes: 1024,
  dbBytes: 2048,
  pid: 4711,
  version: '0.1.0',
  uptimeMs: 65_000,
})

const CLUSTER = {
  clusterId: '0123456789abcdef',
  term: 3,
  members: ['n1', 'n2'].map((name) => ({
    name,
    id: '8f3c8f3c8f3c8f3c',
    url: null,
    peer: '127.0.0.1:7701',
    kind: 'voter',
    role: name === 'n1' ? 'leader' : 'follower',
    matchIndex: 9,
    lagEntries: 0,
    reachable: true,
    version: '0.1.0',
  })),
}

export function json(status: number, body: unknown, type = 'application/json; charset=utf-8'): Step {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body))
  }
}

export function problem(code: ErrorCode, extra: Readonly<Record<string, unknown>> = {}): Step {
  const { status, outcome, isRetryable, title } = ERRORS[code]
  const body = {
    type: 'urn:x',
    title,
    status,
    detail: `about ${code}`,
    code,
    outcome,
    retryable: isRetryable,
    ...extra,
  }
  return json(status, body, 'application/problem+json')
}

/** A proxy's error page. */
export function page(status: number): Step {
  return (_request, response) => {
    for (const name of response.getHeaderNames()) response.removeHeader(name)
    response.writeHead(status, { 'content-type': 'text/html' }).end('<html><body>Bad gateway</body></html>')
  }
}

/** The request arrived; the connection is reset before any answer. */
export const reset: Step = (_request, _response, socket) => {
  socket.resetAndDestroy()
}

/** The connection ends in the middle of the answer. */
export const cut: Step = (_request, response, socket) => {
  response.writeHead(200, { etag: '"17"', 'content-length': '100' })
  response.write('only ten b', () => socket.destroy())
}

/** Something that is not HTTP. */
export const garbage: Step = (_request, _response, socket) => {
  socket.end('\u0000\u0001 this is not HTTP\r\n\r\n')
}

/** Never answers. */
export const silent: Step = () => {}
