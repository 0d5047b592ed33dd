// Keys, values and entries as JSON: text where the bytes are valid UTF-8, base64url where they are not.
import type { KeyEntry } from '../api/commands.ts'
import { asBuffer, keyToBytes } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { ListedItem, NodeFacade } from '../node/facade.ts'

/** Keeps a byte order mark: it is part of the value. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** `{name: text}`, or `{name64: base64url}`. */
export function namedBytes(name: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  const text = textOf(bytes)
  return text === undefined ? { [`${name}64`]: asBuffer(bytes).toString('base64url') } : { [name]: text }
}

/** `{name: [texts]}`, and with `name64` those that are not text, if any. */
export function namedKeys(name: string, keys: readonly KeyString[]): Readonly<Record<string, readonly string[]>> {
  const texts: string[] = []
  const others: string[] = []
  for (const key of keys) {
    const bytes = keyToBytes(key)
    const text = textOf(bytes)
    if (text === undefined) others.push(bytes.toString('base64url'))
    else texts.push(text)
  }
  return others.length === 0 ? { [name]: texts } : { [name]: texts, [`${name}64`]: others }
}

export interface EntryOptions {
  readonly keysOnly?: boolean
  /** Until the entry's lease expires, where that is known. */
  readonly ttlMs?: number | undefined
}

/** The entry as HTTP_API lays it out; members that say nothing are absent. */
export function entryDocument(entry: KeyEntry, { keysOnly = false, ttlMs }: EntryOptions = {}): object {
  // Step by step: in a literal each property after a spread costs Node.js 20 a hidden class of the object's own.
  const document: Record<string, unknown> = namedBytes('key', keyToBytes(entry.key))
  if (!keysOnly) Object.assign(document, namedBytes('value', entry.value))
  if (entry.contentType !== '') document['contentType'] = entry.contentType
  document['createRevision'] = entry.createRevision
  document['modRevision'] = entry.modRevision
  document['version'] = entry.version
  if (entry.lease !== '') document['lease'] = entry.lease
  if (ttlMs !== undefined) document['ttlMs'] = ttlMs
  return document
}

export const entryOrNull = (entry: KeyEntry | undefined): object | null =>
  entry === undefined ? null : entryDocument(entry)

/** `isNow`: not of the past, so that its lease may be asked how long it lasts. */
export const listedEntry = (node: NodeFacade, entry: KeyEntry, keysOnly: boolean, isNow: boolean): object =>
  entryDocument(entry, { keysOnly, ttlMs: ttlOf(node, entry, isNow) })

const ttlOf = (node: NodeFacade, { lease }: KeyEntry, isNow: boolean): number | undefined =>
  isNow && lease !== '' ? node.leaseTtlMs(lease) : undefined

/** An item of a listing as one line. */
export function listedLine(node: NodeFacade, item: ListedItem, keysOnly: boolean, isNow: boolean): string {
  if (item.kind === 'prefix') return `{${keyMember('prefix', item.prefix)}}\n`
  return `${entryText(item.entry, { keysOnly, ttlMs: ttlOf(node, item.entry, isNow) })}\n`
}

// ------------------------------------------------------------------------------------------------------ the same, as text

/** What JSON takes as it is, one byte a character. */
const PLAIN = /^[ !#-[\]-~]*$/
/** Past it a decoder that copies whole blocks wins against a look at each character. Bytes. */
const PLAIN_BYTES_MAX = 1_024

/** The text of the entry's document. For those who write very many: it takes a third of the time, and leaves no garbage. */
export function entryText(entry: KeyEntry, { keysOnly = false, ttlMs }: EntryOptions = {}): string {
  const { key, value, contentType, createRevision, modRevision, version, lease } = entry
  const content = keysOnly ? '' : `,${bytesMember('value', value)}`
  const type = contentType === '' ? '' : `,"contentType":${JSON.stringify(contentType)}`
  const numbers = `,"createRevision":${createRevision},"modRevision":${modRevision},"version":${version}`
  const owner = lease === '' ? '' : `,"lease":${JSON.stringify(lease)}`
  const ttl = ttlMs === undefined ? '' : `,"ttlMs":${ttlMs}`
  return `{${keyMember('key', key)}${content}${type}${numbers}${owner}${ttl}}`
}

const keyMember = (name: string, key: KeyString): string =>
  PLAIN.test(key) ? `"${name}":"${key}"` : memberOf(namedBytes(name, keyToBytes(key)))

function bytesMember(name: string, bytes: Uint8Array): string {
  if (bytes.length <= PLAIN_BYTES_MAX) {
    const text = asBuffer(bytes).toString('latin1')
    if (PLAIN.test(text)) return `"${name}":"${text}"`
  }
  return memberOf(namedBytes(name, bytes))
}

/** Of an object with one member. */
const memberOf = (object: object): string => JSON.stringify(object).slice(1, -1)
