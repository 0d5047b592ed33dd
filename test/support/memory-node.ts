// A node in memory: the facade with real semantics over a Map, without consensus. What the HTTP edge and the clients are
// tested against; tests can also hold its answers back, fail them or take its leader away.
import type { ClientCommand, CommandResult, Condition, KeyEntry } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../../src/api/status.ts'
import type { KeyString } from '../../src/lib/bytes.ts'
import type { NodeFacade, ReadAnswer, ReadOptions, Vitals } from '../../src/node/facade.ts'

export class MemoryNode implements NodeFacade {
  readonly entries = new Map<KeyString, KeyEntry>()
  /** What was asked, in order, for tests to look at. */
  readonly writes: { readonly command: ClientCommand; readonly timeoutMs: number }[] = []
  readonly reads: { readonly key: KeyString; readonly options: ReadOptions }[] = []
  readonly transfers: (string | undefined)[] = []
  revision = 1
  term = 3
  leaderName: string | undefined = 'n1'
  stalenessMs: number | undefined = 0
  isReady = true
  /** What every read, write, cluster and transfer answers instead. */
  failure: QuorateError | undefined
  /** While true, answers wait for `release`. */
  isHolding = false
  /** Keeps no record of what was asked: for measuring. */
  isSilent = false
  readonly #held: (() => void)[] = []

  vitals(): Vitals {
    return { name: 'n1', revision: this.revision, term: this.term, leaderName: this.leaderName }
  }

  get held(): number {
    return this.#held.length
  }

  release(): void {
    this.isHolding = false
    for (const answer of this.#held.splice(0)) answer()
  }

  write(command: ClientCommand, timeoutMs: number, done: (outcome: CommandResult | QuorateError) => void): void {
    if (!this.isSilent) this.writes.push({ command, timeoutMs })
    this.#soon(() => done(this.failure ?? this.#apply(command)))
  }

  read(key: KeyString, options: ReadOptions, done: (outcome: ReadAnswer | QuorateError) => void): void {
    if (!this.isSilent) this.reads.push({ key, options })
    const answer = (): void => done(this.failure ?? this.#answer(key, options))
    if (this.isHolding) this.#held.push(answer)
    else answer()
  }

  status(): NodeStatus {
    return {
      name: 'n1',
      id: '0000000000000001',
      clusterId: '00000000000000aa',
      role: 'leader',
      term: this.term,
      leader: this.leaderName === undefined ? null : { name: this.leaderName, url: 'http://127.0.0.1:7700' },
      commitIndex: this.revision,
      appliedIndex: this.revision,
      revision: this.revision,
      logBytes: 0,
      dbBytes: 0,
      pid: 1,
      version: '0.0.0',
      uptimeMs: 5,
    }
  }

  cluster(): Promise<ClusterStatus> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    const unknown = { matchIndex: null, lagEntries: null, reachable: null, version: null, role: null, url: null }
    return Promise.resolve({
      clusterId: '00000000000000aa',
      term: this.term,
      members: [
        { ...unknown, name: 'n1', id: '0000000000000001', peer: '127.0.0.1:7701', kind: 'voter', role: 'leader' },
        { ...unknown, name: 'n2', id: '0000000000000002', peer: '127.0.0.1:7711', kind: 'voter' },
      ],
    })
  }

  transferLeadership(to: string | undefined): Promise<void> {
    this.transfers.push(to)
    if (this.failure !== undefined) return Promise.reject(this.failure)
    if (to !== undefined && to !== 'n1' && to !== 'n2')
      return Promise.reject(new QuorateError('MEMBER_NOT_FOUND', `There is no member named ${to}.`))
    this.leaderName = to ?? 'n2'
    return Promise.resolve()
  }

  liveness(): HealthReport {
    return { ok: true, checks: { loop: 'ok' } }
  }

  readiness(): HealthReport {
    return { ok: this.isReady, checks: { leader: this.isReady ? 'ok' : 'there is no leader', disk: 'ok' } }
  }

  #soon(answer: () => void): void {
    if (this.isHolding) this.#held.push(answer)
    else setImmediate(answer)
  }

  #answer(key: KeyString, options: ReadOptions): ReadAnswer | QuorateError {
    if (options.minRevision !== undefined && options.minRevision > this.revision)
      return new QuorateError('TIMEOUT', 'This node has not applied that revision in time.')
    const isStale = options.consistency === 'stale'
    if (isStale && options.maxStaleMs !== undefined && (this.stalenessMs ?? Infinity) > options.maxStaleMs)
      return new QuorateError('TOO_STALE', 'This node is further behind than the request allows.')
    return {
      entry: this.entries.get(key),
      revision: this.revision,
      stalenessMs: isStale ? this.stalenessMs : undefined,
    }
  }

  #apply(command: ClientCommand): CommandResult {
    const previous = this.entries.get(command.key)
    if (!holds(command.condition, previous))
      return {
        kind: 'precondition-failed',
        revision: this.revision,
        currentRevision: previous?.modRevision ?? 0,
      }
    const shown = command.wantsPrevious ? previous : undefined
    if (command.op === 'delete') {
      const count = this.entries.delete(command.key) ? 1 : 0
      this.revision += count
      return { kind: 'deleted', revision: this.revision, count, previous: shown }
    }
    this.revision++
    this.entries.set(command.key, {
      key: command.key,
      value: Uint8Array.from(command.value),
      contentType: command.contentType,
      createRevision: previous?.createRevision ?? this.revision,
      modRevision: this.revision,
      version: (previous?.version ?? 0) + 1,
      lease: '',
    })
    return { kind: 'put', revision: this.revision, isCreated: previous === undefined, previous: shown }
  }
}

function holds(condition: Condition, entry: KeyEntry | undefined): boolean {
  if (condition.kind === 'revision') return condition.revision === (entry?.modRevision ?? 0)
  return condition.kind === 'none' || (condition.kind === 'exists' && entry !== undefined)
}
