// Transactions as JSON: `if`, `then` and `else` become compares and operations. What is wrong is named with its path.
import type { Compare, CompareOperator, KeyRange, TxnCommand, TxnOperation } from '../api/commands.ts'
import { NO_CONDITION } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { rangeOfKey } from '../api/ranges.ts'
import type { KeyString } from '../lib/bytes.ts'
import { fromBase64url } from '../lib/bytes.ts'
import { JsonObject } from './json-object.ts'
import { rangeOf } from './range-parameters.ts'
import { isLeaseId } from './target.ts'

const OPERATIONS = ['put', 'add', 'delete', 'get', 'txn'] as const
const TARGETS = ['version', 'createRevision', 'modRevision', 'value', 'value64', 'lease'] as const
const OPERATORS: readonly CompareOperator[] = ['=', '!=', '<', '>']

/** `depth` counts the transactions around this one. */
export function txnOf(document: JsonObject, depth = 0): TxnCommand {
  if (depth >= WIRE_LIMITS.txnDepthMax)
    throw document.error(`is nested deeper than ${WIRE_LIMITS.txnDepthMax} transactions`)
  const compares = document.objects('if').map(compareOf)
  const success = document.objects('then').map((item) => operationOf(item, depth))
  const failure = document.objects('else').map((item) => operationOf(item, depth))
  document.close()
  return { op: 'txn', compares, success, failure }
}

// -------------------------------------------------------------------------------------------------------------- targets

interface Place {
  readonly range: KeyRange
  /** When it is one key and was named as one. */
  readonly key: KeyString | undefined
}

/** `key`, or a range as everywhere; one of them must be there. */
function placeOf(document: JsonObject): Place {
  const key = document.keyBytes('key')
  const bounds = { prefix: document.keyBytes('prefix'), from: document.keyBytes('from'), to: document.keyBytes('to') }
  let named
  try {
    named = rangeOf(bounds)
  } catch (error) {
    throw error instanceof QuorateError ? document.error(`is not good: ${error.message.slice(0, -1)}`) : error
  }
  if (key !== undefined && named !== undefined) throw document.error('names a key and a range; it takes one of them')
  if (key === '') throw document.error('must not be empty', 'key')
  if (key !== undefined) return { range: rangeOfKey(key), key }
  if (named === undefined) throw document.error('names no key and no range')
  return { range: named.range, key: undefined }
}

function keyOf(document: JsonObject): KeyString {
  const key = document.keyBytes('key')
  if (key === undefined) throw document.error('is missing', 'key')
  if (key === '') throw document.error('must not be empty', 'key')
  return key
}

// ------------------------------------------------------------------------------------------------------------- compares

function compareOf(document: JsonObject): Compare {
  const { range } = placeOf(document)
  const given = TARGETS.filter((target) => document.has(target))
  document.close()
  const target = given[0]
  if (target === undefined || given.length > 1)
    throw document.error(`must compare exactly one of: ${TARGETS.join(', ')}`)
  const { operator, holder, name } = operandOf(document, target)
  if (target === 'value' || target === 'value64')
    return { range, operator, target: 'value', operand: valueOperand(holder, name, target === 'value64') }
  if (target === 'lease') return { range, operator, target, operand: leaseOperand(holder, name) }
  return { range, operator, target, operand: holder.integer(name, 0, Number.MAX_SAFE_INTEGER) ?? 0 }
}

/** Where the operand is: the member itself, which means `=`, or the member of an operator in it. */
function operandOf(
  document: JsonObject,
  target: string,
): { operator: CompareOperator; holder: JsonObject; name: string } {
  const value = document.value(target)
  if (typeof value !== 'object' || value === null) return { operator: '=', holder: document, name: target }
  const holder = new JsonObject(value, document.pathOf(target))
  const given = OPERATORS.filter((operator) => holder.has(operator))
  holder.close()
  const operator = given[0]
  if (operator === undefined || given.length > 1)
    throw holder.error(`must have exactly one operator of: ${OPERATORS.join(' ')}`)
  return { operator, holder, name: operator }
}

function valueOperand(holder: JsonObject, name: string, isBase64: boolean): Uint8Array {
  const text = holder.text(name, WIRE_LIMITS.valueBytesMax * 2) ?? ''
  const bytes = isBase64 ? fromBase64url(text) : Buffer.from(text)
  if (bytes === undefined) throw holder.error('must be canonical base64url without padding', name)
  if (bytes.length > WIRE_LIMITS.valueBytesMax)
    throw holder.error(`has more than ${WIRE_LIMITS.valueBytesMax} bytes`, name)
  return bytes
}

/** Empty, or all zeros, stands for no lease. */
function leaseOperand(holder: JsonObject, name: string): string {
  const text = holder.text(name, 16) ?? ''
  if (text === '' || text === '0'.repeat(16)) return ''
  return leaseIn(holder, name, text)
}

function leaseIn(document: JsonObject, name: string, text: string): string {
  if (!isLeaseId(text)) throw document.error('must be the id of a lease: 16 hexadecimal digits in lower case', name)
  return text
}

// ----------------------------------------------------------------------------------------------------------- operations

function operationOf(document: JsonObject, depth: number): TxnOperation {
  const given = OPERATIONS.filter((name) => document.has(name))
  document.close()
  const name = given[0]
  if (name === undefined || given.length > 1)
    throw document.error(`must be exactly one operation of: ${OPERATIONS.join(', ')}`)
  const body = document.object(name) ?? document
  if (name === 'put') return putOf(body)
  if (name === 'add') return addOf(body)
  if (name === 'delete') return deleteOf(body)
  return name === 'get' ? getOf(body) : txnOf(body, depth + 1)
}

function putOf(document: JsonObject): TxnOperation {
  const key = keyOf(document)
  const value = document.bytes('value', WIRE_LIMITS.valueBytesMax)
  const contentType = document.text('contentType', WIRE_LIMITS.contentTypeBytesMax) ?? ''
  const ttlMs = document.duration('ttl', 1, WIRE_LIMITS.ttlMsMax)
  const lease = document.text('lease', 16)
  const wantsPrevious = document.flag('prev')
  document.close()
  if (value === undefined) throw document.error('is missing', 'value')
  if (!/^[\x20-\x7e]*$/.test(contentType)) throw document.error('must be visible ASCII', 'contentType')
  if (ttlMs !== undefined && lease !== undefined) throw document.error('takes a lease or a ttl, not both')
  return {
    op: 'put',
    key,
    value,
    contentType: contentType.toLowerCase() === 'application/octet-stream' ? '' : contentType,
    condition: NO_CONDITION,
    wantsPrevious,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(lease === undefined ? {} : { lease: leaseIn(document, 'lease', lease) }),
  }
}

/** `by` is a number, or a string where a number would not be exact. */
function addOf(document: JsonObject): TxnOperation {
  const key = keyOf(document)
  const by = document.value('by')
  document.close()
  const isExact = typeof by === 'number' && Number.isSafeInteger(by)
  const isText = typeof by === 'string' && /^-?\d{1,19}$/.test(by)
  const summand = isExact || isText ? BigInt(by) : undefined
  if (summand === undefined || BigInt.asIntN(64, summand) !== summand)
    throw document.error('must be a 64-bit integer; as a string above 2^53', 'by')
  return { op: 'add', key, by: summand, condition: NO_CONDITION }
}

function deleteOf(document: JsonObject): TxnOperation {
  const { key, range } = placeOf(document)
  const wantsPrevious = document.flag('prev')
  document.close()
  if (key !== undefined) return { op: 'delete', key, condition: NO_CONDITION, wantsPrevious }
  if (wantsPrevious) throw document.error('is for the deletion of one key', 'prev')
  return { op: 'delete-range', range }
}

function getOf(document: JsonObject): TxnOperation {
  const { range } = placeOf(document)
  const limit = document.integer('limit', 1, WIRE_LIMITS.pageEntriesMax)
  const reverse = document.flag('reverse')
  const keysOnly = document.flag('keysOnly')
  const countOnly = document.flag('countOnly')
  document.close()
  if (countOnly && (keysOnly || limit !== undefined)) throw document.error('counts only; it takes no limit or keysOnly')
  return {
    op: 'get',
    range,
    limit: countOnly ? 0 : (limit ?? WIRE_LIMITS.pageEntriesDefault),
    reverse,
    keysOnly,
    countOnly,
  }
}
