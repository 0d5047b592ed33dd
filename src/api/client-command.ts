// What a client may ask for: the limits that it is told, and the few things that make no sense however they are encoded. The
// server checks every command with this before it is proposed, wherever it came from: JSON, a query, or a binary batch.
import { unreachable } from '../lib/assert.ts'
import { DecodeError } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'
import type {
  ClientCommand,
  Command,
  Compare,
  Fence,
  KeyRange,
  Once,
  PutCommand,
  TxnCommand,
  TxnGet,
  TxnOperation,
} from './commands.ts'
import { isInt64 } from './fields.ts'
import { WIRE_LIMITS } from './limits.ts'
import { isInRange } from './ranges.ts'

const ID_PATTERN = /^[0-9a-f]{16}$/
/** Positive int64. */
const LEASE_PATTERN = /^(?!0{16})[0-7][0-9a-f]{15}$/

/** Throws a DecodeError that says what is wrong; its message is meant for the caller. */
export function checkClientCommand(command: Command): asserts command is ClientCommand {
  if ('once' in command && command.once !== undefined) checkOnce(command.once)
  if ('fence' in command && command.fence !== undefined) checkFence(command.fence)
  switch (command.op) {
    case 'put':
      return checkPut(command)
    case 'delete':
      return checkKey(command.key)
    case 'add':
      check(isInt64(command.by), `the number to add, ${command.by}, is not an int64`)
      return checkKey(command.key)
    case 'delete-range':
      return checkRange(command.range)
    case 'txn':
      return checkTxn(command)
    case 'compact':
      return check(isNatural(command.revision), `${command.revision} is not a revision`)
    case 'expire':
      throw new DecodeError('a client may not send the operation expire')
    case 'lease-grant':
    case 'lease-keep-alive':
    case 'lease-revoke':
    case 'lock':
    case 'proclaim':
    case 'session-close':
    case 'session-keep-alive':
    case 'session-open':
    case 'unlock':
      return checkSideCommand(command)
  }
}

type SideCommand = Exclude<ClientCommand, { op: 'put' | 'delete' | 'add' | 'delete-range' | 'txn' | 'compact' }>

function checkSideCommand(command: SideCommand): void {
  switch (command.op) {
    case 'lease-grant':
      checkLease(command.lease)
      return checkTtl(command.ttlMs, WIRE_LIMITS.ttlMsMax)
    case 'lease-keep-alive':
    case 'lease-revoke':
      return checkLease(command.lease)
    case 'session-open':
      checkId(command.session, 'session')
      return checkTtl(command.ttlMs, WIRE_LIMITS.sessionTtlMsMax)
    case 'session-keep-alive':
    case 'session-close':
      return checkId(command.session, 'session')
    case 'unlock':
      checkToken(command.token)
      return checkLockName(command.name)
    case 'proclaim':
      checkToken(command.token)
      checkProclaimed(command.value)
      return checkLockName(command.name)
    case 'lock': {
      const { owner, waitMs } = command
      checkLockName(command.name)
      checkLease(command.lease)
      checkTtl(command.ttlMs, WIRE_LIMITS.ttlMsMax)
      check(
        isNatural(waitMs) && waitMs <= WIRE_LIMITS.waitMsMax,
        `a wait of ${waitMs} ms; at most ${WIRE_LIMITS.waitMsMax} are allowed`,
      )
      checkLength('an owner', Buffer.byteLength(owner), WIRE_LIMITS.ownerBytesMax)
      check(Buffer.from(owner, 'utf8').toString('utf8') === owner, 'the owner is not well-formed Unicode')
      if (command.kind === 'lock') return check(command.value.length === 0, 'a lock has no value; an election has')
      return checkProclaimed(command.value)
    }
  }
}

function check(claim: boolean, message: string): asserts claim {
  if (!claim) throw new DecodeError(message)
}

const isNatural = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

// What every put comes through makes its message only when it refuses: a text with numbers costs more than the check.
function checkLength(what: string, length: number, max: number): void {
  if (length > max) throw new DecodeError(`${what} of ${length} bytes; at most ${max} are allowed`)
}

export function checkKey(key: KeyString): void {
  check(key.length > 0, 'a key of 0 bytes; at least 1 is needed')
  checkLength('a key', key.length, WIRE_LIMITS.keyBytesMax)
}

/** One byte more than a key: the end of the range that holds just the longest key. */
function checkRange({ from, to }: KeyRange): void {
  checkLength('a bound of a range', from.length, WIRE_LIMITS.keyBytesMax + 1)
  if (to === undefined) return
  check(to.length > 0, 'the end of a range is empty; leave it out for a range without an end')
  checkLength('a bound of a range', to.length, WIRE_LIMITS.keyBytesMax + 1)
}

function checkPut(command: PutCommand): void {
  checkKey(command.key)
  checkLength('a value', command.value.length, WIRE_LIMITS.valueBytesMax)
  checkLength('a content type', command.contentType.length, WIRE_LIMITS.contentTypeBytesMax)
  const { lease, ttlMs } = command
  check(lease === undefined || ttlMs === undefined, 'a put with both a lease and a time to live')
  if (lease !== undefined && lease !== '') checkLease(lease)
  if (ttlMs !== undefined) checkTtl(ttlMs, WIRE_LIMITS.ttlMsMax)
}

function checkId(id: string, what: string): void {
  if (ID_PATTERN.test(id)) return
  throw new DecodeError(`not the id of a ${what}: ${JSON.stringify(id)}; 16 lower-case hexadecimal digits are needed`)
}

function checkLease(lease: string): void {
  checkId(lease, 'lease')
  check(LEASE_PATTERN.test(lease), `the lease id ${lease} is not a positive int64`)
}

function checkTtl(ttlMs: number, max: number): void {
  check(
    Number.isSafeInteger(ttlMs) && ttlMs > 0 && ttlMs <= max,
    `a time to live of ${ttlMs} ms; it must be from 1 to ${max}`,
  )
}

function checkToken(token: number): void {
  check(isNatural(token) && token > 0, `${token} is not a fencing token`)
}

function checkLockName(name: KeyString): void {
  check(name.length > 0, 'a lock without a name')
  checkLength('the name of a lock', name.length, WIRE_LIMITS.lockNameBytesMax)
}

function checkProclaimed(value: Uint8Array): void {
  checkLength('a value of an election', value.length, WIRE_LIMITS.proclaimedBytesMax)
}

function checkFence({ lock, token }: Fence): void {
  checkLockName(lock)
  checkToken(token)
}

function checkOnce(once: Once): void {
  if (once.kind === 'session') {
    const { sequence, acknowledgedBelow } = once
    checkId(once.session, 'session')
    if (!isNatural(sequence) || sequence === 0)
      throw new DecodeError(`${sequence} is not a sequence; they count from 1`)
    if (!isNatural(acknowledgedBelow) || acknowledgedBelow > sequence)
      throw new DecodeError(`sequence ${sequence} cannot come with everything below ${acknowledgedBelow} acknowledged`)
    return
  }
  check(once.key.length > 0, 'an empty idempotency key')
  checkLength('an idempotency key and its scope', once.key.length, WIRE_LIMITS.onceKeyBytesMax)
  checkId(once.fingerprint, 'request')
}

// --------------------------------------------------------------------------------------------------------- transactions

/** What is left of a transaction's allowances. */
interface Allowance {
  operations: number
  compares: number
}

/** What a branch writes, to find out whether it writes one key twice. */
interface Writes {
  readonly puts: Set<KeyString>
  readonly deletes: KeyRange[]
}

function checkTxn(command: TxnCommand): void {
  const max = WIRE_LIMITS.txnOperationsMax
  checkNested(command, { operations: max, compares: max }, 1)
}

function checkNested(command: TxnCommand, left: Allowance, depth: number): Writes[] {
  check(depth <= WIRE_LIMITS.txnDepthMax, `transactions nested deeper than ${WIRE_LIMITS.txnDepthMax}`)
  left.compares -= command.compares.length
  check(left.compares >= 0, `a transaction may compare at most ${WIRE_LIMITS.txnOperationsMax} times`)
  for (const compare of command.compares) checkCompare(compare)
  return [checkBranch(command.success, left, depth), checkBranch(command.failure, left, depth)]
}

/** The two branches of a nested transaction exclude each other; each is held against what stands beside it. */
function checkBranch(operations: readonly TxnOperation[], left: Allowance, depth: number): Writes {
  left.operations -= operations.length
  check(left.operations >= 0, `a transaction may have at most ${WIRE_LIMITS.txnOperationsMax} operations`)
  const all: Writes = { puts: new Set(), deletes: [] }
  for (const operation of operations) {
    const branches = writesOf(operation, left, depth)
    for (const writes of branches) checkApart(all, writes)
    for (const { puts, deletes } of branches) {
      for (const key of puts) all.puts.add(key)
      all.deletes.push(...deletes)
    }
  }
  return all
}

function writesOf(operation: TxnOperation, left: Allowance, depth: number): Writes[] {
  if (operation.op === 'txn') {
    check(operation.once === undefined && operation.fence === undefined, INNER)
    return checkNested(operation, left, depth + 1)
  }
  if (operation.op === 'get') {
    checkGet(operation)
    return []
  }
  check(operation.once === undefined && operation.fence === undefined, INNER)
  check(!('condition' in operation) || operation.condition.kind === 'none', INNER)
  checkClientCommand(operation)
  switch (operation.op) {
    case 'put':
    case 'add':
      return [{ puts: new Set([operation.key]), deletes: [] }]
    case 'delete':
      return [{ puts: new Set(), deletes: [{ from: operation.key, to: `${operation.key}\0` }] }]
    case 'delete-range':
      return [{ puts: new Set(), deletes: [operation.range] }]
    default:
      return unreachable(operation)
  }
}

const INNER = 'an operation inside a transaction has no condition, fence or repetition of its own'

function checkApart(all: Writes, { puts, deletes }: Writes): void {
  for (const key of puts) {
    const isTwice = all.puts.has(key) || all.deletes.some((range) => isInRange(range, key))
    check(!isTwice, `a transaction may not write the key ${JSON.stringify(key)} twice`)
  }
  for (const range of deletes)
    for (const key of all.puts)
      check(!isInRange(range, key), `a transaction may not write the key ${JSON.stringify(key)} twice`)
}

function checkGet({ range, limit, countOnly, keysOnly }: TxnGet): void {
  checkRange(range)
  check(!(countOnly && keysOnly), 'a read of the count only has no keys')
  const { pageEntriesMax } = WIRE_LIMITS
  const isMeaningful = isNatural(limit) && limit <= pageEntriesMax && (limit > 0 || countOnly)
  check(isMeaningful, `a limit of ${limit} entries; it must be from 1 to ${pageEntriesMax}`)
}

function checkCompare(compare: Compare): void {
  checkRange(compare.range)
  if (compare.target === 'value') checkLength('a value', compare.operand.length, WIRE_LIMITS.valueBytesMax)
  else if (compare.target !== 'lease')
    check(isNatural(compare.operand), `${compare.operand} is not a revision or version`)
  else if (compare.operand !== '') checkLease(compare.operand)
}
