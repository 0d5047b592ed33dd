// A part of the table in the order of its keys, for walks over ranges: it never changes once made, so whoever holds it sees the
// table as it was. The next one is made from the last by merging what came since.
import type { KeyString } from '../../lib/bytes.ts'
import type { Slot } from './slot.ts'

export interface Overlay {
  /** Ascending. */
  readonly keys: readonly KeyString[]
  /** The slot of each. All of them have a pointer: one may be a tombstone's, which hides what is below. */
  readonly slots: readonly Slot[]
}

export const EMPTY_OVERLAY: Overlay = { keys: [], slots: [] }

/** `base` with the slots of `changed` in it. */
export function overlayWith(base: Overlay, changed: ReadonlyMap<KeyString, Slot>): Overlay {
  if (changed.size === 0) return base
  const added = [...changed.keys()].sort(byBytes)
  const keys: KeyString[] = []
  const slots: Slot[] = []
  let at = 0
  for (const key of added) {
    for (; at < base.keys.length && base.keys[at]! < key; at++) {
      keys.push(base.keys[at]!)
      slots.push(base.slots[at]!)
    }
    if (base.keys[at] === key) at++
    keys.push(key)
    slots.push(changed.get(key)!)
  }
  for (; at < base.keys.length; at++) {
    keys.push(base.keys[at]!)
    slots.push(base.slots[at]!)
  }
  return { keys, slots }
}

const byBytes = (a: KeyString, b: KeyString): number => (a < b ? -1 : a > b ? 1 : 0)

/** Where the first key at or above `key` is. */
export function lowerBound(keys: readonly KeyString[], key: KeyString): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}

export function findSlot(overlay: Overlay, key: KeyString): Slot | undefined {
  const at = lowerBound(overlay.keys, key)
  return overlay.keys[at] === key ? overlay.slots[at] : undefined
}
