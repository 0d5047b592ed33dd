// The queues of locks and elections: first come first served, the first place holds. A place lives as long as its lease.
// In memory and bounded by the leases; each place has a row.
import type { LockKind } from '../api/commands.ts'
import { assert } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { Lease } from './lease-table.ts'
import { encodePlace, lockPrefix, placeRow, rowOf } from './rows.ts'
import type { Row, RowWriter } from './rows.ts'
import type { LockChange } from './types.ts'

export interface Place {
  /** Grows over all locks and for ever: its order in the queue, and the fencing token. */
  readonly token: number
  readonly kind: LockKind
  readonly name: KeyString
  readonly lease: Lease
  readonly owner: string
  value: Uint8Array
  isGone: boolean
  readonly row: Row
}

export class LockTable {
  /** Each in the order of tokens, and never empty. */
  readonly #queues = new Map<string, Place[]>()
  readonly #dirty = new Set<Place>()
  readonly #changes = new Map<string, LockChange>()

  queue(kind: LockKind, name: KeyString): readonly Place[] {
    return this.#queues.get(lockPrefix(kind, name)) ?? []
  }

  holder(kind: LockKind, name: KeyString): Place | undefined {
    return this.queue(kind, name)[0]
  }

  find(kind: LockKind, name: KeyString, token: number): Place | undefined {
    return this.queue(kind, name).find((place) => place.token === token)
  }

  join(place: Omit<Place, 'row' | 'isGone'>): Place {
    const joined = this.#insert(place, rowOf(placeRow(lockPrefix(place.kind, place.name), place.token)))
    this.#dirty.add(joined)
    if (this.holder(place.kind, place.name) === joined) this.#changed(joined)
    return joined
  }

  /** Takes a place out of its queue; answers with the place that holds the lock by that. */
  leave(place: Place): Place | undefined {
    const prefix = lockPrefix(place.kind, place.name)
    const queue = this.#queues.get(prefix)
    const at = queue?.indexOf(place) ?? -1
    assert(queue !== undefined && at !== -1, `token ${place.token} is not in its queue`)
    queue.splice(at, 1)
    if (queue.length === 0) this.#queues.delete(prefix)
    place.isGone = true
    place.lease.place = undefined
    this.#dirty.add(place)
    if (at > 0) return undefined
    this.#changed(place)
    return queue[0]
  }

  proclaim(place: Place, value: Uint8Array): void {
    place.value = value
    this.#dirty.add(place)
    this.#changed(place)
  }

  /** Ends the entry: writes the rows of what changed, and says of which locks the holder or its value did. */
  writeRows(writer: RowWriter): LockChange[] {
    for (const place of this.#dirty) {
      const { owner, value } = place
      writer.write(place.row, place.isGone ? undefined : encodePlace({ leaseId: place.lease.id, owner, value }))
    }
    this.#dirty.clear()
    if (this.#changes.size === 0) return NONE
    const changes = [...this.#changes.values()]
    this.#changes.clear()
    return changes
  }

  /** From a row that the state has; in the order of tokens. */
  load(row: Row, place: Omit<Place, 'row' | 'isGone'>): void {
    this.#insert(place, row)
  }

  #insert(fields: Omit<Place, 'row' | 'isGone'>, row: Row): Place {
    const place: Place = { ...fields, isGone: false, row }
    const prefix = lockPrefix(place.kind, place.name)
    const queue = this.#queues.get(prefix)
    if (queue === undefined) this.#queues.set(prefix, [place])
    else {
      assert(queue.at(-1)!.token < place.token, `token ${place.token} comes behind ${queue.at(-1)!.token}`)
      queue.push(place)
    }
    assert(place.lease.place === undefined, `lease ${place.lease.id} has two places`)
    place.lease.place = place
    return place
  }

  #changed({ kind, name }: Place): void {
    this.#changes.set(lockPrefix(kind, name), { kind, name })
  }
}

const NONE: LockChange[] = []
