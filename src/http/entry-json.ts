// Entries as JSON: text where the bytes are valid UTF-8, base64url where they are not.
import type { KeyEntry } from '../api/commands.ts'
import { asBuffer, keyToBytes } from '../lib/bytes.ts'

/** Keeps a byte order mark: it is part of the value. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const named = (name: 'key' | 'value', bytes: Uint8Array): Record<string, string> => {
  const text = textOf(bytes)
  return text === undefined ? { [`${name}64`]: asBuffer(bytes).toString('base64url') } : { [name]: text }
}

/** The entry as HTTP_API lays it out; members that say nothing are absent. */
export function entryDocument(entry: KeyEntry): object {
  return {
    ...named('key', keyToBytes(entry.key)),
    ...named('value', entry.value),
    ...(entry.contentType === '' ? {} : { contentType: entry.contentType }),
    createRevision: entry.createRevision,
    modRevision: entry.modRevision,
    version: entry.version,
    ...(entry.lease === '' ? {} : { lease: entry.lease }),
  }
}
