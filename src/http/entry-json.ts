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
  return {
    ...namedBytes('key', keyToBytes(entry.key)),
    ...(keysOnly ? {} : namedBytes('value', entry.value)),
    ...(entry.contentType === '' ? {} : { contentType: entry.contentType }),
    createRevision: entry.createRevision,
    modRevision: entry.modRevision,
    version: entry.version,
    ...(entry.lease === '' ? {} : { lease: entry.lease }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
  }
}

export const entryOrNull = (entry: KeyEntry | undefined): object | null =>
  entry === undefined ? null : entryDocument(entry)

/** `isNow`: not of the past, so that its lease may be asked how long it lasts. */
export function listedEntry(node: NodeFacade, entry: KeyEntry, keysOnly: boolean, isNow: boolean): object {
  const ttlMs = isNow && entry.lease !== '' ? node.leaseTtlMs(entry.lease) : undefined
  return entryDocument(entry, { keysOnly, ttlMs })
}

/** An item of a listing as one line. */
export function listedLine(node: NodeFacade, item: ListedItem, keysOnly: boolean, isNow: boolean): string {
  const document =
    item.kind === 'entry'
      ? listedEntry(node, item.entry, keysOnly, isNow)
      : namedBytes('prefix', keyToBytes(item.prefix))
  return `${JSON.stringify(document)}\n`
}
