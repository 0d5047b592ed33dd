// The checks that catch a mistake before it is sent. An option nobody knows is refused: a misspelt `ifRevision` must not become
// an unconditional write.
import { WIRE_LIMITS } from '../api/limits.ts'
import { refusal } from './client-error.ts'
import type { Lifetime, ReadOptions, WriteConditions } from './options.ts'

const CALL = ['timeoutMs', 'signal'] as const
const READ = [...CALL, 'consistency', 'maxStaleMs', 'minRevision'] as const
const RANGE = ['prefix', 'from', 'to'] as const
const PAGE = [...READ, ...RANGE, 'revision', 'limit', 'cursor', 'reverse', 'keysOnly', 'separator'] as const
const LIFETIME = ['ttlMs', 'lease'] as const
const CONDITIONS = ['ifRevision', 'ifAbsent', 'ifExists'] as const

export const ALLOWED = {
  client: new Set(['endpoints', 'timeoutMs', 'readFrom', 'followAdvertised', 'inflightMax', 'sessions']),
  call: new Set<string>(CALL),
  get: new Set<string>([...READ, 'revision']),
  count: new Set<string>([...READ, ...RANGE, 'revision']),
  page: new Set<string>(PAGE),
  list: new Set<string>([...READ, ...RANGE, 'revision', 'limit', 'pageSize', 'reverse', 'keysOnly']),
  put: new Set<string>([...CALL, ...CONDITIONS, ...LIFETIME, 'contentType', 'prev', 'fence']),
  putJson: new Set<string>([...CALL, ...CONDITIONS, ...LIFETIME, 'prev', 'fence']),
  delete: new Set<string>([...CALL, 'ifRevision', 'ifExists', 'prev', 'fence']),
  deleteRange: new Set<string>([...CALL, ...RANGE, 'fence']),
  add: new Set<string>([...CALL, ...CONDITIONS, 'fence']),
  compact: new Set<string>([...CALL, 'revision']),
  commit: new Set<string>([...CALL, 'fence']),
  transaction: new Set<string>([...CALL, 'attempts', 'fence']),
  lease: new Set<string>([...CALL, 'ttlMs']),
  watch: new Set<string>([...RANGE, 'key', 'revision', 'initial', 'prev', 'timeoutMs', 'signal']),
  mirror: new Set<string>(['timeoutMs', 'signal']),
  lock: new Set<string>([...CALL, 'ttlMs', 'waitMs', 'owner']),
  line: new Set<string>([...CALL, 'ttlMs']),
  campaign: new Set<string>([...CALL, 'ttlMs', 'waitMs', 'owner']),
} as const

/** Most calls are made without options: there is nothing to be made or checked for them. */
export const NO_OPTIONS = Object.freeze({})

/** Every option has a name we know and a value of its kind. */
export function checkOptions(options: object, allowed: ReadonlySet<string>): void {
  if (options === NO_OPTIONS) return
  if (typeof options !== 'object' || options === null) throw refusal('BAD_PARAMETER', 'options are given as an object')
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (!allowed.has(name))
      throw refusal('BAD_PARAMETER', `there is no option ${name}; there are: ${[...allowed].join(', ')}`)
    if (value === undefined) continue
    const expectation = expectationOf(name, value)
    if (expectation !== undefined) throw refusal('BAD_PARAMETER', `the option ${name} must be ${expectation}`)
  }
}

/** What an option must be, unless it is. */
function expectationOf(name: string, value: unknown): string | undefined {
  switch (name) {
    case 'timeoutMs':
      return isWhole(value, 1, WIRE_LIMITS.timeoutMsMax)
        ? undefined
        : `a whole number of milliseconds, 1 to ${WIRE_LIMITS.timeoutMsMax}`
    case 'ttlMs':
      return isWhole(value, 1, WIRE_LIMITS.ttlMsMax) ? undefined : 'a whole number of milliseconds, at least 1'
    case 'waitMs':
      return isWhole(value, 0, WIRE_LIMITS.waitMsMax)
        ? undefined
        : `a whole number of milliseconds, 0 to ${WIRE_LIMITS.waitMsMax}`
    case 'pageSize':
      return isWhole(value, 1, WIRE_LIMITS.pageEntriesMax)
        ? undefined
        : `a whole number, 1 to ${WIRE_LIMITS.pageEntriesMax}`
    case 'limit':
    case 'attempts':
    case 'inflightMax':
      return isWhole(value, 1, Number.MAX_SAFE_INTEGER) ? undefined : 'a whole number, at least 1'
    case 'maxStaleMs':
    case 'minRevision':
    case 'ifRevision':
    case 'revision':
      return isWhole(value, 0, NUMBER_MAX) ? undefined : 'a whole number of at most 15 digits'
    case 'ifAbsent':
    case 'ifExists':
    case 'prev':
    case 'followAdvertised':
    case 'sessions':
    case 'reverse':
    case 'keysOnly':
    case 'initial':
      return typeof value === 'boolean' ? undefined : 'true or false'
    case 'consistency':
      return value === 'linearizable' || value === 'stale' ? undefined : "'linearizable' or 'stale'"
    case 'readFrom':
      return value === 'leader' || value === 'any' ? undefined : "'leader' or 'any'"
    case 'key':
    case 'prefix':
    case 'from':
    case 'to':
      return typeof value === 'string' || value instanceof Uint8Array ? undefined : 'a string or a Uint8Array'
    case 'cursor':
    case 'separator':
    case 'owner':
      return typeof value === 'string' ? undefined : 'a string'
    case 'lease':
      return leaseIdOf(value) === undefined ? 'a Lease, or its id of 16 hexadecimal digits' : undefined
    case 'fence':
      return isFence(value) ? undefined : 'a Lock, or { name, token }'
    case 'signal':
      return value instanceof AbortSignal ? undefined : 'an AbortSignal'
    case 'contentType':
      return typeof value === 'string' && CONTENT_TYPE.test(value) ? undefined : CONTENT_TYPE_RULE
    default:
      return undefined
  }
}

/** Numbers on the wire have at most 15 digits. */
const NUMBER_MAX = 999_999_999_999_999
const CONTENT_TYPE = new RegExp(`^[!-~][ -~]{0,${WIRE_LIMITS.contentTypeBytesMax - 1}}(?<! )$`)
const CONTENT_TYPE_RULE = `1 to ${WIRE_LIMITS.contentTypeBytesMax} printable ASCII characters, such as text/plain`

const isWhole = (value: unknown, min: number, max: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max

const LEASE_ID = /^[0-7][0-9a-f]{15}$/

/** The id of a lease that was given as such or as an object; undefined for what is none. */
export function leaseIdOf(lease: unknown): string | undefined {
  const id: unknown = typeof lease === 'object' && lease !== null ? (lease as { id?: unknown }).id : lease
  return typeof id === 'string' && LEASE_ID.test(id) && id !== '0000000000000000' ? id : undefined
}

function isFence(fence: unknown): boolean {
  if (typeof fence !== 'object' || fence === null) return false
  const { name, token } = fence as { name?: unknown; token?: unknown }
  return (typeof name === 'string' || name instanceof Uint8Array) && isWhole(token, 1, NUMBER_MAX)
}

export function checkFreshness({ consistency, maxStaleMs }: ReadOptions): void {
  if (consistency === 'linearizable' && maxStaleMs !== undefined)
    throw refusal('BAD_PARAMETER', 'maxStaleMs allows a stale read, and consistency asks for a linearizable one')
}

export function checkLifetime({ ttlMs, lease }: Lifetime): void {
  if (ttlMs !== undefined && lease !== undefined)
    throw refusal('BAD_PARAMETER', 'a key has a time to live of its own or dies with a lease: ttlMs or lease')
}

export function checkConditions(conditions: WriteConditions): void {
  let count = conditions.ifRevision === undefined ? 0 : 1
  if (conditions.ifAbsent === true) count++
  if (conditions.ifExists === true) count++
  if (count > 1) throw refusal('BAD_PARAMETER', 'a write takes one condition: ifRevision, ifAbsent or ifExists')
}
