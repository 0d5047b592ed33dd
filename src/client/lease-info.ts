// Looks at leases: how long they last, and what dies with them.
import { expectStatus, jsonObject, unexpected } from './answers.ts'
import type { ClientCore } from './core.ts'
import { isCount, isObject, keyOfJson } from './json.ts'
import type { Key } from './key-path.ts'
import type { Operation } from './operations.ts'
import type { CallOptions } from './options.ts'
import type { TransportResponse } from './transport.ts'

export interface LeaseSummary {
  readonly id: string
  readonly ttlMs: number
  /** Until it expires if nothing keeps it alive, as far as the node knows. */
  readonly remainingMs: number
  readonly keyCount: number
}

export interface LeaseInfo extends LeaseSummary {
  readonly keys: readonly Key[]
}

interface LeasePage {
  readonly leases: readonly LeaseSummary[]
  readonly cursor: string | undefined
}

/** All leases, page after page; what comes or goes meanwhile may be in it or not. */
export async function allLeases(core: ClientCore, options: CallOptions): Promise<readonly LeaseSummary[]> {
  const found: LeaseSummary[] = []
  let cursor: string | undefined
  do {
    const page: LeasePage = await core.run(pageOperation(cursor), options)
    found.push(...page.leases)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

const pageOperation = (after: string | undefined): Operation<LeasePage> =>
  look('/v1/leases', after === undefined ? [] : [`cursor=${encodeURIComponent(after)}`], (response) => {
    const { leases, more = false, cursor } = jsonObject(response)
    if (!Array.isArray(leases)) throw unexpected(response, 'the body has no "leases"')
    if (more === true && (typeof cursor !== 'string' || cursor === after))
      throw unexpected(response, 'there is more, but no "cursor"')
    const page = (leases as readonly unknown[]).map((lease) => summaryOf(response, lease))
    return { leases: page, cursor: more === true ? (cursor as string) : undefined }
  })

export const leaseOperation = (id: string): Operation<LeaseInfo> =>
  look(`/v1/leases/${id}`, [], (response) => {
    const body = jsonObject(response)
    const { keys, keys64 = [] } = body
    if (!isTexts(keys) || !isTexts(keys64)) throw unexpected(response, 'the body has no "keys"')
    const others = keys64.flatMap((key64) => keyOfJson({ key64 }) ?? [])
    return { ...summaryOf(response, body), keys: [...keys, ...others] }
  })

const isTexts = (list: unknown): list is string[] =>
  Array.isArray(list) && list.every((text) => typeof text === 'string')

function summaryOf(response: TransportResponse, value: unknown): LeaseSummary {
  if (isObject(value)) {
    const { id, ttlMs, remainingMs, keyCount } = value
    if (typeof id === 'string' && isCount(ttlMs) && isCount(remainingMs) && isCount(keyCount))
      return { id, ttlMs, remainingMs, keyCount }
  }
  throw unexpected(response, 'a lease in it is none')
}

const look = <T>(path: string, query: readonly string[], parse: (response: TransportResponse) => T): Operation<T> => ({
  name: 'lease',
  kind: 'read',
  method: 'GET',
  path,
  query,
  headers: {},
  takesTimeout: true,
  parse: (response) => {
    expectStatus(response, 200)
    return parse(response)
  },
})
