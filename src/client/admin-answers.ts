// Reads what nodes say of themselves and of the cluster. Each member is checked, so that a table of ours shows no surprises.
import type { ClusterStatus, MemberStatus, NodeRole, NodeStatus } from '../api/status.ts'
import { expectStatus, FailedAnswer, jsonObject, problem, unexpected } from './answers.ts'
import { isCount, isObject } from './json.ts'
import type { JsonObject } from './json.ts'
import type { TransportResponse } from './transport.ts'

export interface VersionInfo {
  /** The release, such as 0.1.0. */
  readonly version: string
  /** Of Node.js, such as v20.20.2. */
  readonly node: string
  /** Of the HTTP interface. */
  readonly api: number
}

export function parseStatus(response: TransportResponse): NodeStatus {
  expectStatus(response, 200)
  const read = new Members(response, jsonObject(response))
  const leader = read.object('leader', true)
  return {
    name: read.text('name'),
    id: read.text('id'),
    clusterId: read.text('clusterId'),
    role: read.role('role')!,
    term: read.count('term'),
    leader: leader && { name: leader.text('name'), url: leader.text('url') },
    commitIndex: read.count('commitIndex'),
    appliedIndex: read.count('appliedIndex'),
    revision: read.count('revision'),
    logBytes: read.count('logBytes'),
    dbBytes: read.count('dbBytes'),
    pid: read.count('pid'),
    version: read.text('version'),
    uptimeMs: read.count('uptimeMs'),
  }
}

export function parseCluster(response: TransportResponse): ClusterStatus {
  expectStatus(response, 200)
  const read = new Members(response, jsonObject(response))
  return { clusterId: read.text('clusterId'), term: read.count('term'), members: read.list('members').map(parseMember) }
}

function parseMember(read: Members): MemberStatus {
  const kind = read.text('kind')
  if (kind !== 'voter' && kind !== 'learner') throw read.wrong('kind')
  return {
    name: read.text('name'),
    id: read.text('id'),
    url: read.maybeText('url'),
    peer: read.text('peer'),
    kind,
    role: read.role('role', true),
    matchIndex: read.maybeCount('matchIndex'),
    lagEntries: read.maybeCount('lagEntries'),
    reachable: read.maybeFlag('reachable'),
    version: read.maybeText('version'),
  }
}

export function parseVersion(response: TransportResponse): VersionInfo {
  expectStatus(response, 200)
  const read = new Members(response, jsonObject(response))
  return { version: read.text('version'), node: read.text('node'), api: read.count('api') }
}

export function parseTransfer(response: TransportResponse): void {
  // Whatever a success says, leadership is on its way.
  if (response.status < 200 || response.status >= 300) throw new FailedAnswer(problem(response))
  if (response.headers['quorate-node'] === undefined) throw unexpected(response, 'the header quorate-node is missing')
}

const ROLES: readonly string[] = ['leader', 'follower', 'candidate', 'pre-candidate', 'learner'] satisfies NodeRole[]

/** The members of one JSON object; the first that is not what it must be ends the reading. */
class Members {
  readonly #response: TransportResponse
  readonly #body: JsonObject

  constructor(response: TransportResponse, body: JsonObject) {
    this.#response = response
    this.#body = body
  }

  wrong(name: string): FailedAnswer {
    return unexpected(this.#response, `its "${name}" is missing or of the wrong kind`)
  }

  text(name: string): string {
    const value = this.#body[name]
    if (typeof value !== 'string') throw this.wrong(name)
    return value
  }

  maybeText(name: string): string | null {
    return this.#isAbsent(name) ? null : this.text(name)
  }

  count(name: string): number {
    const value = this.#body[name]
    if (!isCount(value)) throw this.wrong(name)
    return value
  }

  maybeCount(name: string): number | null {
    return this.#isAbsent(name) ? null : this.count(name)
  }

  maybeFlag(name: string): boolean | null {
    if (this.#isAbsent(name)) return null
    const value = this.#body[name]
    if (typeof value !== 'boolean') throw this.wrong(name)
    return value
  }

  role(name: string, mayBeAbsent = false): NodeRole | null {
    if (mayBeAbsent && this.#isAbsent(name)) return null
    const value = this.text(name)
    if (!ROLES.includes(value)) throw this.wrong(name)
    return value as NodeRole
  }

  object(name: string, mayBeAbsent = false): Members | null {
    if (mayBeAbsent && this.#isAbsent(name)) return null
    const value = this.#body[name]
    if (!isObject(value)) throw this.wrong(name)
    return new Members(this.#response, value)
  }

  list(name: string): Members[] {
    const value = this.#body[name]
    if (!Array.isArray(value)) throw this.wrong(name)
    return (value as readonly unknown[]).map((item) => {
      if (!isObject(item)) throw this.wrong(name)
      return new Members(this.#response, item)
    })
  }

  #isAbsent(name: string): boolean {
    return this.#body[name] === null || this.#body[name] === undefined
  }
}
