// Commands from what callers say: keys as strings of bytes, conditions, lifetimes and fences in the state machine's own terms.
import { NO_CONDITION } from '../api/commands.ts'
import type {
  AddCommand,
  Condition,
  DeleteCommand,
  DeleteRangeCommand,
  Fence,
  KeyRange,
  PutCommand,
} from '../api/commands.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { rangeOfPrefix } from '../api/ranges.ts'
import { refusal } from './client-error.ts'
import { boundString, keyString, LONE_SURROGATE } from './key-path.ts'
import type { Key } from './key-path.ts'
import { checkConditions, checkLifetime, leaseIdOf } from './option-checks.ts'
import type {
  AddOptions,
  DeleteOptions,
  DeleteRangeOptions,
  FenceOption,
  PutOptions,
  RangeOptions,
  WriteConditions,
} from './options.ts'

export function putCommand(key: Key, value: string | Uint8Array, options: PutOptions): PutCommand {
  checkLifetime(options)
  const { contentType, prev = false, ttlMs, lease, fence } = options
  const plain: PutCommand = {
    op: 'put',
    key: keyString(key),
    value: valueBytes(value),
    contentType: storedContentType(contentType),
    condition: conditionOf(options),
    wantsPrevious: prev,
  }
  if (ttlMs === undefined && lease === undefined && fence === undefined) return plain
  return {
    ...plain,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(lease === undefined ? {} : { lease: leaseIdOf(lease)! }),
    ...fenceOf(fence),
  }
}

export function deleteCommand(key: Key, options: DeleteOptions): DeleteCommand {
  const { prev = false, fence } = options
  const condition = conditionOf(options)
  return { op: 'delete', key: keyString(key), condition, wantsPrevious: prev, ...fenceOf(fence) }
}

export function deleteRangeCommand(options: DeleteRangeOptions): DeleteRangeCommand {
  const { prefix, from, to, fence } = options
  // Nothing must delete everything by leaving something out.
  if (prefix === undefined && from === undefined && to === undefined)
    throw refusal('BAD_PARAMETER', "say which keys to delete: prefix, from or to; prefix: '' stands for all keys")
  return { op: 'delete-range', range: rangeOf({ prefix, from, to }), ...fenceOf(fence) }
}

export function addCommand(key: Key, by: bigint | number, options: AddOptions): AddCommand {
  if (typeof by === 'number' && !Number.isSafeInteger(by))
    throw refusal('BAD_PARAMETER', 'what is added must be a whole number; beyond 2^53 use a bigint')
  const number = BigInt(by)
  if (BigInt.asIntN(64, number) !== number) throw refusal('BAD_PARAMETER', 'what is added must fit into 64 bits')
  return { op: 'add', key: keyString(key), by: number, condition: conditionOf(options), ...fenceOf(options.fence) }
}

/** A prefix, or bounds; none of them means all keys. */
export function rangeOf({ prefix, from, to }: RangeOptions): KeyRange {
  if (prefix !== undefined) {
    if (from !== undefined || to !== undefined)
      throw refusal('BAD_PARAMETER', 'a range is given by prefix, or by from and to')
    return rangeOfPrefix(boundString(prefix))
  }
  // In a request it could not be told from a range without an end.
  if (to?.length === 0) throw refusal('BAD_PARAMETER', 'the end of a range is empty; leave it out for no end')
  return { from: boundString(from ?? ''), to: to === undefined ? undefined : boundString(to) }
}

export function fenceOf(fence: FenceOption | undefined): { fence?: Fence } {
  return fence === undefined ? {} : { fence: { lock: keyString(fence.name), token: fence.token } }
}

function conditionOf(options: WriteConditions): Condition {
  checkConditions(options)
  if (options.ifAbsent === true) return { kind: 'revision', revision: 0 }
  if (options.ifExists === true) return { kind: 'exists' }
  return options.ifRevision === undefined ? NO_CONDITION : { kind: 'revision', revision: options.ifRevision }
}

/** What a PUT would store: the default is not spelt out, and curl's default for forms says nothing about a value. */
function storedContentType(contentType: string | undefined): string {
  if (contentType === undefined || contentType === 'application/octet-stream') return ''
  return FORM.test(contentType) ? '' : contentType
}
const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

export function valueBytes(value: string | Uint8Array): Uint8Array {
  let bytes: Uint8Array
  if (typeof value === 'string') {
    if (LONE_SURROGATE.test(value))
      throw refusal('BAD_REQUEST', 'the value is not well-formed Unicode (a lone surrogate); give its bytes instead')
    bytes = Buffer.from(value, 'utf8')
  } else if (value instanceof Uint8Array) {
    bytes = value
  } else {
    throw refusal('BAD_REQUEST', `a value is a string or a Uint8Array, not ${typeof value}; for JSON there is putJson`)
  }
  if (bytes.length > WIRE_LIMITS.valueBytesMax)
    throw refusal('VALUE_TOO_LARGE', `the value has ${bytes.length} bytes; the limit is ${WIRE_LIMITS.valueBytesMax}`)
  return bytes
}
