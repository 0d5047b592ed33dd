// Three HTTP edges over one node in memory, and a way to them that breaks as told. Whatever a client is told can be compared with what the node did.
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { Client, TransportError } from '../../src/client/index.ts'
import type {
  ClientClock,
  ClientOptions,
  Transport,
  TransportRequest,
  TransportResponse,
  TransportStream,
} from '../../src/client/index.ts'
import { UndiciTransport } from '../../src/client/undici-transport.ts'
import { buildApp } from '../../src/http/app.ts'
import type { App } from '../../src/http/app.ts'
import { Prng } from '../../src/lib/prng.ts'
import { ModelNode } from './model-node.ts'

/** What becomes of one request: it is answered, never arrives, arrives without its answer, or is known not to have left. */
export type Fate = 'answered' | 'lost request' | 'lost answer' | 'not sent'

export class ModelCluster {
  readonly node = new ModelNode()
  readonly requests: TransportRequest[] = []
  fate: (request: TransportRequest) => Fate = () => 'answered'
  /** How many bytes a stream lasts. */
  streamBytes: () => number = () => Infinity
  readonly #apps: App[] = []

  static async start(): Promise<ModelCluster> {
    const cluster = new ModelCluster()
    for (let edge = 0; edge < 3; edge++) {
      const versions = { release: '0.1.0', node: 'v20.0.0' }
      const log = pino({ level: 'silent' })
      const app = buildApp({ node: cluster.node, log, versions, isLoopback: true, allowedHosts: [] })
      await app.server.listen({ port: 0, host: '127.0.0.1' })
      cluster.#apps.push(app)
    }
    return cluster
  }

  get endpoints(): string[] {
    return this.#apps.map(({ server }) => `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`)
  }

  client(options: Partial<ClientOptions> = {}, ports: { seed?: string; clock?: ClientClock } = {}): Client {
    const { seed = 'model cluster', clock } = ports
    return new Client(
      { endpoints: this.endpoints, ...options },
      { transport: new BreakingTransport(this), prng: new Prng(seed), ...(clock === undefined ? {} : { clock }) },
    )
  }

  /** Requests to the batch endpoint. */
  get batches(): number {
    return this.requests.filter(({ path }) => path.startsWith('/v1/batch')).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // As a node that closes does: whatever waits for it is answered before its server goes.
    this.node.release()
    for (const { server } of this.#apps) server.server.closeAllConnections()
    await Promise.all(this.#apps.map(({ server }) => server.close()))
  }
}

class BreakingTransport implements Transport {
  readonly #cluster: ModelCluster
  readonly #real = new UndiciTransport()

  constructor(cluster: ModelCluster) {
    this.#cluster = cluster
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    this.#cluster.requests.push(request)
    const fate = this.#cluster.fate(request)
    if (fate === 'not sent') throw new TransportError('not-sent', 'nobody listens there')
    if (fate === 'lost request') throw new TransportError('broken', 'the connection broke')
    const response = await this.#real.send(request)
    if (fate === 'lost answer') throw new TransportError('broken', 'the connection broke')
    return response
  }

  async stream(request: TransportRequest): Promise<TransportStream> {
    this.#cluster.requests.push(request)
    const fate = this.#cluster.fate(request)
    if (fate !== 'answered') throw new TransportError('broken', 'the connection broke')
    const stream = await this.#real.stream(request)
    return { ...stream, body: cutAfter(stream.body, this.#cluster.streamBytes()) }
  }

  close(): Promise<void> {
    return this.#real.close()
  }
}

async function* cutAfter(body: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of body) {
    if (chunk.length >= left) {
      yield chunk.subarray(0, left)
      throw new TransportError('broken', 'the connection broke')
    }
    left -= chunk.length
    yield chunk
  }
}
