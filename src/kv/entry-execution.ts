// The execution of one entry: its commands in order, in steps between which what the next ones read is fetched. Entries of plain
// puts and deletes, which nearly all are, take one step and touch none of the tables.
import type { Command, CommandResult, CompactCommand, EntryBatch, Fence, Once } from '../api/commands.ts'
import { encodeResult } from '../api/result-codec.ts'
import { assert, present, unreachable } from '../lib/assert.ts'
import { KeyCommands } from './key-commands.ts'
import type { Moment } from './key-commands.ts'
import { KeyWriter } from './key-writer.ts'
import { KV_LIMITS } from './limits.ts'
import { OnceGuard } from './once.ts'
import { isLone, rangeToDelete, readsOfTables, SharedReads } from './plan.ts'
import type { LoneCommand } from './plan.ts'
import { RowWriter } from './rows.ts'
import { SideCommands } from './side-commands.ts'
import type { SideTables } from './side-tables.ts'
import { executeTxn } from './txn.ts'
import { TxnPlan } from './txn-plan.ts'
import type { Applied, Execution, KvMeta, KvState, RangeRead, ReadSet } from './types.ts'

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
  #txn: TxnPlan | undefined
  #range: RangeRead | undefined
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

  next(): ReadSet | undefined {
    assert(!this.#isStepOpen, 'what was asked for has not been executed')
    const command = this.#flat[this.#at]
    if (command === undefined) return undefined
    this.#isStepOpen = true
    return isLone(command) ? this.#readsAlone(command) : this.#readsTogether()
  }

  execute(): void {
    assert(this.#isStepOpen, 'nothing was asked for')
    this.#isStepOpen = false
    if (this.#txn !== undefined && !this.#txn.fetched()) return
    while (this.#at < this.#stepEnd) this.#answer(this.#execute(this.#flat[this.#at]!))
    this.#txn = undefined
    this.#range = undefined
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

  #readsAlone(command: LoneCommand): ReadSet {
    this.#stepEnd = this.#at + 1
    switch (command.op) {
      case 'txn':
        this.#txn ??= new TxnPlan(command, this.#commands, this.#state)
        return this.#txn.next()
      case 'delete-range':
        this.#range = rangeToDelete(command)
        if (this.#range === undefined) return { pointers: [command.range.from], records: [], ranges: [] }
        return { pointers: [], records: [], ranges: [this.#range] }
      case 'expire':
      case 'lease-revoke':
      case 'unlock':
      default:
        return readsOfTables(command, this.#tables, this.#side)
    }
  }

  // ------------------------------------------------------------------------------------------------------------ executing

  #answer(result: CommandResult): void {
    while (this.#at >= this.#groupEnds[this.#group]!) this.#group += 1
    this.#results[this.#group]!.push(result)
    this.#at += 1
  }

  #execute(command: Command): CommandResult {
    if ('once' in command && command.once !== undefined) return this.#executeOnce(command, command.once)
    if ('fence' in command && command.fence !== undefined && !this.#isHeld(command.fence))
      return this.#commands.refused('fenced')
    if (!isAtomic(command)) return this.#perform(command)
    return this.#atomically(() => this.#perform(command)).result
  }

  #executeOnce(command: Command, once: Once): CommandResult {
    const early = this.#once.answer(once)
    if (early?.kind === 'refused') return this.#commands.refused(early.reason)
    if (early !== undefined) return { kind: 'replayed', revision: this.#keys.revision, result: early.result }
    const { result, encoded } = this.#guarded(command)
    this.#once.remember(once, encoded)
    return result
  }

  /** A result too large to be remembered is refused before it has any effect. Only what reads values can have one. */
  #guarded(command: Command): { result: CommandResult; encoded: Uint8Array } {
    if ('fence' in command && command.fence !== undefined && !this.#isHeld(command.fence))
      return withBytes(this.#commands.refused('fenced'))
    if (isAtomic(command) || ('wantsPrevious' in command && command.wantsPrevious))
      return this.#atomically(() => this.#perform(command), KV_LIMITS.resultBytesMax)
    return withBytes(this.#perform(command))
  }

  /** All of it or nothing: a refusal takes back what came before it. */
  #atomically(perform: () => CommandResult, bytesMax?: number): { result: CommandResult; encoded: Uint8Array } {
    const { undo } = this.#tables
    this.#keys.begin()
    undo.begin()
    const result = perform()
    const encoded = bytesMax === undefined ? NO_BYTES : encodeResult(result)
    const isTooLarge = bytesMax !== undefined && encoded.length > bytesMax
    if (isTooLarge || result.kind === 'refused') {
      this.#keys.rollback()
      undo.rollback()
      const reason = result.kind === 'refused' ? result.reason : 'result-too-large'
      return withBytes(this.#commands.refused(reason))
    }
    this.#keys.commit()
    undo.commit()
    return { result, encoded }
  }

  #perform(command: Command): CommandResult {
    switch (command.op) {
      case 'put':
        return this.#commands.put(command)
      case 'delete':
        return this.#commands.delete(command)
      case 'add':
        return this.#commands.add(command)
      case 'delete-range':
        return this.#commands.deleteRange(command.range, this.#range)
      case 'txn':
        return executeTxn(command, present(this.#txn, 'the plan of a transaction'), this.#commands)
      case 'compact':
        return this.#compact(command)
      case 'expire':
      case 'lease-grant':
      case 'lease-keep-alive':
      case 'lease-revoke':
      case 'lock':
      case 'proclaim':
      case 'session-close':
      case 'session-keep-alive':
      case 'session-open':
      case 'unlock':
      default:
        return this.#performSide(command)
    }
  }

  #performSide(command: Exclude<Command, { op: 'put' | 'delete' | 'add' | 'delete-range' | 'txn' | 'compact' }>) {
    switch (command.op) {
      case 'lease-grant':
        return this.#side.grant(command)
      case 'lease-keep-alive':
        return this.#side.keepAlive(command.lease)
      case 'lease-revoke':
        return this.#side.revoke(command.lease)
      case 'lock':
        return this.#side.lock(command)
      case 'unlock':
        return this.#side.unlock(command)
      case 'proclaim':
        return this.#side.proclaim(command)
      case 'session-open':
        return this.#side.openSession(command)
      case 'session-keep-alive':
        return this.#side.keepSessionAlive(command.session)
      case 'session-close':
        return this.#side.closeSession(command.session)
      case 'expire':
        return this.#side.expire(command)
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

const NO_BYTES = new Uint8Array(0)

/** What changes more than one key, or may be refused half-way. */
const isAtomic = (command: Command): boolean => command.op === 'txn' || command.op === 'delete-range'

const withBytes = (result: CommandResult): { result: CommandResult; encoded: Uint8Array } => ({
  result,
  encoded: encodeResult(result),
})
