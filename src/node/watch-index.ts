// Who watches a key: watchers that ask for the same share a group, and groups are found by what their ranges are. A key finds its
// groups by itself, and by each of its prefixes of a length that anybody watches; other ranges are looked through one by one.
import type { KeyRange } from '../api/commands.ts'
import { afterPrefix, isInRange, singleKeyOf } from '../api/ranges.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { WatchEvent, WatchRequest } from './facade.ts'
import { type RevisionEvents, sizeOf } from './watch-events.ts'

/** What the group hands on to each of its members. */
export interface GroupMember {
  /** A revision that was just applied, with the events that the group asks for: at least one. */
  onApplied(revision: RevisionEvents, events: readonly WatchEvent[], sizeBytes: number): void
}

type Asked = Pick<WatchRequest, 'range' | 'only' | 'wantsPrevious'>

export class WatchGroup {
  readonly range: KeyRange
  readonly only: 'put' | 'delete' | undefined
  readonly wantsPrevious: boolean
  readonly members = new Set<GroupMember>()

  constructor({ range, only, wantsPrevious }: Asked) {
    this.range = range
    this.only = only
    this.wantsPrevious = wantsPrevious
  }

  wants(event: WatchEvent): boolean {
    return isInRange(this.range, event.entry.key) && this.wantsKind(event)
  }

  wantsKind(event: WatchEvent): boolean {
    return this.only === undefined || this.only === event.kind
  }

  /** The events of a revision that the group asks for: the very same array when it is all of them. */
  pick(revision: RevisionEvents): readonly WatchEvent[] {
    const { events } = revision
    return events.every((event) => this.wants(event)) ? events : events.filter((event) => this.wants(event))
  }

  offer(revision: RevisionEvents, events: readonly WatchEvent[]): void {
    const sizeBytes = sizeOf(events)
    for (const member of this.members) member.onApplied(revision, events, sizeBytes)
  }
}

type Groups = Set<WatchGroup>

export class WatchIndex {
  readonly #groups = new Map<string, WatchGroup>()
  readonly #byKey = new Map<KeyString, Groups>()
  /** By the prefix, under its length. */
  readonly #byPrefix = new Map<number, Map<KeyString, Groups>>()
  readonly #others: Groups = new Set()

  join(asked: Asked, member: GroupMember): WatchGroup {
    const id = idOf(asked)
    let group = this.#groups.get(id)
    if (group === undefined) {
      group = new WatchGroup(asked)
      this.#groups.set(id, group)
      this.#place(asked.range).add(group)
    }
    group.members.add(member)
    return group
  }

  leave(group: WatchGroup, member: GroupMember): void {
    if (!group.members.delete(member) || group.members.size > 0) return
    this.#groups.delete(idOf(group))
    this.#displace(group)
  }

  /** Shows a revision that was just applied to everybody whom it concerns. */
  offer(revision: RevisionEvents): void {
    const { events } = revision
    const [first] = events
    if (events.length === 1 && first !== undefined) {
      this.#forEach(first.entry.key, (group) => {
        if (group.wantsKind(first)) group.offer(revision, events)
      })
      return
    }
    const picked = new Map<WatchGroup, WatchEvent[]>()
    for (const event of events) {
      this.#forEach(event.entry.key, (group) => {
        if (!group.wantsKind(event)) return
        const some = picked.get(group)
        if (some === undefined) picked.set(group, [event])
        else some.push(event)
      })
    }
    for (const [group, some] of picked) group.offer(revision, some.length === events.length ? events : some)
  }

  #forEach(key: KeyString, visit: (group: WatchGroup) => void): void {
    for (const group of this.#byKey.get(key) ?? []) visit(group)
    for (const [length, prefixes] of this.#byPrefix) {
      if (length > key.length) continue
      for (const group of prefixes.get(key.slice(0, length)) ?? []) visit(group)
    }
    for (const group of this.#others) if (isInRange(group.range, key)) visit(group)
  }

  #place(range: KeyRange): Groups {
    const key = singleKeyOf(range)
    if (key !== undefined) return entryOf(this.#byKey, key, () => new Set())
    if (range.to !== afterPrefix(range.from)) return this.#others
    const prefixes = entryOf(this.#byPrefix, range.from.length, () => new Map<KeyString, Groups>())
    return entryOf(prefixes, range.from, () => new Set())
  }

  #displace(group: WatchGroup): void {
    const { range } = group
    const groups = this.#place(range)
    groups.delete(group)
    if (groups.size > 0 || groups === this.#others) return
    const key = singleKeyOf(range)
    if (key !== undefined) return void this.#byKey.delete(key)
    const prefixes = this.#byPrefix.get(range.from.length)
    prefixes?.delete(range.from)
    if (prefixes?.size === 0) this.#byPrefix.delete(range.from.length)
  }
}

const idOf = ({ range, only, wantsPrevious }: Asked): string =>
  JSON.stringify([range.from, range.to ?? null, only ?? null, wantsPrevious])

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
