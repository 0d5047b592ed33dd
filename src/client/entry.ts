// What a read gives: the value, its counters, and the two readings of its bytes.
import type { KeyEntry } from '../api/commands.ts'
import { keyOfString } from './key-path.ts'
import type { Key } from './key-path.ts'

export interface EntryFacts {
  readonly key: Key
  readonly value: Uint8Array
  readonly contentType: string
  readonly revision: number
  readonly createRevision: number
  readonly version: number
  readonly lease?: string | undefined
  readonly ttlMs?: number | undefined
}

/** An entry as the store held it. */
export class Entry implements EntryFacts {
  /** As the caller gave it; in answers of many keys a string where its bytes are UTF-8, else the bytes. */
  readonly key: Key
  readonly value: Uint8Array
  /** `application/octet-stream` unless the write named another. */
  readonly contentType: string
  /** Of the latest change to this key: what `ifRevision` compares with. */
  readonly revision: number
  /** Of the change that created the key. */
  readonly createRevision: number
  /** 1 for a created key, one more for each change since. */
  readonly version: number
  /** The id of the lease that the key dies with, if any. */
  readonly lease: string | undefined
  /** How long that lease lasted when this was read, where the answer told. Milliseconds. */
  readonly ttlMs: number | undefined

  constructor(facts: EntryFacts) {
    this.key = facts.key
    this.value = facts.value
    this.contentType = facts.contentType
    this.revision = facts.revision
    this.createRevision = facts.createRevision
    this.version = facts.version
    this.lease = facts.lease
    this.ttlMs = facts.ttlMs
  }

  /** The value as text. Throws a TypeError where the bytes are not UTF-8: nothing is replaced silently. */
  text(): string {
    return decodeText(this.value)
  }

  /** The value parsed as JSON. Throws a SyntaxError where it is not JSON. Check the shape before you trust it. */
  json(): unknown {
    return JSON.parse(this.text()) as unknown
  }
}

/** An entry, and the state it was read from. */
export class GetResult extends Entry {
  /** The revision of the store that was read. */
  readonly storeRevision: number
  /** With stale reads: by how much the answer may lag behind, if the node could tell. */
  readonly stalenessMs: number | undefined

  constructor(facts: EntryFacts, read: { storeRevision: number; stalenessMs: number | undefined }) {
    super(facts)
    this.storeRevision = read.storeRevision
    this.stalenessMs = read.stalenessMs
  }
}

/** An entry of a command's result. `key`: as the caller spelt it, where there is one. */
export const entryOfResult = (entry: KeyEntry, key: Key = keyOfString(entry.key)): Entry =>
  new Entry({
    key,
    value: entry.value,
    contentType: entry.contentType === '' ? OCTET_STREAM : entry.contentType,
    revision: entry.modRevision,
    createRevision: entry.createRevision,
    version: entry.version,
    lease: entry.lease === '' ? undefined : entry.lease,
  })

/** What the interface means when it names no content type. */
export const OCTET_STREAM = 'application/octet-stream'

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws a TypeError where the bytes are not UTF-8. */
export const decodeText = (bytes: Uint8Array): string => STRICT_UTF8.decode(bytes)
