// HTTP between a client and the simulated nodes: requests and answers take their time, connections are refused or break half way.
// In place of the edge's framework stands a short page that reads targets and makes answers with the edge's own rules.
import { BATCH_MEDIA_TYPE, decodeBatchRequest, encodeBatchResponse } from '../../src/api/batch-codec.ts'
import type { BatchItem } from '../../src/api/batch-codec.ts'
import type { ClientCommand, CommandResult } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { TransportError } from '../../src/client/transport.ts'
import type { Transport, TransportRequest, TransportResponse, TransportStream } from '../../src/client/transport.ts'
import { answerBatch } from '../../src/http/batch-answers.ts'
import { entityTag, writeCondition } from '../../src/http/conditions.ts'
import { entryDocument } from '../../src/http/entry-json.ts'
import { problem, problemOf } from '../../src/http/problems.ts'
import { flag, integer, parseQuery, timeoutMs } from '../../src/http/query.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { ReadAnswer } from '../../src/node/facade.ts'
import type { QuorateNode } from '../../src/node/quorate-node.ts'
import type { SimulatedCluster } from './cluster.ts'
import { noteDeposed } from './direct-client.ts'
import { drawMs } from './links.ts'
import type { Host } from './host.ts'
import type { Member } from './member.ts'
import { SimulatedEdge } from './simulated-edge.ts'
import { SimulatedStream } from './simulated-stream.ts'

/** Of 1,000 answers, those that a breaking connection swallows. */
const BROKEN_PER_MILLE = 5

export class SimulatedHttp implements Transport {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #edges = new WeakMap<QuorateNode, SimulatedEdge>()
  /** Only these are within reach. */
  #among: readonly Member[]

  constructor(cluster: SimulatedCluster, prng: Prng) {
    this.#cluster = cluster
    this.#prng = prng
    this.#among = cluster.members
  }

  /** Whoever is not among these any more listens no longer. Streams have to be broken off by those who read them. */
  reachOnly(among: readonly Member[]): void {
    this.#among = among
  }

  #memberAt(endpoint: string): Member | undefined {
    return this.#among.find(({ name }) => `http://${name}` === endpoint)
  }

  #edge(node: QuorateNode): SimulatedEdge {
    let edge = this.#edges.get(node)
    if (edge === undefined) {
      edge = new SimulatedEdge(node, this.#cluster.world, this.#prng.fork('edge'))
      this.#edges.set(node, edge)
    }
    return edge
  }

  stream(request: TransportRequest): Promise<TransportStream> {
    const { world } = this.#cluster
    const member = this.#memberAt(request.endpoint)
    const host = member?.host
    return new Promise((resolve, reject) => {
      if (member === undefined || !member.isUp || host === undefined) {
        world.after(drawMs(this.#prng, 0.05, 0.5), () => reject(new TransportError('not-sent', 'nobody listens there')))
        return
      }
      const stream = new SimulatedStream(this.#cluster, this.#prng.fork('stream'), host, { resolve, reject })
      stream.open(request, (sink) => member.node && this.#edge(member.node).serve(request, sink))
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  send(request: TransportRequest): Promise<TransportResponse> {
    const { world, links } = this.#cluster
    const member = this.#memberAt(request.endpoint)
    const host = member?.host
    return new Promise((resolve, reject) => {
      let isOver = false
      const end = (settle: () => void): void => {
        if (isOver) return
        isOver = true
        settle()
      }
      const fail = (kind: 'not-sent' | 'broken', why: string): void => end(() => reject(new TransportError(kind, why)))
      request.cancellation.onCancel = () => fail('broken', 'the attempt was given up')
      if (member === undefined || !member.isUp || host === undefined) {
        world.after(drawMs(this.#prng, 0.05, 0.5), () => fail('not-sent', 'nobody listens there'))
        return
      }
      const isBroken = !links.isQuiet && this.#prng.chance(BROKEN_PER_MILLE, 1_000)
      const answer = (response: TransportResponse): void =>
        void world.after(drawMs(this.#prng, 0.05, 0.5), () =>
          isBroken ? fail('broken', 'the connection broke') : end(() => resolve(response)),
        )
      world.after(drawMs(this.#prng, 0.05, 0.5), () => {
        if (host.isAlive) host.input(() => this.#serve(member, host, request, answer))
        else fail('broken', 'the connection was reset')
      })
    })
  }

  /** What a linearizable read finds is held against what was acknowledged before it began, and against the model. */
  #observedRead(member: Member, host: Host, node: QuorateNode): QuorateNode['read'] {
    const { observer } = this.#cluster
    return (key, options, done) => {
      const floor = observer.revisionMax
      node.read(key, options, (outcome) => {
        if (host.isAlive && options.consistency === 'linearizable' && !(outcome instanceof QuorateError)) {
          observer.onRead(member.name, floor, outcome.revision)
          observer.oracle.onRead(member.name, key, outcome.entry, outcome.revision)
        }
        done(outcome)
      })
    }
  }

  #serve(member: Member, host: Host, request: TransportRequest, answer: (response: TransportResponse) => void): void {
    const { node } = member
    if (node === undefined) return
    const [path = '', query] = request.path.split('?')
    const reply = (response: TransportResponse): void => {
      if (host.isAlive) answer(response)
    }
    const read = this.#observedRead(member, host, node)
    if (path === '/v1/batch') {
      const items = decodeBatchRequest(Buffer.from(request.body ?? new Uint8Array()))
      for (const { op } of items) noteDeposed(this.#cluster, member, { kind: op === 'read' ? 'read' : 'write' })
      return serveBatch(node, read, items, query, reply)
    }
    noteDeposed(this.#cluster, member, { kind: request.method === 'GET' ? 'read' : 'write' })
    if (path === '/v1/kv' || path.startsWith('/v1/locks/')) return serveAtEdge(this.#edge(node), host, request, reply)
    const key = path.replace('/v1/kv/', '')
    if (request.method === 'GET') {
      const options = { consistency: 'linearizable', maxStaleMs: undefined, minRevision: undefined } as const
      const timeout = timeoutMs(parseQuery(query, ['timeout']))
      read(key, { ...options, timeoutMs: timeout }, (outcome) => {
        reply(readResponse(node, outcome))
      })
      return
    }
    const parameters = parseQuery(query, ['timeout', 'cas', 'prev'])
    const condition = writeCondition(request.headers, integer(parameters, 'cas'))
    const wantsPrevious = flag(parameters, 'prev')
    const command: ClientCommand =
      request.method === 'PUT'
        ? { op: 'put', key, value: request.body ?? new Uint8Array(), contentType: '', condition, wantsPrevious }
        : { op: 'delete', key, condition, wantsPrevious }
    node.write(command, timeoutMs(parameters), (outcome) => reply(writeResponse(node, outcome, wantsPrevious)))
  }
}

/** A caller that gives up hangs up, and so gives up its place in a queue. */
function serveAtEdge(
  edge: SimulatedEdge,
  host: Host,
  request: TransportRequest,
  reply: (response: TransportResponse) => void,
): void {
  let head = { status: 0, headers: {} }
  const chunks: Uint8Array[] = []
  const exchange = edge.serve(request, {
    onHead: (status, headers) => (head = { status, headers }),
    onChunk: (bytes) => chunks.push(bytes) > 0,
    onEnd: () => reply({ ...head, body: Buffer.concat(chunks) }),
  })
  const { cancellation } = request
  const fail = cancellation.onCancel
  cancellation.onCancel = () => {
    fail?.()
    host.input(() => exchange.hangUp())
  }
}

/** By the code that serves batches over HTTP. */
function serveBatch(
  node: QuorateNode,
  read: QuorateNode['read'],
  items: readonly BatchItem[],
  query: string | undefined,
  reply: (response: TransportResponse) => void,
): void {
  const timeout = timeoutMs(parseQuery(query, ['timeout']))
  const observed = {
    read,
    write: node.write.bind(node),
    leaseTtlMs: node.leaseTtlMs.bind(node),
    vitals: node.vitals.bind(node),
  }
  answerBatch(observed, items, timeout, (answers, revision) => {
    reply(respond(node, 200, encodeBatchResponse(answers), revision, { 'content-type': BATCH_MEDIA_TYPE }))
  })
}

type Headers = Readonly<Record<string, string>>

function respond(
  node: QuorateNode,
  status: number,
  body: Uint8Array,
  revision?: number,
  more: Headers = {},
): TransportResponse {
  const vitals = node.vitals()
  const headers: Record<string, string> = {
    'quorate-revision': String(revision ?? vitals.revision),
    'quorate-term': String(vitals.term),
    'quorate-node': vitals.name,
    ...more,
  }
  if (vitals.leaderName !== undefined) headers['quorate-leader'] = vitals.leaderName
  return { status, headers, body }
}

const json = (
  node: QuorateNode,
  status: number,
  document: object,
  revision: number,
  more: Headers = {},
): TransportResponse =>
  respond(node, status, Buffer.from(JSON.stringify(document)), revision, {
    'content-type': 'application/json',
    ...more,
  })

function refuse(node: QuorateNode, refusal: { status: number; body: string }, revision?: number): TransportResponse {
  const type = { 'content-type': 'application/problem+json' }
  return respond(node, refusal.status, Buffer.from(refusal.body), revision, type)
}

function readResponse(node: QuorateNode, outcome: ReadAnswer | QuorateError): TransportResponse {
  if (outcome instanceof QuorateError) return refuse(node, problemOf(outcome, true))
  const { entry, revision } = outcome
  if (entry === undefined) return refuse(node, problem('KEY_NOT_FOUND', 'The key does not exist.'), revision)
  return respond(node, 200, entry.value, revision, {
    etag: entityTag(entry.modRevision),
    'quorate-create-revision': String(entry.createRevision),
    'quorate-key-version': String(entry.version),
    'content-type': entry.contentType === '' ? 'application/octet-stream' : entry.contentType,
  })
}

function writeResponse(
  node: QuorateNode,
  outcome: CommandResult | QuorateError,
  wantsPrevious: boolean,
): TransportResponse {
  if (outcome instanceof QuorateError) return refuse(node, problemOf(outcome, false))
  if (outcome.kind === 'precondition-failed') {
    const details = { currentRevision: outcome.currentRevision }
    return refuse(node, problem('PRECONDITION_FAILED', 'The condition does not hold.', { details }), outcome.revision)
  }
  if (outcome.kind !== 'put' && outcome.kind !== 'deleted') throw new Error(`a write was answered as ${outcome.kind}`)
  const { previous, revision } = outcome
  const prev = wantsPrevious ? { prev: previous === undefined ? null : entryDocument(previous) } : {}
  if (outcome.kind === 'deleted') return json(node, 200, { deleted: outcome.count, revision, ...prev }, revision)
  const status = outcome.isCreated ? 201 : 200
  const etag = { etag: entityTag(revision) }
  return wantsPrevious
    ? json(node, status, prev, revision, etag)
    : respond(node, status, Buffer.alloc(0), revision, etag)
}
