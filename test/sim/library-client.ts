// A client that uses the library of src/client, whole: its choice of endpoints, its retries, its deadline and its outcomes, over a
// simulated HTTP. What the library tells its caller is what the history takes for the truth.
import { Client } from '../../src/client/client.ts'
import { ClientError } from '../../src/client/client-error.ts'
import type { Entry } from '../../src/client/entry.ts'
import type { WriteConditions } from '../../src/client/options.ts'
import type { ClientCommand, CommandResult, Condition } from '../../src/api/commands.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { valueText } from '../linearizability/models/quorate-types.ts'
import type { QuorateEntry, QuorateOutput } from '../linearizability/models/quorate-types.ts'
import type { SimulatedCluster } from './cluster.ts'
import { SimulatedHttp } from './simulated-http.ts'
import type { Caller, Reply, Request } from './workload.ts'

export class LibraryClient implements Caller {
  readonly #client: Client
  readonly #cluster: SimulatedCluster

  constructor(cluster: SimulatedCluster, prng: Prng) {
    this.#cluster = cluster
    this.#client = simulatedClient(cluster, prng, new SimulatedHttp(cluster, prng.fork('http')))
  }

  ask(request: Request, done: (reply: Reply) => void): void {
    void this.#askLibrary(request, done)
  }

  async #askLibrary(request: Request, done: (reply: Reply) => void): Promise<void> {
    let reply: Reply
    try {
      if (request.kind === 'command')
        reply = { kind: 'result', result: await this.#command(request.command, request.timeoutMs) }
      else reply = { kind: 'answered', output: await this.#call(request) }
    } catch (error) {
      if (!(error instanceof ClientError)) {
        this.#cluster.world.violate(`the client rejects with what is no ClientError: ${String(error)}`)
        return
      }
      reply = replyOf(error)
    }
    done(reply)
  }

  async #command(command: ClientCommand, timeoutMs: number): Promise<CommandResult> {
    if (command.op === 'add') {
      const { value, revision } = await this.#client.add(command.key, command.by, { timeoutMs })
      return { kind: 'added', value, revision }
    }
    if (command.op !== 'delete-range') throw new Error(`the library is not asked for ${command.op}`)
    const { from, to } = command.range
    const { deleted, revision } = await this.#client.deleteRange({
      from,
      ...(to === undefined ? {} : { to }),
      timeoutMs,
    })
    return { kind: 'deleted', count: deleted, revision, previous: undefined }
  }

  async #call(request: Exclude<Request, { kind: 'command' }>): Promise<QuorateOutput> {
    const { timeoutMs } = request
    if (request.kind === 'read') {
      const entry = await this.#client.get(request.key, { timeoutMs })
      return { kind: 'got', entry: entry && entryOf(entry), revision: entry?.storeRevision }
    }
    const { command } = request
    const options = { timeoutMs, prev: command.wantsPrevious, ...conditionsOf(command.condition) }
    const previousOf = (entry: Entry | undefined): { previous?: QuorateEntry | null } =>
      command.wantsPrevious ? { previous: entry === undefined ? null : entryOf(entry) } : {}
    if (command.op === 'put') {
      const { revision, created, previous } = await this.#client.put(command.key, command.value, options)
      return { kind: 'put', revision, isCreated: created, ...previousOf(previous) }
    }
    const { deleted, revision, previous } = await this.#client.delete(command.key, options)
    return { kind: 'deleted', count: deleted ? 1 : 0, revision, ...previousOf(previous) }
  }
}

export function simulatedClient(cluster: SimulatedCluster, prng: Prng, transport: SimulatedHttp): Client {
  const { world, members } = cluster
  const clock = {
    now: () => world.nowMs,
    after: (delayMs: number, callback: () => void) => {
      // A microsecond more, so that the time is certainly over: fractions of one are cut off.
      const planned = world.after(delayMs + 0.001, callback)
      return { cancel: () => void (planned.callback = undefined) }
    },
  }
  const endpoints = members.map(({ name }) => `http://${name}`)
  const readFrom = prng.chance(1, 2) ? ('leader' as const) : ('any' as const)
  return new Client(
    { endpoints, sessions: prng.chance(1, 2), readFrom },
    { transport, clock, prng: prng.fork('client') },
  )
}

function replyOf(error: ClientError): Reply {
  const currentRevision = error.details['currentRevision']
  if (error.outcome === 'unknown') return { kind: 'unknown' }
  if (error.code === 'PRECONDITION_FAILED' && typeof currentRevision === 'number')
    return { kind: 'answered', output: { kind: 'precondition-failed', currentRevision, revision: undefined } }
  return { kind: 'not-applied', code: error.code }
}

function conditionsOf(condition: Condition): WriteConditions {
  if (condition.kind === 'revision') return { ifRevision: condition.revision }
  return condition.kind === 'exists' ? { ifExists: true } : {}
}

function entryOf(entry: Entry): QuorateEntry {
  const { createRevision, revision: modRevision, version } = entry
  const contentType = entry.contentType === 'application/octet-stream' ? '' : entry.contentType
  return { value: valueText(entry.value), contentType, createRevision, modRevision, version }
}
