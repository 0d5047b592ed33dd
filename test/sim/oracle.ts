// What the log says must have happened, by a second state machine that is obvious and slow (test/kv/model.ts). Each committed entry
// goes through it once, when the first node applies it; what that node changed must be the same, and so must every answer that a
// client gets, every read, and every event of a watch. The log is the order: an answer must be that of an entry of its own time.
import { encodeCommand, decodeEntry } from '../../src/api/command-codec.ts'
import type { Command, CommandResult, KeyEntry } from '../../src/api/commands.ts'
import { encodeResult } from '../../src/api/result-codec.ts'
import type { Change, KvMeta } from '../../src/kv/types.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import type { Entry, LogIndex, Term } from '../../src/raft/index.ts'
import { Model } from '../kv/model.ts'
import type { ModelChange } from '../kv/model-state.ts'
import type { LoggedChange } from '../linearizability/models/quorate-order.ts'
import { entryOf, outputOfResult, valueText } from '../linearizability/models/quorate-types.ts'
import type { QuorateOutput } from '../linearizability/models/quorate-types.ts'
import { SideWitness } from './side-witness.ts'
import type { Situations } from './situations.ts'
import type { World } from './world.ts'

/** One appearance of a command in the log. */
export interface Application {
  readonly index: LogIndex
  readonly term: Term
  /** Of the first one, if this was a repeat. */
  readonly result: CommandResult
  readonly isReplay: boolean
}

/** What was not asked for as a write of one key that the register model knows. It happened when it was first applied. */
export type OnOtherChange = (change: ModelChange, before: KeyEntry | undefined) => void

const NONE: readonly ModelChange[] = []

/** Nobody asks for one of these twice in the same words, but as a repeat that must be known as such. */
const UNIQUE: ReadonlySet<Command['op']> = new Set(['put', 'txn', 'add', 'delete-range', 'lock', 'lease-grant'])

/** But for a lease outside of a session: its id makes a second grant harmless, and when the first one has ended it is granted again. */
const isUnique = (command: Command): boolean =>
  UNIQUE.has(command.op) && !(command.op === 'lease-grant' && command.once === undefined)

export class Oracle {
  readonly model = new Model()
  onOtherChange: OnOtherChange = () => {}
  readonly #world: World
  readonly #situations: Situations
  readonly #side: SideWitness
  /** By `index/term`: entries that nobody has applied yet. */
  readonly #entries = new Map<string, Entry>()
  readonly #applications = new Map<string, Application[]>()
  readonly #refused = new Map<string, string>()
  readonly #changes: (readonly ModelChange[])[] = []

  constructor(world: World, situations: Situations) {
    this.#world = world
    this.#situations = situations
    this.#side = new SideWitness(world, situations, this.model)
  }

  onEntry(entry: Entry): void {
    this.#entries.set(`${entry.index}/${entry.term}`, entry)
  }

  /** The first node has applied it, and says that it changed so much. */
  onFirstApplied(name: string, meta: KvMeta, changed: readonly Change[] | undefined): void {
    const { index, term } = meta
    const entry = this.#entries.get(`${index}/${term}`)
    if (entry === undefined) return
    this.#entries.delete(`${index}/${term}`)
    const { model } = this
    const before = model.live
    model.state.changes = []
    const batch = entry.kind === 'normal' ? decodeEntry(entry.data) : { clusterTimeMs: 0, groups: [] }
    const commands = batch.groups.flatMap((group) => group.commands)
    this.#side.beforeEntry(batch.clusterTimeMs)
    model.entry([], batch.clusterTimeMs)
    const others = new Set<ModelChange>()
    for (const command of commands) {
      const from = model.state.changes.length
      this.#side.before(command)
      const result = model.execute(command)
      this.#side.after(command, result)
      this.#note(command, result, { index, term })
      if (!isOfRegister(command)) for (const change of model.state.changes.slice(from)) others.add(change)
    }
    this.#compare(name, meta, changed)
    this.#publish(before, others)
  }

  #note(command: Command, result: CommandResult, at: { index: LogIndex; term: Term }): void {
    const key = identityOf(command)
    const first = result.kind === 'replayed' ? result.result : result
    const application = { ...at, result: first, isReplay: result.kind === 'replayed' }
    const known = this.#applications.get(key)
    if (known === undefined) this.#applications.set(key, [application])
    else known.push(application)
    const before = known?.find((other) => other !== application && !other.isReplay && hasEffect(other.result))
    if (before !== undefined && !application.isReplay && hasEffect(first) && isUnique(command))
      this.#world.violate(`entry ${at.index} applies a ${command.op} that entry ${before.index} applied before`)
    if (application.isReplay) {
      this.#situations.met('replay')
      if (known !== undefined && known[0]!.term < at.term) this.#situations.met('replay-after-election')
    }
    const refused = this.#refused.get(key)
    if (refused !== undefined && hasEffect(first))
      this.#world.violate(
        `a ${command.op} is applied at ${at.index}, and its caller was told that it is not: ${refused}`,
      )
  }

  #compare(name: string, meta: KvMeta, changed: readonly Change[] | undefined): void {
    const { model } = this
    const { state } = model
    const said = [meta.revision, meta.compactRevision, meta.lastToken, meta.liveKeys].join(' ')
    const wanted = [state.revision, state.compactRevision, state.lastToken, state.live.size].join(' ')
    if (said !== wanted)
      this.#world.violate(
        `${name} is at ${said} after entry ${meta.index}, and the model at ${wanted} (revision, compacted, token, keys)`,
      )
    if (changed === undefined) return
    const theirs = changed.map(({ record }) => `${record.at.revision}.${record.at.sub} ${record.key} ${textOf(record)}`)
    const ours = state.changes.map(
      ({ key, revision, sub, entry }) => `${revision}.${sub} ${key} ${textOf(entry ?? { lease: '', version: 0 })}`,
    )
    if (theirs.join('\n') !== ours.join('\n'))
      this.#world.violate(`${name} makes of entry ${meta.index}: ${theirs.join(', ')}; the model: ${ours.join(', ')}`)
  }

  #publish(before: ReadonlyMap<string, KeyEntry>, others: ReadonlySet<ModelChange>): void {
    let { changes } = this.model.state
    const last = new Map<string, KeyEntry | undefined>()
    for (const change of changes) {
      const previous = last.has(change.key) ? last.get(change.key) : before.get(change.key)
      if (others.has(change)) this.onOtherChange(change, previous)
      last.set(change.key, change.entry)
    }
    while (changes.length > 0) {
      const { revision } = changes[0]!
      this.#changes[revision] = changes.filter((change) => change.revision === revision)
      changes = changes.filter((change) => change.revision !== revision)
    }
  }

  /** In the order of their making. */
  changesOf(revision: number): readonly ModelChange[] {
    return this.#changes[revision] ?? NONE
  }

  /** All changes, in the order of the log. */
  logged(): LoggedChange[] {
    return this.#changes.flatMap((changes) =>
      changes.map(({ key, revision, entry }) => ({ key, revision, value: entry && valueText(entry.value) })),
    )
  }

  // ------------------------------------------------------------------------------------------- what clients were told

  /** `after`: entries up to here were applied when the call began. */
  onResult(command: Command, result: CommandResult, after: LogIndex): void {
    const wanted = bytesOf(result)
    this.#expect(
      command,
      after,
      (application) => bytesOf(application.result) === wanted,
      () => JSON.stringify(result, plain),
    )
  }

  /** The same as the register model reads it. */
  onOutput(command: Command, output: QuorateOutput, after: LogIndex): void {
    const wantsPrevious = 'wantsPrevious' in command && command.wantsPrevious
    const isSame = ({ result }: Application): boolean => {
      if (result.kind !== 'put' && result.kind !== 'deleted' && result.kind !== 'precondition-failed') return false
      const told = output.revision === undefined ? { ...output, revision: result.revision } : output
      return canonical(outputOfResult(result, wantsPrevious)) === canonical(told)
    }
    this.#expect(command, after, isSame, () => canonical(output))
  }

  #expect(command: Command, after: LogIndex, isSame: (application: Application) => boolean, say: () => string): void {
    const found = this.#applications.get(identityOf(command)) ?? []
    if (found.some((application) => application.index > after && isSame(application))) return
    const log = found.map(({ index, result }) => `${index}: ${JSON.stringify(result, plain)}`)
    this.#world.violate(
      `a ${command.op} called after entry ${after} is answered ${say()}; the log has ${log.join('; ') || 'nothing'}`,
    )
  }

  /** Only for commands that are not asked for twice in the same words, but as repeats in a session. */
  onRefused(command: Command, how: string): void {
    const key = identityOf(command)
    const found = this.#applications.get(key) ?? []
    const effective = found.find(({ result }) => hasEffect(result))
    if (effective !== undefined)
      this.#world.violate(
        `the caller of a ${command.op} is told that it is not applied (${how}); entry ${effective.index} applied it`,
      )
    this.#refused.set(key, how)
  }

  /** A read at a revision shows what the key was then, to the last counter. */
  onRead(name: string, key: string, entry: KeyEntry | undefined, revision: number): void {
    const wanted = this.model.at(revision).get(key)
    if (canonical(wanted && entryOf(wanted)) !== canonical(entry && entryOf(entry)) || wanted?.lease !== entry?.lease)
      this.#world.violate(
        `${name} reads ${key} at revision ${revision} as ${canonical(entry && entryOf(entry))}, not ${canonical(wanted && entryOf(wanted))}`,
      )
  }

  /** A caller is told that it holds a lock. It did at some time. */
  onHeld(token: number): void {
    if (!this.#side.hasHeld(token)) this.#world.violate(`token ${token} is told to hold its lock, and never did`)
  }

  /** All that led an election so far, in their order. */
  leadersOf(election: string): readonly string[] {
    return this.#side.leaders.get(election) ?? []
  }

  /** A state with sessions in it took the place of another. */
  get hasSessions(): boolean {
    return this.model.state.sessions.size > 0
  }
}

/** A repeat in a session has other numbers, but asks for the same. */
export function identityOf(command: Command): string {
  const bare = { ...command }
  if ('once' in bare) delete (bare as { once?: unknown }).once
  const writer = new ByteWriter(64)
  encodeCommand(writer, bare)
  return writer.finish().toString('latin1')
}

const isOfRegister = (command: Command): boolean =>
  (command.op === 'put' && command.lease === undefined && command.ttlMs === undefined && command.fence === undefined) ||
  (command.op === 'delete' && command.fence === undefined)

const hasEffect = ({ kind }: CommandResult): boolean => kind !== 'refused' && kind !== 'precondition-failed'

const bytesOf = (result: CommandResult): string => Buffer.from(encodeResult(result)).toString('latin1')

const textOf = ({
  value,
  lease,
  version,
}: {
  value?: Uint8Array | undefined
  lease: string
  version: number
}): string =>
  value === undefined
    ? 'deleted'
    : `${version} ${lease} ${value.length} ${Buffer.from(value.subarray(0, 16)).toString('latin1')}`

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)

const canonical = (value: object | undefined): string =>
  value === undefined
    ? 'absent'
    : JSON.stringify(value, (_key, part: unknown) => (isObject(part) ? sorted(part) : part))

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const sorted = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
