// JSON as nodes write it: entries, keys and values, which stand in text where their bytes are UTF-8 and else in base64url.
// What is not of that form is undefined here; the readers of answers make a failure of it.
import { fromBase64url } from '../lib/bytes.ts'
import { Entry, OCTET_STREAM } from './entry.ts'
import type { Key } from './key-path.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A whole number from 0. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** An entry. `key`: as the caller spelt it; else the document's own is required. Without a value where none was asked for. */
export function entryOfJson(entry: JsonObject, key?: Key, options: { keysOnly?: boolean } = {}): Entry | undefined {
  const { modRevision, createRevision, version, contentType = OCTET_STREAM, lease, ttlMs } = entry
  const name = key ?? keyOfJson(entry)
  const value = valueOfJson(entry) ?? (options.keysOnly === true ? new Uint8Array(0) : undefined)
  if (name === undefined || value === undefined) return undefined
  if (!isCount(modRevision) || !isCount(createRevision) || !isCount(version)) return undefined
  if (typeof contentType !== 'string' || (lease !== undefined && typeof lease !== 'string')) return undefined
  if (ttlMs !== undefined && !isCount(ttlMs)) return undefined
  return new Entry({ key: name, value, contentType, revision: modRevision, createRevision, version, lease, ttlMs })
}

export function keyOfJson({ key, key64 }: JsonObject): Key | undefined {
  if (typeof key === 'string') return key
  return typeof key64 === 'string' ? fromBase64url(key64) : undefined
}

export function valueOfJson({ value, value64 }: JsonObject): Uint8Array | undefined {
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  return typeof value64 === 'string' ? fromBase64url(value64) : undefined
}
