// What callers may ask for, and the checks that catch a mistake before it is sent. An option nobody knows is refused:
// a misspelt `ifRevision` must not become an unconditional write.
import type { ErrorCode } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { refusal } from './client-error.ts'

export interface CallOptions {
  /** For the whole call, all attempts and pauses included. Default: the client's. Milliseconds, 1 to 60,000. */
  readonly timeoutMs?: number | undefined
  /** Gives the call up. A write that was under way then has an unknown outcome. */
  readonly signal?: AbortSignal | undefined
}

export interface GetOptions extends CallOptions {
  /**
   * `linearizable` (default) sees every write that was acknowledged before the call. `stale` is answered from one node's
   * memory and may lag behind.
   */
  readonly consistency?: 'linearizable' | 'stale' | undefined
  /** Implies `stale`, but not staler than this. Milliseconds. */
  readonly maxStaleMs?: number | undefined
  /** Wait until the node has applied this revision: with `client.lastRevision`, read your own writes from any node. */
  readonly minRevision?: number | undefined
}

/** At most one of them. */
export interface WriteConditions {
  /** Only if the key's revision is this one; 0 means that it does not exist. */
  readonly ifRevision?: number | undefined
  /** Only if the key does not exist. */
  readonly ifAbsent?: boolean | undefined
  /** Only if the key exists. */
  readonly ifExists?: boolean | undefined
}

export interface PutOptions extends CallOptions, WriteConditions {
  /** Stored with the value and returned with it. At most 255 bytes. Default: application/octet-stream. */
  readonly contentType?: string | undefined
  /** Answer with the entry that was replaced. */
  readonly prev?: boolean | undefined
}

export type PutJsonOptions = Omit<PutOptions, 'contentType'>

export interface DeleteOptions extends CallOptions, Omit<WriteConditions, 'ifAbsent'> {
  /** Answer with the entry that was deleted. */
  readonly prev?: boolean | undefined
}

export interface ClientOptions {
  /** One or more base addresses, such as `http://127.0.0.1:7700`; a string may hold several, separated by commas. */
  readonly endpoints: string | readonly string[]
  /** Of each call unless it says otherwise. Default 5,000. Milliseconds, 1 to 60,000. */
  readonly timeoutMs?: number | undefined
  /** Reads go to the `leader` (default), or are spread over `any` nodes. Linearizable either way. */
  readonly readFrom?: 'leader' | 'any' | undefined
  /**
   * Also contact the addresses that the cluster advertises. Default false: from outside a container network they may not
   * resolve, or lead somewhere else.
   */
  readonly followAdvertised?: boolean | undefined
  /** Calls in flight at once; past it a call is refused with OVERLOADED before anything is sent. Default 10,000. */
  readonly inflightMax?: number | undefined
}

export const DEFAULTS = {
  timeoutMs: WIRE_LIMITS.timeoutMsDefault,
  readFrom: 'leader',
  followAdvertised: false,
  /** Bounds the memory of a caller that never waits. */
  inflightMax: 10_000,
} as const

const CALL = ['timeoutMs', 'signal'] as const
const CONDITIONS = ['ifRevision', 'ifAbsent', 'ifExists'] as const

export const ALLOWED = {
  client: new Set(['endpoints', 'timeoutMs', 'readFrom', 'followAdvertised', 'inflightMax']),
  call: new Set<string>(CALL),
  get: new Set<string>([...CALL, 'consistency', 'maxStaleMs', 'minRevision']),
  put: new Set<string>([...CALL, ...CONDITIONS, 'contentType', 'prev']),
  putJson: new Set<string>([...CALL, ...CONDITIONS, 'prev']),
  delete: new Set<string>([...CALL, 'ifRevision', 'ifExists', 'prev']),
} as const

/** Every option has a name we know and a value of its kind. */
export function checkOptions(options: object, allowed: ReadonlySet<string>): void {
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
    case 'inflightMax':
      return isWhole(value, 1, Number.MAX_SAFE_INTEGER) ? undefined : 'a whole number, at least 1'
    case 'maxStaleMs':
    case 'minRevision':
    case 'ifRevision':
      return isWhole(value, 0, NUMBER_MAX) ? undefined : 'a whole number of at most 15 digits'
    case 'ifAbsent':
    case 'ifExists':
    case 'prev':
    case 'followAdvertised':
      return typeof value === 'boolean' ? undefined : 'true or false'
    case 'consistency':
      return value === 'linearizable' || value === 'stale' ? undefined : "'linearizable' or 'stale'"
    case 'readFrom':
      return value === 'leader' || value === 'any' ? undefined : "'leader' or 'any'"
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

export function checkConditions(conditions: WriteConditions): void {
  let count = conditions.ifRevision === undefined ? 0 : 1
  if (conditions.ifAbsent === true) count++
  if (conditions.ifExists === true) count++
  if (count > 1) throw refusal('BAD_PARAMETER', 'a write takes one condition: ifRevision, ifAbsent or ifExists')
}

/** The origins of the endpoints, or a ClientError that says which one is wrong. */
export function parseEndpoints(endpoints: string | readonly string[]): string[] {
  const texts = typeof endpoints === 'string' ? endpoints.split(',') : endpoints
  if (!Array.isArray(texts) || texts.length === 0)
    throw refusal('BAD_PARAMETER', 'a client needs at least one endpoint, such as http://127.0.0.1:7700')
  const origins = texts.map((text) => parseEndpoint(text, 'BAD_PARAMETER'))
  return [...new Set(origins)]
}

function parseEndpoint(text: string, code: ErrorCode): string {
  const origin = originOf(text)
  if (origin === undefined)
    throw refusal(
      code,
      `${JSON.stringify(text)} is not an endpoint: give scheme, host and port, as in http://127.0.0.1:7700`,
    )
  return origin
}

/** `http://host:port` of an address without path, query, user or password; undefined for anything else. */
export function originOf(text: string): string | undefined {
  const trimmed = typeof text === 'string' ? text.trim() : ''
  if (!URL.canParse(trimmed)) return undefined
  const url = new URL(trimmed)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    return undefined
  }
  return url.origin
}
