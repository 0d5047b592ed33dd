// The execution of one entry: its commands in order, in steps between which what the next ones read is fetched, and others get
// their turn. Entries of plain puts and deletes, which nearly all are, take one step and touch none of the tables.
import type { Command, CommandResult, CompactCommand, EntryBatch, Fence, KeyRange, Once } from '../api/commands.ts'
import { encodeResult } from '../api/result-codec.ts'
import { assert, unreachable } from '../lib/assert.ts'
import { KeyCommands } from './key-commands.ts'
import type { Moment } from './key-commands.ts'
import { KeyWriter } from './key-writer.ts'
import { KV_LIMITS } from './limits.ts'
import { OnceGuard } from './once.ts'
import { isLone, rangeToDelete, SharedReads } from './plan.ts'
import type { LoneCommand, SharedCommand } from './plan.ts'
import { RowWriter } from './rows.ts'
import { SideCommands } from './side-commands.ts'
import type { SideTables } from './side-tables.ts'
import { atOnce, KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'
import { executeTxn } from './txn.ts'
import { TxnPlan } from './txn-plan.ts'
import type { Applied, Execution, KvMeta, KvState, ReadSet, Wanted } from './types.ts'

export class EntryExecution implements Execution {
  readonly #before: KvMeta
  readonly #state: KvState
  readonly #tables: SideTables
  readonly #onFinish: (meta: KvMeta) => void
  readonly #keys: KeyWriter
  readonly #writer: RowWriter
  readonly #commands: KeyCommands
  readonly #side: SideCommands
  readonly #once: OnceGuard
  /** By group, filled in order. */
  readonly #results: CommandResult[][]
  readonly #flat: readonly Command[]
  readonly #groupEnds: readonly number[]
  #group = 0
  /** The next command to be executed, and where this step ends. */
  #at = 0
  #stepEnd = 0
  /** Of the next command, when it goes alone and has begun. */
  #steps: Steps<CommandResult> | undefined
  #isStepOpen = false
  #isFinished = false

  constructor(parts: {
    batch: EntryBatch
    before: KvMeta
    state: KvState
    tables: SideTables
    onFinish: (meta: KvMeta) => void
  }) {
    const { batch, before, state, tables } = parts
    this.#before = before
    this.#state = state
    this.#tables = tables
    this.#onFinish = parts.onFinish
    const moment: Moment = { index: before.index, clusterTimeMs: before.clusterTimeMs }
    this.#keys = new KeyWriter(before, state)
    this.#writer = new RowWriter(state)
    this.#commands = new KeyCommands(this.#keys, tables.leaseTable, moment)
    const { lastToken } = before
    this.#side = new SideCommands({ tables, commands: this.#commands, moment, writer: this.#writer, lastToken })
    this.#once = new OnceGuard(tables, moment, this.#writer)
    const { groups } = batch
    this.#flat = groups.length === 1 ? groups[0]!.commands : groups.flatMap((group) => group.commands)
    this.#results = groups.map(() => [])
    let end = 0
    this.#groupEnds = groups.map((group) => (end += group.commands.length))
  }

  next(): Wanted | undefined {
    assert(!this.#isStepOpen, 'what was asked for has not been executed')
    for (;;) {
      const command = this.#flat[this.#at]
      const wanted = command === undefined ? this.#rowsLeft() : this.#wantedBy(command)
      if (wanted === undefined && command !== undefined) continue
      this.#isStepOpen = wanted !== undefined
      return wanted
    }
  }

  execute(): void {
    assert(this.#isStepOpen, 'nothing was asked for')
    this.#isStepOpen = false
    // A command that goes alone does so when `next` asks what it wants.
    if (this.#steps !== undefined) return
    while (this.#at < this.#stepEnd) {
      const command = this.#flat[this.#at]!
      assert(!isLone(command), 'a command that goes alone was taken together with others')
      this.#answer(this.#execute(command))
    }
  }

  finish(): Applied {
    assert(this.#at === this.#flat.length && !this.#isStepOpen, 'not all commands were executed')
    assert(!this.#isFinished, 'an entry ends once')
    this.#isFinished = true
    const { leaseTable, sessions, locks } = this.#tables
    leaseTable.writeRows(this.#writer)
    sessions.writeRows(this.#writer)
    const lockChanges = locks.writeRows(this.#writer)
    const meta = this.#keys.metaAfter(this.#before, this.#side.lastToken, this.#writer.delta)
    this.#onFinish(meta)
    return { results: this.#results, changes: this.#keys.changes, lockChanges, meta }
  }

  // -------------------------------------------------------------------------------------------------------------- reading

  /** Undefined when the command was executed by that. */
  #wantedBy(command: Command): Wanted | undefined {
    if (!isLone(command)) return this.#readsTogether()
    this.#steps ??= this.#executeLone(command)
    const step = this.#steps.next()
    if (step.done !== true) return step.value
    this.#steps = undefined
    this.#stepEnd = this.#at + 1
    this.#answer(step.value)
    return undefined
  }

  /** A deleted range may have taken tens of thousands of keys from their leases. */
  #rowsLeft(): Wanted | undefined {
    const { leaseTable } = this.#tables
    if (leaseTable.dirtyCount <= KEYS_PER_SLICE) return undefined
    leaseTable.writeAttachments(this.#writer, KEYS_PER_SLICE)
    return 'pause'
  }

  #readsTogether(): ReadSet {
    const reads = new SharedReads()
    let end = this.#at
    for (; end < this.#flat.length && !reads.isFull; end++) {
      const command = this.#flat[end]!
      if (isLone(command)) break
      reads.add(command)
    }
    this.#stepEnd = end
    return reads.readSet()
  }

  // ------------------------------------------------------------------------------------------------------------ executing

  #answer(result: CommandResult): void {
    while (this.#at >= this.#groupEnds[this.#group]!) this.#group += 1
    this.#results[this.#group]!.push(result)
    this.#at += 1
  }

  #execute(command: SharedCommand): CommandResult {
    const once = 'once' in command ? command.once : undefined
    if (once === undefined) return this.#unfenced(command) ?? this.#perform(command)
    return this.#early(once) ?? this.#remembered(once, this.#guarded(command))
  }

  *#executeLone(command: LoneCommand): Steps<CommandResult> {
    const once = 'once' in command ? command.once : undefined
    const early = once && this.#early(once)
    if (early !== undefined) return early
    const refused = this.#unfenced(command)
    const bytesMax = once === undefined ? Infinity : KV_LIMITS.resultBytesMax
    const result = refused ?? (yield* this.#performLone(command, bytesMax))
    return once === undefined ? result : this.#remembered(once, result)
  }

  /** The answer to a repeat, or to what can no longer be told from one. */
  #early(once: Once): CommandResult | undefined {
    const early = this.#once.answer(once)
    if (early?.kind !== 'replayed') return early && this.#commands.refused(early.reason)
    return { kind: 'replayed', revision: this.#keys.revision, result: early.result }
  }

  #remembered(once: Once, result: CommandResult): CommandResult {
    this.#once.remember(once, encodeResult(result))
    return result
  }

  #unfenced(command: Command): CommandResult | undefined {
    const isFenced = 'fence' in command && command.fence !== undefined && !this.#isHeld(command.fence)
    return isFenced ? this.#commands.refused('fenced') : undefined
  }

  /** A result too large to be remembered is refused before it has any effect. Only what reads values can have one. */
  #guarded(command: SharedCommand): CommandResult {
    const refused = this.#unfenced(command)
    if (refused !== undefined) return refused
    if (!('wantsPrevious' in command) || !command.wantsPrevious) return this.#perform(command)
    this.#begin()
    const result = this.#perform(command)
    return this.#takenBack(result, KV_LIMITS.resultBytesMax) ?? atOnce(this.#commit(result))
  }

  /** All of what comes now or nothing. */
  #begin(): void {
    this.#keys.begin()
    this.#tables.undo.begin()
  }

  /** What is refused, or has too large a result, leaves nothing behind. */
  #takenBack(result: CommandResult, bytesMax: number): CommandResult | undefined {
    const isTooLarge = bytesMax < Infinity && encodeResult(result).length > bytesMax
    if (!isTooLarge && result.kind !== 'refused') return undefined
    this.#keys.rollback()
    this.#tables.undo.rollback()
    return this.#commands.refused(result.kind === 'refused' ? result.reason : 'result-too-large')
  }

  *#commit(result: CommandResult): Steps<CommandResult> {
    yield* this.#keys.commit()
    this.#tables.undo.commit()
    return result
  }

  *#performLone(command: LoneCommand, bytesMax: number): Steps<CommandResult> {
    switch (command.op) {
      case 'txn': {
        const plan = new TxnPlan(command, this.#commands, this.#state)
        yield* plan.steps()
        this.#begin()
        const result = yield* executeTxn(command, plan, this.#commands)
        return this.#takenBack(result, bytesMax) ?? (yield* this.#commit(result))
      }
      case 'delete-range':
        return yield* this.#deleteRange(command.range)
      case 'lease-revoke':
        return yield* this.#side.revoke(command.lease)
      case 'unlock':
        return yield* this.#side.unlock(command)
      case 'expire':
        return yield* this.#side.expire(command)
      case 'session-close':
        return yield* this.#side.closeSession(command.session)
      default:
        return unreachable(command)
    }
  }

  /** It is refused before anything is deleted, or not at all. */
  *#deleteRange(range: KeyRange): Steps<CommandResult> {
    const read = rangeToDelete(range)
    yield { pointers: read === undefined ? [range.from] : [], records: [], ranges: read === undefined ? [] : [read] }
    this.#keys.beginTogether()
    const result = yield* this.#commands.deleteRange(range, read)
    this.#keys.endTogether()
    return result
  }

  #perform(command: SharedCommand): CommandResult {
    switch (command.op) {
      case 'put':
        return this.#commands.put(command)
      case 'delete':
        return this.#commands.delete(command)
      case 'add':
        return this.#commands.add(command)
      case 'compact':
        return this.#compact(command)
      case 'lease-grant':
        return this.#side.grant(command)
      case 'lease-keep-alive':
        return this.#side.keepAlive(command.lease)
      case 'lock':
        return this.#side.lock(command)
      case 'proclaim':
        return this.#side.proclaim(command)
      case 'session-open':
        return this.#side.openSession(command)
      case 'session-keep-alive':
        return this.#side.keepSessionAlive(command.session)
      default:
        return unreachable(command)
    }
  }

  #compact({ revision }: CompactCommand): CommandResult {
    const mark = this.#keys.compactRevision
    if (revision > this.#keys.revision) return { kind: 'refused', revision: mark, reason: 'future-revision' }
    if (revision <= mark) return { kind: 'refused', revision: mark, reason: 'compacted' }
    this.#keys.compact(revision)
    return { kind: 'compacted', revision }
  }

  #isHeld({ lock, token }: Fence): boolean {
    return this.#tables.locks.holder('lock', lock)?.token === token
  }
}
