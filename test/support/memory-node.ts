// A node in memory: the facade with real semantics over a Map, without consensus. What the HTTP edge and the clients are
// tested against; tests can also hold its answers back, fail them or take its leader away.
// Puts, deletions, additions, listings, the past and watches are real; what leases, locks and transactions do is scripted.
import type { ClientCommand, CommandResult, KeyEntry, LeaseId, LockCommand, LockKind } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { isInRange } from '../../src/api/ranges.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../../src/api/status.ts'
import type { KeyString } from '../../src/lib/bytes.ts'
import type {
  EntryStream,
  LeaseInfo,
  ListAnswer,
  ListedItem,
  ListRequest,
  LockInfo,
  NodeFacade,
  ReadAnswer,
  ReadOptions,
  SideFacts,
  Vitals,
  WatchEvent,
  WatchHandle,
  WatchRequest,
  WatchSink,
} from '../../src/node/facade.ts'
import { holds, restOf, rollUp } from './memory-listing.ts'
import type { MemoryAcquisition, MemoryObservation, MemoryWatch } from './memory-calls.ts'

type Done<T> = (outcome: T | QuorateError) => void

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
  /** Every change, for the past and for watches that begin there. */
  readonly history: WatchEvent[] = []
  compactRevision = 0
  readonly leaseInfos: LeaseInfo[] = []
  readonly locks = new Map<string, LockInfo>()
  readonly inspections: ReadOptions[] = []
  readonly lists: { readonly request: ListRequest; readonly options: ReadOptions }[] = []
  readonly watches: MemoryWatch[] = []
  readonly acquisitions: MemoryAcquisition[] = []
  readonly observations: MemoryObservation[] = []
  /** Answers commands before the semantics here do. */
  script: (command: ClientCommand) => CommandResult | QuorateError | undefined = () => undefined
  /** Items of one page of a stream. */
  streamPage = 2
  openStreams = 0
  /** Pages that streams were asked for. */
  pagesTaken = 0
  /** Fails the page with this number of every stream. */
  failAtPage = Infinity
  /** Watches say nothing by themselves: the test does. */
  isWatchScripted = false
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

  readPast(key: KeyString, revision: number, options: ReadOptions, done: Done<ReadAnswer>): void {
    this.reads.push({ key, options })
    const refusal = this.failure ?? this.#refusePast(revision)
    done(refusal ?? { ...this.#fresh(options), entry: this.#at(revision).get(key) })
  }

  list(request: ListRequest, options: ReadOptions, done: Done<ListAnswer>): void {
    this.lists.push({ request, options })
    const listedRevision = request.revision ?? this.revision
    const refusal = this.failure ?? this.#refusePast(listedRevision)
    if (refusal !== undefined) {
      done(refusal)
      return
    }
    const all = this.#items(request, listedRevision)
    const items = request.countOnly ? [] : all.slice(0, request.limit)
    const count = request.countOnly ? all.length : items.length
    const next = all[items.length]
    const rest = request.countOnly || next === undefined ? undefined : restOf(request, items.at(-1))
    done({ ...this.#fresh(options), listedRevision, items, count, rest })
  }

  stream(request: ListRequest, options: ReadOptions, done: Done<EntryStream>): void {
    this.lists.push({ request, options })
    const listedRevision = request.revision ?? this.revision
    const refusal = this.failure ?? this.#refusePast(listedRevision)
    if (refusal !== undefined) {
      done(refusal)
      return
    }
    const all = this.#items(request, listedRevision)
    let page = 0
    this.openStreams++
    done({
      ...this.#fresh(options),
      listedRevision,
      next: () => {
        this.pagesTaken++
        if (page === this.failAtPage) return Promise.reject(new QuorateError('INTERNAL', 'The page cannot be read.'))
        const items = all.slice(page * this.streamPage, (page + 1) * this.streamPage)
        page++
        return Promise.resolve(items.length === 0 ? undefined : items)
      },
      close: () => {
        this.openStreams--
        return Promise.resolve()
      },
    })
  }

  inspect<T>(
    options: ReadOptions,
    look: (facts: SideFacts) => T,
    done: Done<{ revision: number; stalenessMs: number | undefined; found: T }>,
  ): void {
    this.inspections.push(options)
    const facts: SideFacts = {
      leases: (after, max) =>
        this.leaseInfos
          .filter(({ lease }) => lease > after)
          .slice(0, max)
          .map((info) => Object.assign({}, info, { keyCount: info.keys.length })),
      lease: (id) => this.leaseInfos.find(({ lease }) => lease === id),
      lock: (kind, name) => this.locks.get(`${kind}/${name}`) ?? { holder: undefined, queue: [] },
    }
    done(this.failure ?? { ...this.#fresh(options), found: look(facts) })
  }

  leaseTtlMs(lease: LeaseId): number | undefined {
    return this.leaseInfos.find((info) => info.lease === lease)?.remainingMs
  }

  watch(request: WatchRequest, sink: WatchSink): WatchHandle {
    const watch: MemoryWatch = { request, sink, resumed: 0, isCancelled: false }
    this.watches.push(watch)
    if (this.failure !== undefined) sink.onFailure(this.failure)
    else if (!this.isWatchScripted) this.#begin(watch)
    return {
      resume: () => void watch.resumed++,
      cancel: () => void (watch.isCancelled = true),
    }
  }

  acquire(command: LockCommand, timeoutMs: number, done: Done<CommandResult>): { abandon(): void } {
    const acquisition: MemoryAcquisition = { command, timeoutMs, done, isAbandoned: false }
    this.acquisitions.push(acquisition)
    const outcome = this.failure ?? this.script(command)
    if (outcome !== undefined) setImmediate(done, outcome)
    return { abandon: () => void (acquisition.isAbandoned = true) }
  }

  observe(kind: LockKind, name: KeyString, onHolder: MemoryObservation['onHolder']): { cancel(): void } {
    const observation: MemoryObservation = { kind, name, onHolder, isCancelled: false }
    this.observations.push(observation)
    onHolder(this.locks.get(`${kind}/${name}`)?.holder, this.revision)
    return { cancel: () => void (observation.isCancelled = true) }
  }

  digest(): { digest: string; appliedIndex: number; revision: number; version: number } {
    return { digest: '00000000000000cd', appliedIndex: 7, revision: this.revision, version: 1 }
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

  #apply(command: ClientCommand): CommandResult | QuorateError {
    const scripted = this.script(command)
    if (scripted !== undefined) return scripted
    const { op } = command
    if (op === 'put' || op === 'delete' || op === 'add') return this.#applyOne(command)
    if (op === 'delete-range') {
      const keys = [...this.entries.keys()].filter((key) => isInRange(command.range, key))
      if (keys.length > 0) this.revision++
      for (const key of keys.sort()) this.#remove(key)
      this.#tell()
      return { kind: 'deleted', revision: this.revision, count: keys.length, previous: undefined }
    }
    if (op !== 'compact') return new QuorateError('INTERNAL', `The node in memory has no script for ${op}.`)
    this.compactRevision = command.revision
    return { kind: 'compacted', revision: command.revision }
  }

  #applyOne(command: ClientCommand & { op: 'put' | 'delete' | 'add' }): CommandResult {
    const previous = this.entries.get(command.key)
    if (!holds(command.condition, previous))
      return {
        kind: 'precondition-failed',
        revision: this.revision,
        currentRevision: previous?.modRevision ?? 0,
      }
    if (command.op === 'delete') {
      const count = previous === undefined ? 0 : 1
      this.revision += count
      if (count === 1) this.#remove(command.key)
      this.#tell()
      return { kind: 'deleted', revision: this.revision, count, previous: command.wantsPrevious ? previous : undefined }
    }
    const sum = command.op === 'add' ? BigInt(Buffer.from(previous?.value ?? []).toString() || '0') + command.by : 0n
    this.revision++
    const entry: KeyEntry = {
      key: command.key,
      value: command.op === 'add' ? Buffer.from(String(sum)) : Uint8Array.from(command.value),
      contentType: command.op === 'add' ? (previous?.contentType ?? '') : command.contentType,
      createRevision: previous?.createRevision ?? this.revision,
      modRevision: this.revision,
      version: (previous?.version ?? 0) + 1,
      lease: command.op === 'put' ? (command.lease ?? '') : (previous?.lease ?? ''),
    }
    this.entries.set(command.key, entry)
    if (!this.isSilent) this.history.push({ kind: 'put', entry, previous })
    this.#tell()
    if (command.op === 'add') return { kind: 'added', revision: this.revision, value: sum }
    const shown = command.wantsPrevious ? previous : undefined
    return { kind: 'put', revision: this.revision, isCreated: previous === undefined, previous: shown }
  }

  #remove(key: KeyString): void {
    const previous = this.entries.get(key)
    this.entries.delete(key)
    const gone = { contentType: '', createRevision: 0, version: 0, lease: '', value: new Uint8Array(0) }
    this.history.push({ kind: 'delete', entry: { ...gone, key, modRevision: this.revision }, previous })
  }

  #fresh(options: ReadOptions): { revision: number; stalenessMs: number | undefined } {
    return { revision: this.revision, stalenessMs: options.consistency === 'stale' ? this.stalenessMs : undefined }
  }

  #refusePast(revision: number): QuorateError | undefined {
    const { compactRevision } = this
    if (revision > this.revision) return new QuorateError('BAD_PARAMETER', 'That revision is in the future.')
    if (revision < compactRevision)
      return new QuorateError('COMPACTED', 'That revision has been compacted.', { details: { compactRevision } })
    return undefined
  }

  #at(revision: number): Map<KeyString, KeyEntry> {
    if (revision === this.revision) return this.entries
    const entries = new Map<KeyString, KeyEntry>()
    for (const { kind, entry } of this.history) {
      if (entry.modRevision > revision) break
      if (kind === 'put') entries.set(entry.key, entry)
      else entries.delete(entry.key)
    }
    return entries
  }

  #items(request: ListRequest, revision: number): ListedItem[] {
    const entries = [...this.#at(revision).values()].filter(({ key }) => isInRange(request.range, key))
    entries.sort((a, b) => (a.key < b.key ? -1 : 1))
    if (request.reverse) entries.reverse()
    return rollUp(entries, request.separator)
  }

  // ----------------------------------------------------------------------------------------------------------- watches

  #begin({ request, sink }: MemoryWatch): void {
    const { fromRevision, wantsInitial, range } = request
    if (fromRevision !== undefined && fromRevision < this.compactRevision) {
      sink.onCompacted(this.compactRevision)
      return
    }
    if (wantsInitial) {
      sink.onInitial([...this.entries.values()].filter(({ key }) => isInRange(range, key)))
      sink.onSync(this.revision)
      return
    }
    for (let at = fromRevision ?? Infinity; at <= this.revision; at++) this.#deliver(at, { request, sink })
    sink.onProgress(this.revision)
  }

  #tell(): void {
    if (this.isWatchScripted) return
    for (const watch of this.watches) if (!watch.isCancelled) this.#deliver(this.revision, watch)
  }

  #deliver(revision: number, { request, sink }: Pick<MemoryWatch, 'request' | 'sink'>): void {
    if (revision < (request.fromRevision ?? 0)) return
    const events = this.history
      .filter(({ entry }) => entry.modRevision === revision && isInRange(request.range, entry.key))
      .filter(({ kind }) => request.only === undefined || request.only === kind)
      .map((event) => (request.wantsPrevious ? event : withoutPrevious(event)))
    if (events.length > 0) sink.onEvents(revision, events)
  }
}

const withoutPrevious = ({ kind, entry }: WatchEvent): WatchEvent => ({ kind, entry, previous: undefined })
