// Ranges: pages of entries, listings over all pages at one revision, and counts.
import { WIRE_LIMITS } from '../api/limits.ts'
import { expectStatus, jsonObject, requiredNumber, unexpected } from './answers.ts'
import { rangeOf } from './commands.ts'
import { refusal } from './client-error.ts'
import type { ClientCore } from './core.ts'
import type { Entry } from './entry.ts'
import { entryOfJson, isCount, isObject, keyOfJson } from './json.ts'
import { boundString } from './key-path.ts'
import type { Key } from './key-path.ts'
import { freshness } from './operations.ts'
import type { Operation } from './operations.ts'
import type { CountOptions, ListOptions, PageOptions, RangeOptions } from './options.ts'
import type { TransportResponse } from './transport.ts'

export interface Page {
  readonly entries: readonly Entry[]
  /** With `separator`: what keys begin with up to and with it, each once. */
  readonly prefixes: readonly Key[]
  /** All of it is what the store held at this revision. */
  readonly revision: number
  /** For the next page; undefined when this one is the last. */
  readonly cursor: string | undefined
}

export function pageOperation(options: PageOptions): Operation<Page> {
  const { limit, cursor, reverse, keysOnly, separator, revision } = options
  if (limit !== undefined && limit > WIRE_LIMITS.pageEntriesMax)
    throw refusal('BAD_PARAMETER', `a page has at most ${WIRE_LIMITS.pageEntriesMax} entries; list goes over all pages`)
  const query = rangeQuery(options)
  if (limit !== undefined) query.push(`limit=${limit}`)
  if (cursor !== undefined) query.push(`cursor=${encodeURIComponent(cursor)}`)
  if (separator !== undefined) query.push(`separator=${encodeURIComponent(separator)}`)
  if (reverse === true) query.push('reverse')
  if (keysOnly === true) query.push('keysOnly')
  if (revision !== undefined) query.push(`revision=${revision}`)
  query.push(...freshness(options))
  return rangeOperation('list', query, (response) => parsePage(response, keysOnly === true))
}

export function countOperation(options: CountOptions): Operation<number> {
  const query = [...rangeQuery(options), 'countOnly']
  if (options.revision !== undefined) query.push(`revision=${options.revision}`)
  query.push(...freshness(options))
  return rangeOperation('count', query, (response) => {
    expectStatus(response, 200)
    const { count } = jsonObject(response)
    if (!isCount(count)) throw unexpected(response, 'the body has no "count"')
    return count
  })
}

const rangeOperation = <T>(
  name: string,
  query: readonly string[],
  parse: (response: TransportResponse) => T,
): Operation<T> => ({
  name,
  kind: 'read',
  method: 'GET',
  path: '/v1/kv',
  query,
  headers: { accept: 'application/json' },
  takesTimeout: true,
  parse,
})

/** The parameters that name a range; none for all keys. */
export function rangeQuery(options: RangeOptions): string[] {
  rangeOf(options)
  return (['prefix', 'from', 'to'] as const).flatMap((name) => {
    const bound = options[name]
    return bound === undefined || boundString(bound) === '' ? [] : [keyParameter(name, bound)]
  })
}

/** A key as a parameter: as it is where nothing in it needs escaping, else in base64url. */
export function keyParameter(name: string, key: Key): string {
  const text = boundString(key)
  return PLAIN.test(text) ? `${name}=${text}` : `${name}64=${Buffer.from(text, 'latin1').toString('base64url')}`
}
const PLAIN = /^[A-Za-z0-9_~./-]+$/

function parsePage(response: TransportResponse, keysOnly: boolean): Page {
  expectStatus(response, 200)
  requiredNumber(response, 'quorate-revision')
  const { revision, entries, prefixes = [], prefixes64 = [], more, cursor } = jsonObject(response)
  if (!isCount(revision) || !Array.isArray(entries) || typeof more !== 'boolean')
    throw unexpected(response, 'the body is no page of a listing')
  if (more && typeof cursor !== 'string') throw unexpected(response, 'there is more, but no "cursor"')
  return {
    entries: (entries as readonly unknown[]).map((entry) => {
      const read = isObject(entry) ? entryOfJson(entry, undefined, { keysOnly }) : undefined
      if (read === undefined) throw unexpected(response, 'one of its "entries" is none')
      return read
    }),
    prefixes: [
      ...texts(response, prefixes).map((key) => keyOfJson({ key })!),
      ...texts(response, prefixes64).map((key64) => keyOfJson({ key64 }) ?? refuseText(response)),
    ],
    revision,
    cursor: more ? (cursor as string) : undefined,
  }
}

function texts(response: TransportResponse, list: unknown): string[] {
  if (Array.isArray(list) && list.every((text) => typeof text === 'string')) return list
  return refuseText(response)
}

const refuseText = (response: TransportResponse): never => {
  throw unexpected(response, 'its "prefixes" are none')
}

/** All entries of a range, page by page, at the revision of the first one. `onRevision` is told that revision before the first entry. */
export async function* listEntries(
  core: ClientCore,
  options: ListOptions,
  onRevision: (revision: number) => void = () => {},
): AsyncGenerator<Entry, void, undefined> {
  const { limit = Infinity, pageSize, ...rest } = options
  let left = limit
  let cursor: string | undefined
  do {
    const size = Math.min(left, pageSize ?? WIRE_LIMITS.pageEntriesDefault)
    const page: Page = await core.run(pageOperation({ ...rest, cursor, limit: size }), options)
    if (cursor === undefined) onRevision(page.revision)
    yield* page.entries
    left -= page.entries.length
    cursor = page.cursor
  } while (cursor !== undefined && left > 0)
}
