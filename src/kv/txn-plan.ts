// What a transaction does and reads, found out before any of it is done, step by step so that it stays bounded. First its compares,
// then those of the transactions nested in the branch they chose, and so on down: like etcd's, all compares see the state before
// the whole transaction. Then what the chosen branches look at: the keys of their ranges one range after another, and the records
// of these keys, a few at a time.
import type { Compare, KeyRange, TxnCommand, TxnGet, TxnOperation } from '../api/commands.ts'
import { isInRange, rangeOfKey, singleKeyOf } from '../api/ranges.ts'
import { assert, present } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { compareHolds } from './compare.ts'
import type { KeyCommands } from './key-commands.ts'
import { KV_LIMITS } from './limits.ts'
import { KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'
import type { KvState, RangeRead, ReadSet } from './types.ts'

/** Records fetched at once before anything is known of their size. */
const RECORDS_AT_FIRST = 16
const RECORDS_AT_ONCE_MAX = 1_000

type Reader = Compare | TxnGet | (TxnOperation & { op: 'delete-range' })

/** A range to be looked at: as many keys as `keysWanted`, besides those that the transaction may have deleted before. */
interface Look {
  readonly reader: Reader
  readonly reverse: boolean
  readonly keysMax: number
  /** Entries whose records are wanted; 0 for none. */
  readonly recordsWanted: number
  /** Deleted before this one looks. */
  readonly gone: readonly KeyRange[]
}

export class TxnPlan {
  /** What was fetched for each reader of many keys. */
  readonly reads = new Map<Reader, RangeRead>()
  readonly #command: TxnCommand
  readonly #commands: KeyCommands
  readonly #state: KvState
  #phase: 'compares' | 'branches' | 'ready' = 'compares'
  /** Transactions whose compares are being looked at, all of one depth. */
  #undecided: readonly TxnCommand[]
  readonly #succeeded = new Map<TxnCommand, boolean>()
  #refusal: 'range-too-large' | 'result-too-large' | undefined
  #pointers: KeyString[] = []
  #looks: Look[] = []
  /** Looked at whole, whose records are still to be chosen. */
  #seen: Look[] = []
  #records: KeyString[] = []
  /** The first so many of `#records` are being fetched. */
  #fetching = 0
  #keysLeft: number = KV_LIMITS.txnKeysMax
  #bytesLeft: number = KV_LIMITS.txnReadBytesMax
  #recordsRead = 0
  readonly #recordsKnown = new Set<KeyString>()

  constructor(command: TxnCommand, commands: KeyCommands, state: KvState) {
    this.#command = command
    this.#commands = commands
    this.#state = state
    this.#undecided = [command]
    for (const compare of command.compares) this.#lookForCompare(compare)
  }

  /** What the compares chose, of the transaction itself or of one nested in a chosen branch. */
  chosen(txn: TxnCommand): { readonly succeeded: boolean; readonly operations: readonly TxnOperation[] } {
    const succeeded = present(this.#succeeded.get(txn), 'a choice between branches')
    return { succeeded, operations: succeeded ? txn.success : txn.failure }
  }

  /** Too much to look at; found out before anything was done. */
  get refusal(): 'range-too-large' | 'result-too-large' | undefined {
    return this.#refusal
  }

  /** All of it, in steps. */
  *steps(): Steps<void> {
    do {
      const look = this.#looks[0]
      yield this.#next(look)
      this.#fetched(look)
      yield* this.#choose()
    } while (!this.#isOver())
  }

  /** What is to be fetched next. */
  #next(look: Look | undefined): ReadSet {
    const pointers = this.#pointers
    if (look !== undefined) {
      const { range } = look.reader
      const keysMax = Math.min(look.keysMax, this.#keysLeft + 1)
      const read = { range, reverse: look.reverse, keysMax, wantsRecords: false }
      this.reads.set(look.reader, read)
      return { pointers, records: [], ranges: [read] }
    }
    this.#fetching = Math.min(this.#records.length, this.#recordsAtOnce())
    const records = this.#records.slice(0, this.#fetching)
    return { pointers: pointers.length > 0 ? [...pointers, ...records] : records, records, ranges: [] }
  }

  #fetched(look: Look | undefined): void {
    this.#pointers = []
    if (look === undefined) return this.#countRecords()
    this.#looks.shift()
    this.#countKeys(look)
  }

  /** Goes on as far as that is possible with what was fetched. */
  *#choose(): Steps<void> {
    while (this.#refusal === undefined && this.#looks.length === 0 && this.#phase !== 'ready') {
      for (const seen of this.#seen) yield* this.#chooseRecords(seen)
      this.#seen = []
      if (this.#records.length > 0) return
      if (this.#phase === 'compares') yield* this.#chooseBranches()
      else this.#phase = 'ready'
      if (this.#pointers.length > 0) return
    }
  }

  #isOver(): boolean {
    return this.#refusal !== undefined || this.#phase === 'ready'
  }

  // ------------------------------------------------------------------------------------------------------------- counting

  #countKeys(look: Look): void {
    const read = this.reads.get(look.reader)
    assert(read !== undefined, 'a range was looked at that nobody asked for')
    const count = this.#state.keysOf(read).length
    this.#keysLeft -= count
    const isTooLarge = this.#phase === 'compares' && count > KV_LIMITS.commandKeysMax
    if (isTooLarge || this.#keysLeft < 0) this.#refusal = 'range-too-large'
    else this.#seen.push(look)
  }

  #countRecords(): void {
    for (const key of this.#records.splice(0, this.#fetching)) {
      this.#bytesLeft -= this.#state.latestRecord(key)?.value?.length ?? 0
      this.#recordsRead += 1
    }
    this.#fetching = 0
    if (this.#bytesLeft < 0) this.#refusal = 'result-too-large'
  }

  /** As many as will probably fit into what is left, by the average so far; so no more than a few times too much is fetched. */
  #recordsAtOnce(): number {
    if (this.#recordsRead === 0) return RECORDS_AT_FIRST
    const bytesRead = KV_LIMITS.txnReadBytesMax - this.#bytesLeft
    const fitting = Math.floor((this.#bytesLeft * this.#recordsRead) / Math.max(bytesRead, 1))
    return Math.min(Math.max(fitting, RECORDS_AT_FIRST), RECORDS_AT_ONCE_MAX)
  }

  // -------------------------------------------------------------------------------------------------------------- choosing

  /** Of the transactions of one depth; the next are those that are nested in what was chosen. */
  *#chooseBranches(): Steps<void> {
    const nested: TxnCommand[] = []
    for (const txn of this.#undecided) {
      const holds = yield* this.#allHold(txn.compares)
      this.#succeeded.set(txn, holds)
      for (const operation of this.chosen(txn).operations) if (operation.op === 'txn') nested.push(operation)
    }
    this.#undecided = nested
    for (const txn of nested) for (const compare of txn.compares) this.#lookForCompare(compare)
    if (nested.length > 0) return
    this.#phase = 'branches'
    this.#lookForBranch(this.#command, [])
  }

  *#allHold(compares: readonly Compare[]): Steps<boolean> {
    for (const compare of compares) {
      if (!(yield* compareHolds(compare, this.#commands, this.reads.get(compare)))) return false
    }
    return true
  }

  /** The records of a range that will be read: without those deleted before. */
  *#chooseRecords({ reader, recordsWanted, gone }: Look): Steps<void> {
    const read = this.reads.get(reader)
    if (recordsWanted === 0 || read === undefined) return
    let wanted = recordsWanted
    for (const [nth, key] of this.#state.keysOf(read).entries()) {
      if (wanted === 0) return
      if (nth > 0 && nth % KEYS_PER_SLICE === 0) yield 'pause'
      if (gone.some((range) => isInRange(range, key))) continue
      this.#wantRecord(key)
      wanted -= 1
    }
  }

  #wantRecord(key: KeyString): void {
    if (this.#recordsKnown.has(key)) return
    this.#recordsKnown.add(key)
    this.#records.push(key)
  }

  #wantKey(key: KeyString, wantsRecord: boolean): void {
    this.#pointers.push(key)
    if (wantsRecord) this.#wantRecord(key)
  }

  /** `gone`: what operations before these delete; those here add to it. */
  #lookForBranch(txn: TxnCommand, gone: KeyRange[]): void {
    for (const operation of this.chosen(txn).operations) {
      switch (operation.op) {
        case 'put':
          this.#wantKey(operation.key, operation.wantsPrevious)
          break
        case 'add':
          this.#wantKey(operation.key, true)
          break
        case 'delete':
          this.#wantKey(operation.key, operation.wantsPrevious)
          gone.push(rangeOfKey(operation.key))
          break
        case 'delete-range':
          this.#lookAt(operation, { need: KV_LIMITS.commandKeysMax + 1, records: 0, gone: [...gone] })
          gone.push(operation.range)
          break
        case 'get':
          this.#lookForGet(operation, [...gone])
          break
        case 'txn':
          this.#lookForBranch(operation, gone)
      }
    }
  }

  #lookForGet(get: TxnGet, gone: readonly KeyRange[]): void {
    if (get.countOnly) this.#lookAt(get, { need: KV_LIMITS.commandKeysMax + 1, records: 0, gone })
    else this.#lookAt(get, { need: get.limit + 1, records: get.limit, gone })
  }

  #lookForCompare(compare: Compare): void {
    const need = KV_LIMITS.commandKeysMax + 1
    this.#lookAt(compare, { need, records: compare.target === 'value' ? need : 0, gone: [] })
  }

  #lookAt(reader: Reader, wanted: { need: number; records: number; gone: readonly KeyRange[] }): void {
    const key = singleKeyOf(reader.range)
    if (key !== undefined) return this.#wantKey(key, wanted.records > 0)
    const reverse = 'reverse' in reader && reader.reverse
    const keysMax = wanted.need + padding(reader.range, wanted.gone)
    this.#looks.push({ reader, reverse, keysMax, recordsWanted: wanted.records, gone: wanted.gone })
  }
}

/** Keys of the range that may have been deleted before, and must not hide those behind them. */
function padding(range: KeyRange, gone: readonly KeyRange[]): number {
  let keys = 0
  for (const deleted of gone) {
    if (!overlap(deleted, range)) continue
    keys += singleKeyOf(deleted) === undefined ? KV_LIMITS.commandKeysMax : 1
  }
  // More than a command may delete, it will not have deleted.
  return Math.min(keys, KV_LIMITS.commandKeysMax)
}

const overlap = (a: KeyRange, b: KeyRange): boolean =>
  (a.to === undefined || b.from < a.to) && (b.to === undefined || a.from < b.to)
