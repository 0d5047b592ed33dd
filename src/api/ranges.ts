// Ranges of keys in byte order: half-open, and without an end where `to` is undefined.
import type { KeyString } from '../lib/bytes.ts'
import type { KeyRange } from './commands.ts'

/** Every key. Keys are never empty, so this one is below all of them. */
export const ALL_KEYS: KeyRange = { from: '', to: undefined }

export const rangeOfKey = (key: KeyString): KeyRange => ({ from: key, to: `${key}\0` })

/** All keys that begin with the prefix; all keys for the empty one. */
export function rangeOfPrefix(prefix: KeyString): KeyRange {
  return { from: prefix, to: afterPrefix(prefix) }
}

/** The lowest key above all that begin with the prefix; undefined when there is none, as for 0xff 0xff. */
export function afterPrefix(prefix: KeyString): KeyString | undefined {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const unit = prefix.charCodeAt(last)
    if (unit < 0xff) return prefix.slice(0, last) + String.fromCharCode(unit + 1)
  }
  return undefined
}

export const isInRange = (range: KeyRange, key: KeyString): boolean =>
  key >= range.from && (range.to === undefined || key < range.to)

export const isEmptyRange = (range: KeyRange): boolean => range.to !== undefined && range.to <= range.from

/** The key of a range that holds exactly one possible key, else undefined. */
export function singleKeyOf(range: KeyRange): KeyString | undefined {
  return range.from !== '' && range.to === `${range.from}\0` ? range.from : undefined
}
